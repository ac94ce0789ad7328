"""Photos that could not be moved although nothing had told so: tried again, less and less often.

A folder in which that happens again and again is left alone as a whole, so that a hundred
thousand such photos cost no more than a few. Does no I/O.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TypeVar

_FIRST_PAUSE = 30.0  # seconds until the next try
_LONGEST_PAUSE = 3600.0
_PATIENCE = 8  # failures until a whole folder is left alone
_PHOTOS = 10_000  # remembered; the oldest are forgotten, and tried again
_FOLDERS = 1000


_Key = TypeVar("_Key", bytes, str)


@dataclass(slots=True)
class _Pause:
    until: float
    length: float
    failures: int = 0  # since the last pause of a folder
    last: float = float("-inf")  # failure


class Immovables:
    """What failed when, in bounded memory."""

    def __init__(self) -> None:
        self._photos: dict[bytes, _Pause] = {}
        self._folders: dict[str, _Pause] = {}

    def failed(self, name: str, now: float) -> bool:
        """A photo could not be moved; returns whether its whole folder is left alone from now."""
        _lengthen(_entry(self._photos, _key(name), _PHOTOS), now)
        folder = _entry(self._folders, name.rpartition("/")[0], _FOLDERS)
        if now > folder.last + 2 * max(_FIRST_PAUSE, folder.length):  # long ago
            folder.length, folder.failures = 0.0, 0
        folder.last = now
        folder.failures += 1
        if folder.failures < _PATIENCE:
            return False
        folder.failures = 0
        _lengthen(folder, now)
        return True

    def waits(self, name: str, now: float) -> bool:
        """Whether a photo is to be left alone for now."""
        if not self._photos:
            return False
        folder = self._folders.get(name.rpartition("/")[0])
        if folder is None:
            return False
        if now < folder.until:
            return True
        photo = self._photos.get(_key(name))
        return photo is not None and now < photo.until


def _lengthen(pause: _Pause, now: float) -> None:
    pause.length = min(max(_FIRST_PAUSE, 2 * pause.length), _LONGEST_PAUSE)
    pause.until = now + pause.length


def _entry(entries: dict[_Key, _Pause], key: _Key, limit: int) -> _Pause:
    pause = entries.pop(key, None) or _Pause(float("-inf"), 0.0)
    if len(entries) >= limit:
        del entries[next(iter(entries))]
    entries[key] = pause
    return pause


def _key(name: str) -> bytes:
    return hashlib.blake2b(name.encode(errors="surrogateescape"), digest_size=12).digest()
