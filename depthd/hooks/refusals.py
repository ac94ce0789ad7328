"""What a receiver has not taken: when each is told again, and which of a photo comes first.

Knows no queue, no receiver and no backoff.
"""

from __future__ import annotations

import heapq
from collections.abc import ItemsView
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Refused:
    """A piece of news that was not taken, or waits for one of its photo that was not.

    Attributes:
        failures: how often.
        due: when it is told again, in seconds of the monotonic clock.
        since: when it came, by the same clock: the other one may be set.
        photo: of which it tells.
        reason: the last one.
    """

    failures: int
    due: float
    since: float
    photo: str
    reason: str


class Refusals:
    """All that was refused, by its name in the queue."""

    def __init__(self) -> None:
        self._all: dict[str, Refused] = {}
        self._photos: dict[str, list[str]] = {}  # a heap of the names that tell of each

    def __contains__(self, name: object) -> bool:
        return name in self._all

    def __len__(self) -> int:
        return len(self._all)

    def items(self) -> ItemsView[str, Refused]:
        return self._all.items()

    def get(self, name: str) -> Refused | None:
        return self._all.get(name)

    def remember(self, name: str, refused: Refused) -> None:
        """It was refused, or waits."""
        before = self._all.get(name)
        self._all[name] = refused
        if refused.photo and (before is None or before.photo != refused.photo):
            heapq.heappush(self._photos.setdefault(refused.photo, []), name)

    def forget(self, name: str) -> None:
        """It was taken, or given up."""
        refused = self._all.pop(name, None)
        if refused is not None:
            self._first(refused.photo)

    def before(self, name: str, photo: str) -> Refused | None:
        """The oldest news of a photo, if it is older than this one."""
        first = self._first(photo)
        return self._all[first] if first is not None and first < name else None

    def due(self, now: float) -> list[str]:
        """What is told again now; the longest due first, so that each has its turn."""
        due = sorted((each.due, name) for name, each in self._all.items() if each.due <= now)
        return [name for _, name in due]

    @property
    def next_due(self) -> float:
        """When the next one is told again; there must be one."""
        return min(refused.due for refused in self._all.values())

    @property
    def oldest(self) -> float:
        """When the oldest one came; there must be one."""
        return min(refused.since for refused in self._all.values())

    def _first(self, photo: str) -> str | None:
        names = self._photos.get(photo, [])
        while names and names[0] not in self._all:
            heapq.heappop(names)
        if names:
            return names[0]
        self._photos.pop(photo, None)
        return None
