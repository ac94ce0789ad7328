"""Where paths lead, and whether folders are apart in fact: links and mounts make two of one.

Only looks, by the system's own identity of a folder (device and inode); creates nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

_Identity = tuple[int, int]  # device, inode


@dataclass(frozen=True)
class _Place:
    """Where a folder is, or will be made.

    Attributes:
        above: identities of the nearest folder that is there and of all above it, nearest first.
        missing: names below that one which are not there yet.
    """

    above: tuple[_Identity, ...]
    missing: tuple[str, ...]

    @classmethod
    def of(cls, path: Path) -> Self:
        with suppress(OSError, RuntimeError):  # a ring of links: told when the folder is made
            path = path.resolve()
        parts: list[str] = []
        above: list[_Identity] = []
        for folder in (path, *path.parents):
            try:
                about = os.stat(folder)
            except OSError:
                if not above:
                    parts.append(folder.name)
                continue
            above.append((about.st_dev, about.st_ino))
        return cls(tuple(above), tuple(reversed(parts)))

    def is_inside(self, outer: _Place) -> bool:
        """Whether it is the other one, or lies in it."""
        if not outer.above or not self.above:
            return False
        if not outer.missing:
            return outer.above[0] in self.above
        is_beside = self.above[0] == outer.above[0]
        return is_beside and self.missing[: len(outer.missing)] == outer.missing


def absolute(path: str | Path, folder: Path | None) -> Path:
    """A path as somebody wrote it, made absolute; ~ is a home folder.

    Args:
        path: what was written.
        folder: where it begins if it is relative; None is the working directory.

    Raises:
        ValueError: it leads nowhere; the words follow the path.
    """
    if "\0" in str(path):
        raise ValueError("is no path")
    try:
        return ((folder or Path()) / Path(path).expanduser()).absolute()
    except RuntimeError as error:
        raise ValueError("begins with the home folder of nobody who is known here") from error
    except FileNotFoundError as error:
        raise ValueError("is relative, and the working directory is gone") from error


def nested(folders: Mapping[str, Path]) -> Iterator[str]:
    """Every two of these folders that are one, or lie inside each other, in words.

    Args:
        folders: key of the configuration and path.
    """
    places = {key: _Place.of(path) for key, path in folders.items()}
    keys = list(places)
    for inner in keys:
        for outer in keys:
            if inner == outer or not places[inner].is_inside(places[outer]):
                continue
            is_same = places[outer].is_inside(places[inner])
            if is_same and keys.index(inner) < keys.index(outer):
                continue  # told once
            relation = "is in fact the same folder as" if is_same else "lies in fact inside"
            yield (
                f"{inner} ({folders[inner]}) {relation} {outer} ({folders[outer]}), by a link or "
                "a mount; give each folder a place of its own"
            )
