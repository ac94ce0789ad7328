"""File names: how the set of a photo is called, and how a name is shown. Pure text, no I/O."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from datetime import UTC, datetime

_LONGEST_NAME = 255  # bytes, on every common Linux file system
_LONGEST_SUFFIX = len(".heatmap.png")
_CANDIDATES = 10


def timestamp(seconds: float) -> str:
    """UTC with milliseconds, fit for file names: 20261123T064500.123Z."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment:%Y%m%dT%H%M%S}.{moment.microsecond // 1000:03d}Z"


def split(name: str) -> tuple[tuple[str, ...], str]:
    """Folders and base name of a name inside the inbox."""
    *folders, base = name.split("/")
    return tuple(folders), base


def candidates(name: str, stamp: str) -> Iterator[str]:
    """The names that a photo's set may get, in the order in which they are tried.

    The plain name, then with the time of the claim: `IMG_1~20261123T064500.123Z.jpg`. Names that
    leave no room for the longest suffix are shortened and marked with a hash of the whole name.
    """
    folders, base = split(name)
    dot = base.rfind(".")
    stem, extension = (base[:dot], base[dot:]) if 0 < dot < len(base) - 1 else (base, "")
    for number in range(_CANDIDATES):
        mark = "" if number == 0 else f"~{stamp}" if number == 1 else f"~{stamp}.{number}"
        yield "/".join((*folders, _fit(stem, mark, extension)))


def _fit(stem: str, mark: str, extension: str) -> str:
    room = _LONGEST_NAME - _LONGEST_SUFFIX - len(mark)
    whole = os.fsencode(stem + extension)
    if len(whole) <= room:
        return stem + mark + extension
    extension_bytes = os.fsencode(extension)[:16]
    digest = hashlib.sha256(whole).hexdigest()[:8].encode()
    kept = os.fsencode(stem)[: room - len(extension_bytes) - len(digest) - 1]
    kept = kept.decode(errors="ignore").encode() or kept  # do not cut a letter in two
    return os.fsdecode(kept + b"~" + digest + mark.encode() + extension_bytes)


def readable(name: str) -> str:
    r"""A name as real Unicode, fit for strict JSON: undecodable bytes appear as \xNN."""
    return os.fsencode(name).decode(errors="backslashreplace")


def printable(name: str) -> str:
    """A name as one safe line of real Unicode: undecodable bytes and controls are escaped."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode()
        for char in readable(name)
    )
