"""What photos take of the disk: bytes of results and originals over the last day, by the hour.

Knows bytes and the time that it is told; of files only on which disk they lie.
"""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from depthd.contract.events import Event
from depthd.contract.status import Disk

_HOUR = 3600.0
_HOURS = 24
DAY = _HOURS * _HOUR


@dataclass(frozen=True)
class Room:
    """A look at the results' disk: bytes free, and which folders lie on it."""

    free: int
    folders: frozenset[str]


def look_at(folders: Mapping[str, Path]) -> Room:
    """The room where results go.

    Args:
        folders: `outbox` and those of originals, by name.

    Raises:
        OSError: the outbox cannot be looked at.
    """
    outbox = folders["outbox"]
    disk, device = os.statvfs(outbox), os.stat(outbox).st_dev
    here = set()
    for name, folder in folders.items():
        with suppress(OSError):
            if os.stat(folder).st_dev == device:
                here.add(name)
    return Room(disk.f_bavail * disk.f_frsize, frozenset(here))


@dataclass
class _Hour:
    number: int
    published: int = 0
    taken: Counter[str] = field(default_factory=Counter)  # bytes by folder
    freed: Counter[str] = field(default_factory=Counter)


class Usage:
    """Counts what came to lie in `outbox`, `done` and `failed`.

    Args:
        now: seconds of a clock that never goes back.
    """

    def __init__(self, now: float) -> None:
        self._since = now
        self._hours: deque[_Hour] = deque(maxlen=_HOURS)

    def add(self, now: float, *, outbox: int = 0, done: int = 0, failed: int = 0) -> None:
        """A photo is home: bytes by folder; of results only where some are published."""
        hour = self._hour(now)
        hour.published += outbox > 0
        hour.taken.update(outbox=outbox, done=done, failed=failed)

    def heed(self, now: float, event: Event, fields: Mapping[str, object]) -> None:
        """What `retention` has removed makes room."""
        folder, size, results = (fields.get(key) for key in ("kind", "bytes", "results"))
        if event is Event.PHOTO_REMOVED and isinstance(size, int) and isinstance(results, int):
            self._hour(now).freed.update({"outbox": results, str(folder): size - results})

    def _hour(self, now: float) -> _Hour:
        number = int(now // _HOUR)
        if not self._hours or self._hours[-1].number != number:
            self._hours.append(_Hour(number))
        return self._hours[-1]

    def disk(self, now: float, room: Room, min_free: int) -> Disk:
        """What the status says of the disk.

        A service that has not run for a day counts as long as it has run, an hour at least.
        """
        first = int(now // _HOUR) - _HOURS
        hours = [hour for hour in self._hours if hour.number > first]
        published = sum(hour.published for hour in hours)
        results = sum(hour.taken["outbox"] for hour in hours)
        taken = sum(hour.taken[folder] for hour in hours for folder in room.folders)
        freed = sum(hour.freed[folder] for hour in hours for folder in room.folders)
        days = min(DAY, max(_HOUR, now - self._since)) / DAY
        fills_a_day = max(0, taken - freed) / days
        return Disk(
            free=room.free,
            min_free=min_free,
            bytes_a_photo=round(results / published) if published else None,
            photos_a_day=round(published / days, 1),
            bytes_a_day=round(taken / days),
            days_left=max(0.0, room.free - min_free) / fills_a_day if fills_a_day else None,
        )
