"""Whether folders lie inside each other, by what their paths really are.

Names do not tell: a symlink or a bind mount gives one folder many paths. Looks only; creates and
changes nothing.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

Identity = tuple[int, int]  # device and inode


@dataclass(frozen=True)
class _Place:
    """Where a folder really is; of one that is not there yet, where it would be made."""

    chain: tuple[Identity, ...]  # the folder, if it is there, and every folder above it
    exists: bool
    source: tuple[str, tuple[str, ...]] | None  # file system and path in it, whatever is mounted


def nested(folders: Mapping[str, Path]) -> list[str]:
    """One sentence for each folder that lies inside another one, or is the same.

    Args:
        folders: absolute paths by the name that a sentence gives them, such as `paths.inbox`.
    """
    places = {name: _place(path) for name, path in folders.items()}
    names = list(folders)
    sentences = []
    for number, first in enumerate(names):
        for second in names[number + 1 :]:
            here = _contains(places[first], places[second])
            there = _contains(places[second], places[first])
            one, other = f"{first} ({folders[first]})", f"{second} ({folders[second]})"
            if here and there:
                sentences.append(f"{one} and {other} are the same folder")
            elif here:
                sentences.append(f"{other} lies inside {one}")
            elif there:
                sentences.append(f"{one} lies inside {other}")
    return sentences


def _contains(outer: _Place, inner: _Place) -> bool:
    """Whether `inner` is `outer` or lies somewhere below it."""
    if not outer.exists:
        return False
    if outer.chain[0] in inner.chain:
        return True
    if outer.source is None or inner.source is None or outer.source[0] != inner.source[0]:
        return False
    return inner.source[1][: len(outer.source[1])] == outer.source[1]


def _place(path: Path) -> _Place:
    real = Path(os.path.realpath(path))
    exists = os.path.isdir(real)  # false, too, where one may not look
    nearest = real
    while not os.path.isdir(nearest) and nearest != nearest.parent:
        nearest = nearest.parent
    chain = []
    for folder in (nearest, *nearest.parents):
        with suppress(OSError):  # a folder above that may not be looked at
            about = folder.stat()
            chain.append((about.st_dev, about.st_ino))
    return _Place(tuple(chain), exists and bool(chain), _source(nearest))


def _source(folder: Path) -> tuple[str, tuple[str, ...]] | None:
    """Device number and path on it of a folder; None where the system does not tell."""
    try:
        handle = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            about = Path(f"/proc/self/fdinfo/{handle}").read_text(encoding="ascii")
        finally:
            os.close(handle)
        number = about.split("mnt_id:")[1].split()[0]
        table = Path("/proc/self/mountinfo").read_text(errors="surrogateescape")
    except (OSError, IndexError):
        return None
    for line in table.splitlines():
        fields = line.split(" ")
        if fields[0] == number:
            root, point = Path(_plain(fields[3])), Path(_plain(fields[4]))
            if not folder.is_relative_to(point):
                return None
            return fields[2], (root / folder.relative_to(point)).parts
    return None


def _plain(text: str) -> str:
    """A path of the table of mounts; it writes blanks and backslashes as octal numbers."""
    for code in ("040", "011", "012", "134"):
        text = text.replace(f"\\{code}", chr(int(code, 8)))
    return text
