"""What is asked for: how old, how much, how full. Looks at disks, not at files."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from depthd.config import Config
from depthd.retention.items import Item, Kind

SPARED = 600.0
"""Seconds for which nothing goes for want of room, so that results can be collected."""


@dataclass(frozen=True)
class Limits:
    """The limits of one pass.

    Attributes:
        ages: seconds; None is without end.
        sizes: bytes of all of a kind; None is without end.
        lacking: bytes that have to become free, by kinds that lie on a disk that lacks them.
        config: for what folders say themselves.
    """

    ages: Mapping[Kind, float | None]
    sizes: Mapping[Kind, int | None]
    lacking: Mapping[Kind, int]
    config: Config

    @classmethod
    def of(cls, config: Config) -> Limits:
        asked = config.retention
        return cls(
            ages={Kind.DONE: asked.done, Kind.FAILED: asked.failed, Kind.LOG: asked.log},
            sizes={
                Kind.DONE: asked.done_size,
                Kind.FAILED: asked.failed_size,
                Kind.LOG: asked.log_size,
            },
            lacking={} if asked.min_free is None else _lacking(config, asked.min_free),
            config=config,
        )

    def age(self, item_kind: Kind, folder: str) -> float | None:
        """Seconds that a folder's things of a kind are kept; None is without end."""
        if item_kind is not Kind.LOG:
            own = self.config.rules(folder).retention
            if isinstance(own, float):
                return own
        return self.ages[item_kind]

    def keeps_forever(self, item_kind: Kind, folder: str) -> bool:
        return item_kind is not Kind.LOG and self.config.rules(folder).retention == "forever"


def _lacking(config: Config, min_free: int) -> dict[Kind, int]:
    """Bytes that each kind has to make free: the most that any disk lacks on which it lies."""
    found: dict[Kind, int] = {}
    for name, kind in (("outbox", Kind.DONE), ("done", Kind.DONE), ("failed", Kind.FAILED)):
        lack = min_free - free_space(config.folder(name))
        if lack > 0:
            found[kind] = max(lack, found.get(kind, 0))
    return found


def free_space(folder: Path) -> int:
    """Bytes that are free for whoever runs this; very many where nobody can tell."""
    try:
        disk = os.statvfs(folder)
    except OSError:
        return 1 << 62
    return disk.f_bavail * disk.f_frsize


def is_spared(item: Item, now: float) -> bool:
    """Whether it is too young to go for want of room."""
    return now - item.since < SPARED
