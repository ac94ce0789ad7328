"""What can go: one photo's set, or one log. Knows names and times, no files."""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import StrEnum

from depthd.contract.names import SetName


class Kind(StrEnum):
    """What it is; each has limits of its own."""

    DONE = "done"
    FAILED = "failed"
    LOG = "log"


class Why(StrEnum):
    """The limit for which something goes."""

    AGE = "age"
    SIZE = "size"
    MIN_FREE = "min_free"


@dataclass(frozen=True, slots=True)
class Identity:
    """An original as a look showed it: another one of its name is not meant."""

    inode: int
    changed: int  # nanoseconds

    @classmethod
    def of(cls, about: os.stat_result) -> Identity:
        return cls(about.st_ino, about.st_ctime_ns)


@dataclass(frozen=True, slots=True)
class Item:
    """Something that may go.

    Attributes:
        since: when it came here, in seconds since the epoch.
        kind: what it is.
        name: of its set; of a log its own.
        original: of a photo; None where it was taken away.
        is_due: its age alone says that it has to go.
    """

    since: float
    kind: Kind
    name: SetName
    original: Identity | None = None
    is_due: bool = False


@dataclass(frozen=True, slots=True)
class Removed:
    """What went, or would have gone.

    Attributes:
        item: what it was.
        why: the limit that said so.
        size: bytes.
        results: bytes of these that lay in the outbox.
        job: of a photo, as its manifest or reason has it; empty where neither is there.
    """

    item: Item
    why: Why
    size: int
    results: int
    job: str
