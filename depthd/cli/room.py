"""How long the results' disk lasts, in words, from what one photo takes. Looks at the disk only."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import timedelta
from typing import Protocol

from depthd.cli.check_folders import nearest
from depthd.config import Config
from depthd.contract.errors import NoInputError
from depthd.contract.status import read, span

LONGEST = timedelta(days=36_500)


class _Sized(Protocol):
    @property
    def total(self) -> int: ...


def megabytes(size: float) -> str:
    """Bytes with three digits."""
    return f"{size / 1e6:.3g} MB"


def outlook(config: Config, sizes: Mapping[str, _Sized]) -> str:
    """How many photos of each setting fit on the disk, and how long that lasts at today's rate."""
    room, rate = free(config), photos_a_day(config)
    words = [f"{name} {lasts(each.total, room, rate)}" for name, each in sizes.items()]
    known = (
        f"at today's {rate:g} photos a day" if rate else "no daemon has told a rate of photos yet"
    )
    return f"{room / 1e9:.1f} GB of room; {known}:\n" + "\n".join(f"  {each}" for each in words)


def lasts(size: int, room: int, rate: float) -> str:
    """Photos that fit, and the time until there are so many."""
    fit = room // max(1, size)
    if not rate:
        return f"fits {fit:,} times"
    time = min(timedelta(days=min(fit / rate, LONGEST.days)), LONGEST)
    return f"fits {fit:,} times, full in {span(time)}"


def free(config: Config) -> int:
    """Bytes that results may take before the daemon pauses."""
    place = os.statvfs(nearest(config.folder("outbox")))
    return max(0, place.f_bavail * place.f_frsize - config.disk.min_free)


def photos_a_day(config: Config) -> float:
    """As the daemon that serves these folders has counted; 0 where nobody knows."""
    try:
        disk = read(config.folder("state")).disk
    except NoInputError:
        return 0.0
    return disk.photos_a_day or 0.0 if disk else 0.0
