"""What photos take of the disk: bytes of results and originals over the last day, by the hour.

Knows bytes and the time that it is told; of files only on which disk they lie.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from depthd.contract.events import Event
from depthd.contract.status import Disk

_HOUR = 3600.0
_HOURS = 24
DAY = _HOURS * _HOUR


@dataclass(frozen=True)
class Room:
    """A look at the results' disk: bytes free, and whether originals come to lie on it as well."""

    free: int
    holds_originals: bool


def look_at(outbox: Path, done: Path) -> Room:
    """The room where results go.

    Raises:
        OSError: the outbox cannot be looked at.
    """
    disk = os.statvfs(outbox)
    holds_originals = False
    with suppress(OSError):
        holds_originals = os.stat(done).st_dev == os.stat(outbox).st_dev
    return Room(disk.f_bavail * disk.f_frsize, holds_originals)


@dataclass
class _Hour:
    number: int
    published: int = 0
    results: int = 0
    originals: int = 0
    freed: int = 0


class Usage:
    """Counts what came to lie on the disk.

    Args:
        now: seconds of a clock that never goes back.
    """

    def __init__(self, now: float) -> None:
        self._since = now
        self._hours: deque[_Hour] = deque(maxlen=_HOURS)

    def add(self, now: float, *, results: int, original: int) -> None:
        """A photo is home.

        Args:
            now: the time.
            results: bytes in the outbox; 0 for one that failed.
            original: bytes in done/ or failed/.
        """
        hour = self._hour(now)
        hour.published += results > 0
        hour.results += results
        hour.originals += original

    def heed(self, now: float, event: Event, fields: Mapping[str, object]) -> None:
        """What `retention` has removed makes room."""
        freed = fields.get("bytes")
        if event is Event.RETENTION_OVER and isinstance(freed, int):
            self._hour(now).freed += freed

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
        results = sum(hour.results for hour in hours)
        taken = results + sum(hour.originals for hour in hours) * room.holds_originals
        days = min(DAY, max(_HOUR, now - self._since)) / DAY
        fills_a_day = max(0, taken - sum(hour.freed for hour in hours)) / days
        return Disk(
            free=room.free,
            min_free=min_free,
            bytes_a_photo=round(results / published) if published else None,
            photos_a_day=round(published / days, 1),
            bytes_a_day=round(taken / days),
            days_left=max(0.0, room.free - min_free) / fills_a_day if fills_a_day else None,
        )
