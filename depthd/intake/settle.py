"""When a file counts as whole: a state machine over looks and events, with an explicit clock.

Does no I/O and knows no watcher. The rules:

* it got its name from a writer that was done (a rename, a hard link): whole at once;
* an event said that the writer closed it: whole when unchanged for `settle`;
* it is rewritten and closed again and again: whole at one of these closes, once it has waited
  five times `settle`;
* only looks: whole when unchanged over two looks that are at least `settle` apart;
* found by a periodic scan although events work, so that its writer is probably still at it: the
  same, but the looks are `patience` apart.
"""

from __future__ import annotations

import sys
from collections import Counter, OrderedDict
from collections.abc import Collection
from dataclasses import dataclass
from itertools import islice

from depthd.intake.candidate import Candidate
from depthd.intake.turns import Turns

# Two looks in the same instant prove nothing, so without events `settle: 0s` means this.
SHORTEST_QUIET = 0.5

_LONGEST_WAIT = 5  # times `settle`, for a name that is rewritten without end
_REMEMBERED = 1000  # rewritten names that were handed out, and folders that were turned away
_UNIT = 128  # bytes of a name that count as one more file
_OWNER_SHARE = 4  # times the free room that one owner may fill; for a folder it is once

_Group = tuple[int, str]  # owner and folder just below the inbox


@dataclass(slots=True)
class _Wait:
    seen: Candidate  # what the last look showed
    since: float  # when that was seen first
    first: float  # when the name was
    is_rewritten: bool = False  # closed again with something that is no continuation


# By name, in the order of `since`, because the quiet time is the same for all in a queue.
_Queue = OrderedDict[str, _Wait]


