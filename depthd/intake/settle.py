"""When a file counts as whole: a state machine over looks and events, with an explicit clock.

Does no I/O and knows no watcher. The rules:

* an event said that the writer is done: whole when unchanged for `settle`;
* only looks: whole when unchanged over two looks that are at least `settle` apart;
* found by a periodic scan although events work, so that its writer is probably still at it: the
  same, but the looks are `patience` apart.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from itertools import islice

# Two looks in the same instant prove nothing, so without events `settle: 0s` means this.
SHORTEST_QUIET = 0.5


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file in the inbox as it looked the last time.

    `name` is relative to the inbox, separated by slashes; bytes that are not UTF-8 are
    surrogates, as `os.fsdecode` makes them.
    """

    name: str
    size: int
    mtime_ns: int
    device: int
    inode: int


# By name: what the last look showed, and when that was seen first. Each queue is in the order of
# its times, because the quiet time is the same for all in it.
_Queue = OrderedDict[str, tuple[Candidate, float]]


class Settling:
    """Files on their way to being whole, and those that are.

    Args:
        settle: seconds without a change.
        patience: the same for what only a periodic scan found.
        limit: most files to remember; beyond it, new ones set `is_full` and are left out.
    """

    def __init__(self, settle: float, patience: float, limit: int = 100_000) -> None:
        self._settle = settle
        self._quiet = 0.0
        self._patience = max(patience, settle, SHORTEST_QUIET)
        self._limit = limit
        self.is_full = False
        self._by_event: _Queue = OrderedDict()
        self._by_look: _Queue = OrderedDict()
        self._by_scan: _Queue = OrderedDict()
        self._ready: OrderedDict[str, Candidate] = OrderedDict()
        self.trust_looks_after(settle)

    def trust_looks_after(self, seconds: float) -> None:
        """Set how far two looks must be apart where no event helps; `settle` at least."""
        self._quiet = max(seconds, self._settle, SHORTEST_QUIET)

    def __len__(self) -> int:
        return len(self._by_event) + len(self._by_look) + len(self._by_scan) + len(self._ready)

    def regains_room(self) -> bool:
        """Whether it was full and half is free again; says so once."""
        regains = self.is_full and len(self) <= self._limit // 2
        self.is_full = self.is_full and not regains
        return regains

    def is_ready(self, name: str) -> bool:
        return name in self._ready

    def closed(self, seen: Candidate, now: float) -> bool:
        """An event said that its writer is done; returns whether it is whole at once."""
        if seen.size == 0:  # often only the announcement of a file
            self._start(seen, now, self._by_look)
            return False
        has_room = self._start(seen, now, self._by_event)
        return has_room and self._settle == 0 and self._finish(seen)

    def seen(self, seen: Candidate, now: float, *, by_scan: bool = False) -> bool:
        """A look; returns whether it showed the file to be whole.

        Args:
            seen: what the look showed.
            now: time of the look, in seconds of a monotonic clock.
            by_scan: a periodic scan looked while events work.
        """
        name = seen.name
        if name in self._ready:
            if self._ready[name] != seen:
                self._start(seen, now, self._by_look)
            return False
        queue, quiet = self._find(name)
        if queue is None:
            self._start(seen, now, self._by_scan if by_scan else self._by_look)
            return False
        before, since = queue[name]
        if before == seen and now - since >= quiet:
            return self._finish(seen)
        if before != seen or (queue is self._by_scan and not by_scan):
            self._start(seen, now, self._by_look)  # it changes, or something doubts the events
        return False

    def restart(self, seen: Candidate, now: float) -> None:
        """Not to be taken now although it may look whole; two more looks decide."""
        self._start(seen, now, self._by_look)

    def gone(self, name: str) -> None:
        """It vanished, or is none of ours."""
        for queue, _ in self._queues:
            if queue.pop(name, None) is not None:
                return
        self._ready.pop(name, None)

    def clear(self) -> None:
        for queue, _ in self._queues:
            queue.clear()
        self._ready.clear()

    def due(self, now: float, count: int) -> list[str]:
        """Names that want their second look, at most about `count` of them."""
        names: list[str] = []
        for queue, quiet in self._queues:
            for name, (_, since) in islice(queue.items(), count):
                if now - since < quiet:
                    break
                names.append(name)
        return names

    def next_due(self) -> float:
        """When the next second look is wanted; infinity when none is."""
        times = [next(iter(queue.values()))[1] + quiet for queue, quiet in self._queues if queue]
        return min(times, default=float("inf"))

    def take(self) -> Candidate | None:
        """Hand out the file that has been whole longest, and forget it."""
        return self._ready.popitem(last=False)[1] if self._ready else None

    @property
    def _queues(self) -> tuple[tuple[_Queue, float], ...]:
        return (
            (self._by_event, self._settle),
            (self._by_look, self._quiet),
            (self._by_scan, self._patience),
        )

    def _find(self, name: str) -> tuple[_Queue | None, float]:
        for queue, quiet in self._queues:
            if name in queue:
                return queue, quiet
        return None, 0.0

    def _start(self, seen: Candidate, now: float, queue: _Queue) -> bool:
        self.gone(seen.name)
        if len(self) >= self._limit:
            self.is_full = True
            return False
        queue[seen.name] = (seen, now)
        return True

    def _finish(self, seen: Candidate) -> bool:
        self.gone(seen.name)
        self._ready[seen.name] = seen
        return True
