"""What waits to be told to one receiver: a file each in state/hooks/KIND/. Safe from a power cut.

Knows files, nothing of what they say.
"""

from __future__ import annotations

import heapq
import os
from collections.abc import Container, Iterator
from contextlib import suppress
from pathlib import Path

from depthd.system import files

_LARGEST = 4 << 20  # bytes
_HIDDEN = "."


class Queue:
    """The queue of one receiver; safe from any thread.

    Args:
        folder: it is made where it is missing.

    Raises:
        OSError: it cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._make()

    def _make(self) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def put(self, name: str, content: bytes) -> None:
        """Add one, on the disk when this returns; one of the same name is replaced.

        Raises:
            OSError: it is not in the queue.
        """
        hidden = f"{_HIDDEN}{name}"
        if not self._folder.exists():  # somebody has tidied up
            self._make()
        with files.directory(self._folder) as folder:
            files.replace_durably(
                name, content, folder, temporary=hidden, mode=0o600, group=os.getegid()
            )

    def oldest(self, count: int, passed_over: Container[str] = ()) -> tuple[list[str], int]:
        """Names of the oldest, which sort by their time, and how many there are in all."""
        with os.scandir(self._folder) as entries:
            found = _Counted(entry.name for entry in entries if entry.name[0] != _HIDDEN)
            names = (name for name in found if name not in passed_over)
            return heapq.nsmallest(count, names), found.total

    def read(self, name: str) -> tuple[bytes, float] | None:
        """One's content and the time it was put there; None where it is gone."""
        try:
            with (
                files.directory(self._folder) as folder,
                open(files.open_regular(name, folder), "rb") as file,
            ):
                return file.read(_LARGEST), os.fstat(file.fileno()).st_mtime
        except FileNotFoundError:
            return None

    def remove(self, name: str) -> None:
        """It is over; after a power cut it may be there again."""
        with suppress(FileNotFoundError):
            os.unlink(self._folder / name)

    def probe(self) -> None:
        """Raises OSError while nothing can be put there."""
        self._make()
        with files.directory(self._folder) as folder:
            files.probe(folder, 1)


def waiting(folder: Path) -> int:
    """How much waits in a queue; none where there is no such folder.

    Raises:
        OSError: it cannot be looked at.
    """
    try:
        with os.scandir(folder) as entries:
            return sum(entry.name[0] != _HIDDEN for entry in entries)
    except FileNotFoundError:
        return 0


class _Counted:
    """Names, counted as they pass."""

    def __init__(self, names: Iterator[str]) -> None:
        self._names = names
        self.total = 0

    def __iter__(self) -> Iterator[str]:
        for name in self._names:
            self.total += 1
            yield name
