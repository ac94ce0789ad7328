"""Photos that may have killed the worker: each is tried again with the worker for itself.

They come after the others, and whoever's photo kept the worker busy in vain waits longest, so that
nobody's bad photos hold up everybody. Knows times, no files and no worker. Times are seconds of the
loop's clock.
"""

from __future__ import annotations

from collections import deque

from depthd.supervisor.table import NEVER, Entry

_PATIENCE = 30.0  # seconds that a suspect waits at most while others have work, if it may
# An account whose suspect kept the worker busy in vain waits so many times as long: while others
# have work, they get nine tenths of the time.
_OTHERS_SHARE = 9.0


class Suspects:
    """The queue of those that wait to be tried alone."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[float, Entry]] = deque()  # since when
        self._not_before: dict[tuple[str, int], float] = {}
        self.alone: Entry | None = None  # has the worker for itself

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, entry: Entry, now: float) -> None:
        self._waiting.append((now, entry))

    def clear(self) -> None:
        self._waiting.clear()

    def next_time(self, now: float) -> float:
        """When to look again although nothing has happened."""
        return now + 1.0 if self._waiting else NEVER

    def wants_turn(self, now: float, *, others_wait: bool) -> bool:
        """Whether the worker should be left to one of them."""
        if not others_wait:
            return bool(self._waiting)
        return any(
            now - since >= _PATIENCE and now >= self._not_before.get(entry.account, 0.0)
            for since, entry in self._waiting
        )

    def take(self) -> Entry:
        """The next one, of the account that has wasted least lately; it has the worker alone."""
        chosen = min(self._waiting, key=lambda one: self._not_before.get(one[1].account, 0.0))
        self._waiting.remove(chosen)
        self.alone = chosen[1]
        return self.alone

    def leave(self, entry: Entry) -> None:
        """It does not have the worker any more."""
        if entry is self.alone:
            self.alone = None

    def wasted(self, entry: Entry, now: float) -> None:
        """It killed the worker: its account has to wait before its next."""
        if entry is self.alone:
            self._not_before[entry.account] = now + _OTHERS_SHARE * (now - entry.since)
            over = [account for account, until in self._not_before.items() if until < now]
            for account in over:
                del self._not_before[account]
