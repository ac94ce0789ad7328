"""Folders of the inbox from which an operator wants nothing taken: state/holds.json.

Written by commands, read by the daemon, whichever of them runs. Knows that one file.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from depthd.system import files
from depthd.system.locks import locked

FILE_NAME = "holds.json"
EVERYTHING = ""  # the inbox itself
_LOCK = ".holds.lock"
_NEW = ".holds.json.new"
_SCHEMA = "depthd.holds/1"
_LARGEST = 1 << 20  # bytes

Holds = Mapping[str, float]
"""By folder inside the inbox, since when, in seconds since the epoch. Sub-folders are meant too."""


class HoldsUnclear(Exception):
    """The file is there, and nobody can tell what it says."""


class HoldsFile:
    """The holds.

    Args:
        state: the folder state/.
    """

    def __init__(self, state: Path) -> None:
        self._state = state
        self._looked: tuple[int, int, int] | None = None

    def read(self) -> Holds:
        """What is held.

        Raises:
            HoldsUnclear: it cannot be read, or says nothing that makes sense.
        """
        try:
            with (
                files.directory(self._state) as folder,
                open(files.open_regular(FILE_NAME, folder), "rb") as file,
            ):
                content = json.loads(file.read(_LARGEST))
            if content["schema"] != _SCHEMA:
                raise HoldsUnclear(f"{FILE_NAME} is of another version")
            return {str(folder): float(since) for folder, since in content["held"].items()}
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise HoldsUnclear(f"{FILE_NAME} cannot be read: {error.strerror}") from error
        except (ValueError, RecursionError, LookupError, TypeError, AttributeError) as error:
            raise HoldsUnclear(f"{FILE_NAME} is damaged") from error

    def has_changed(self) -> bool:
        """Whether it is another file than at the last look."""
        try:
            about = os.stat(self._state / FILE_NAME)
        except OSError:
            now = None
        else:
            now = (about.st_ino, about.st_size, about.st_mtime_ns)
        before, self._looked = self._looked, now
        return now != before

    def change(self, to: Callable[[Holds], Holds]) -> Holds:
        """Put other holds in the place of these, safe from a power cut. Returns the new ones.

        Raises:
            HoldsUnclear, OSError: nothing is changed.
        """
        with files.directory(self._state) as folder, locked(self._state / _LOCK):
            held = to(self.read())
            data = json.dumps({"schema": _SCHEMA, "held": dict(held)}, indent=2).encode() + b"\n"
            group = os.fstat(folder).st_gid
            files.replace_durably(FILE_NAME, data, folder, temporary=_NEW, mode=0o640, group=group)
        return held
