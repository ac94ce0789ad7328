"""What the folders themselves say while no daemon does: photos that wait, room on the disk.

Looks only, at a bounded number of entries.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

from depthd.config import Config
from depthd.contract.status import Disk, Queue, Status, held_since, moment
from depthd.intake.patterns import Names
from depthd.intake.scan import walk
from depthd.spool.holds import HoldsFile, HoldsUnclear
from depthd.spool.jobs import ORIGINAL

_MOST_SECONDS = 5.0


def counted_anew(status: Status, config: Config) -> Status:
    """The status of a daemon that is away, with queue, disk and holds as they are now."""
    now: dict[str, object] = {"queue": queue(config), "inbox": ""}
    now["disk"] = disk(config, status.disk)
    with suppress(HoldsUnclear):  # the next daemon says so
        now["held_by_operator"] = held_since(HoldsFile(config.folder("state")).read())
    return status.model_copy(update=now)


def queue(config: Config) -> Queue:
    """Photos in the inbox and in work/, as far as five seconds and the rights of this user reach.

    Whether those in the inbox are whole is not known.
    """
    end = time.monotonic() + _MOST_SECONDS
    waiting, since = _in_inbox(config, end)
    claims = _in_work(config.folder("work"), end)
    return Queue(
        waiting=waiting,
        in_work=len(claims),
        oldest=moment(min(claims)) if claims else None,
        oldest_waiting=moment(since) if waiting else None,
    )


def disk(config: Config, last: Disk | None) -> Disk | None:
    """The room that is free now, with the rate that was known last."""
    try:
        place = os.statvfs(config.folder("outbox"))
    except OSError:
        return None
    free, least = place.f_bavail * place.f_frsize, config.disk.min_free
    known = last or Disk(free=free, min_free=least)
    a_day = _fills_a_day(known)
    days = max(0.0, free - least) / a_day if a_day else None
    return known.model_copy(update={"free": free, "min_free": least, "days_left": days})


def _fills_a_day(known: Disk) -> float | None:
    """The rate behind the days that the daemon gave; None where the disk did not fill."""
    if known.days_left:
        return (known.free - known.min_free) / known.days_left
    return None if known.days_left is None else known.bytes_a_day


def _in_inbox(config: Config, end: float) -> tuple[int, float]:
    options = config.intake
    names = Names.of(options)
    count, since = 0, float("inf")
    with suppress(OSError):
        for name, found, _ in walk(
            config.folder("inbox"), "", names, lambda *_: None, recursive=options.recursive
        ):
            if isinstance(found, os.DirEntry) and names.wants(name):
                with suppress(OSError):
                    since = min(since, found.stat(follow_symlinks=False).st_ctime)
                    count += 1
            if time.monotonic() > end:
                break
    return count, since


def _in_work(work: Path, end: float) -> list[float]:
    """When each photo in it was last touched, which is not before its claim."""
    claims: list[float] = []
    with suppress(OSError), os.scandir(work) as entries:
        for entry in entries:
            with suppress(OSError):
                claims.append(os.lstat(os.path.join(entry.path, ORIGINAL)).st_ctime)
            if time.monotonic() > end:
                break
    return claims