class Settling:
    """Files on their way to being whole, and those that are.

    Memory is bounded, and shared fairly: a folder below the inbox may fill as much room as is
    left then, one owner four times that; so there is always room for somebody else.

    Args:
        settle: seconds without a change.
        patience: the same for what only a periodic scan found.
        limit: most files to remember; a long name counts as several.
    """

    def __init__(self, settle: float, patience: float, limit: int = 50_000) -> None:
        self._settle = settle
        self._quiet = 0.0
        self._patience = max(patience, settle, SHORTEST_QUIET)
        self._limit = limit
        self._room = limit
        self._room_before = limit  # when folders with room were looked for
        self._by_group: Counter[_Group] = Counter()
        self._by_owner: Counter[int] = Counter()
        self._turned_away: dict[_Group, None] = {}
        self._by_event: _Queue = OrderedDict()
        self._by_look: _Queue = OrderedDict()
        self._by_scan: _Queue = OrderedDict()
        self._ready = Turns()
        self._rewritten: OrderedDict[str, float] = OrderedDict()  # ready or handed out: first seen
        self.trust_looks_after(settle)

    def trust_looks_after(self, seconds: float) -> None:
        """Set how far two looks must be apart where no event helps; `settle` at least."""
        self._quiet = max(seconds, self._settle, SHORTEST_QUIET)

    def __len__(self) -> int:
        return len(self._by_event) + len(self._by_look) + len(self._by_scan) + len(self._ready)

    @property
    def held(self) -> int:
        """How many whole files lie in held folders."""
        return self._ready.held

    @property
    def is_full(self) -> bool:
        """Whether files were left out that only another scan can find again."""
        return bool(self._turned_away)

    def folders_with_room(self) -> list[str]:
        """Folders below the inbox that were turned away and have room again; says so once."""
        if self._room <= self._room_before:
            return []
        self._room_before = self._room
        regained = [group for group in self._turned_away if self._has_room(group, 1, spare=2)]
        for group in regained:
            del self._turned_away[group]
        return list(dict.fromkeys(top for _, top in regained))

    def knows(self, name: str) -> bool:
        return name in self._ready or self._find(name)[0] is not None

    def is_ready(self, name: str) -> bool:
        return name in self._ready

    def closed(self, seen: Candidate, now: float, *, is_done: bool = False) -> bool:
        """An event said that its writer closed it; returns whether it is whole at once.

        Args:
            seen: what a look showed after the event.
            now: time of the look, in seconds of a monotonic clock.
            is_done: it got its name only when the writer was done.
        """
        before = self._recall(seen.name)
        first = now if before is None else before.first
        is_rewritten = before is not None and (
            before.is_rewritten or _is_another(before.seen, seen)
        )
        if seen.size == 0:  # often only the announcement of a file
            self._start(_Wait(seen, now, first, is_rewritten), self._by_look)
            return False
        is_late = is_rewritten and now - first >= _LONGEST_WAIT * self._settle
        if is_done or is_late or self._settle == 0:
            if is_late and self._settle:
                self._remember_rewritten(seen.name, first)
            return self._finish(seen)
        self._start(_Wait(seen, now, first, is_rewritten), self._by_event)
        return False

    def seen(self, seen: Candidate, now: float, *, by_scan: bool = False) -> bool:
        """A look; returns whether it showed the file to be whole.

        Args:
            seen: what the look showed.
            now: time of the look, in seconds of a monotonic clock.
            by_scan: a periodic scan looked while events work.
        """
        name = seen.name
        if name in self._ready:
            if self._ready.get(name) != seen:
                self.restart(seen, now)
            return False
        queue, quiet = self._find(name)
        if queue is None:
            self._start(_Wait(seen, now, now), self._by_scan if by_scan else self._by_look)
            return False
        wait = queue[name]
        if wait.seen == seen and now - wait.since >= quiet:
            return self._finish(seen)
        if wait.seen != seen or (queue is self._by_scan and not by_scan):
            self.restart(seen, now)  # it changes, or something doubts the events
        return False

    def restart(self, seen: Candidate, now: float) -> None:
        """Not to be taken now although it may look whole; two more looks decide."""
        before = self._recall(seen.name)
        first = now if before is None else before.first
        is_rewritten = before is not None and before.is_rewritten
        self._start(_Wait(seen, now, first, is_rewritten), self._by_look)

    def gone(self, name: str) -> None:
        """It vanished, or is none of ours."""
        self._rewritten.pop(name, None)
        self._drop(name)

    def clear(self) -> None:
        """Forget everything."""
        for queue, _ in self._queues:
            queue.clear()
        self._ready = Turns()
        self._rewritten.clear()
        self._turned_away.clear()
        self._by_group.clear()
        self._by_owner.clear()
        self._room = self._limit

    def due(self, now: float, count: int) -> list[str]:
        """Names that want their second look, at most about `count` of them."""
        names: list[str] = []
        for queue, quiet in self._queues:
            for name, wait in islice(queue.items(), count):
                if now - wait.since < quiet:
                    break
                names.append(name)
        return names

    def next_due(self) -> float:
        """When the next second look is wanted; infinity when none is."""
        times = [next(iter(queue.values())).since + quiet for queue, quiet in self._queues if queue]
        return min(times, default=float("inf"))

    def held_names(self, count: int) -> list[str]:
        """Some of them."""
        return self._ready.held_names(count)

    def hold(self, folders: Collection[str]) -> None:
        """Hand out nothing from these folders; see `Turns.hold`."""
        self._ready.hold(folders)

    def take(self) -> Candidate | None:
        """Hand out the whole file whose turn it is, and forget it."""
        seen = self._ready.take()
        if seen is not None:
            self._release(seen)
        return seen

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

    def _recall(self, name: str) -> _Wait | None:
        """What is known of a name, also of one that was rewritten without end."""
        queue, _ = self._find(name)
        if queue is not None:
            return queue[name]
        first = self._rewritten.get(name)
        known = self._ready.get(name)
        if first is None or known is None:
            return None
        return _Wait(known, first, first, is_rewritten=True)

    def put_back(self, seen: Candidate, now: float) -> None:
        """It was handed out and not taken."""
        first = self._rewritten.pop(seen.name, None)
        wait = _Wait(seen, now, now if first is None else first, is_rewritten=first is not None)
        self._start(wait, self._by_look)

    def _remember_rewritten(self, name: str, first: float) -> None:
        self._rewritten[name] = first
        self._rewritten.move_to_end(name)
        if len(self._rewritten) > _REMEMBERED:
            self._rewritten.popitem(last=False)

    def _start(self, wait: _Wait, queue: _Queue) -> None:
        self._drop(wait.seen.name)
        if self._reserve(wait.seen):
            queue[wait.seen.name] = wait

    def _finish(self, seen: Candidate) -> bool:
        """Returns whether there is room for it; one that was ready keeps its turn."""
        known = self._ready.get(seen.name)
        if known is not None and known.owner == seen.owner:
            self._ready.add(seen)
            return True
        self._drop(seen.name)
        has_room = self._reserve(seen)
        if has_room:
            self._ready.add(seen)
        return has_room

    def _drop(self, name: str) -> None:
        for queue, _ in self._queues:
            wait = queue.pop(name, None)
            if wait is not None:
                self._release(wait.seen)
                return
        seen = self._ready.remove(name)
        if seen is not None:
            self._release(seen)

    def _reserve(self, seen: Candidate) -> bool:
        group, cost = (seen.owner, seen.top), _cost(seen.name)
        if not self._has_room(group, cost):
            if len(self._turned_away) < _REMEMBERED:
                self._turned_away[group] = None
            self._room_before = min(self._room_before, self._room)
            return False
        self._room -= cost
        self._by_group[group] += cost
        self._by_owner[seen.owner] += cost
        return True

    def _release(self, seen: Candidate) -> None:
        group, cost = (seen.owner, seen.top), _cost(seen.name)
        self._room += cost
        self._by_group[group] -= cost
        self._by_owner[seen.owner] -= cost
        if not self._by_group[group]:
            del self._by_group[group]
        if not self._by_owner[seen.owner]:
            del self._by_owner[seen.owner]

    def _has_room(self, group: _Group, cost: int, spare: int = 1) -> bool:
        """Whether a group may grow; with `spare`, so far below its share."""
        room = self._room - cost
        if room < 0:
            return False
        mine, owners = self._by_group[group] * spare, self._by_owner[group[0]] * spare
        return mine <= room and owners <= _OWNER_SHARE * room


def _cost(name: str) -> int:
    """How many files of a usual name an entry weighs in memory."""
    return 1 + sys.getsizeof(name) // _UNIT


def _is_another(before: Candidate, after: Candidate) -> bool:
    """Whether a closed file was written anew, and not only gone on with at its end."""
    if before.inode != after.inode:
        return True
    return before.mtime_ns != after.mtime_ns and after.size <= before.size
