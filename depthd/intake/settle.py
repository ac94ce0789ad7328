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

from collections import OrderedDict
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from itertools import islice

from depthd.config.folders import FolderRules
from depthd.intake.candidate import Candidate, Hold
from depthd.intake.room import Room
from depthd.intake.turns import RulesOf, Turns

# Two looks in the same instant prove nothing, so without events `settle: 0s` means this.
SHORTEST_QUIET = 0.5

_LONGEST_WAIT = 5  # times `settle`, for a name that is rewritten without end
_REMEMBERED = 1000  # rewritten names that were handed out


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

    Memory is bounded, and shared fairly: see `Room`.

    Args:
        settle: seconds without a change.
        patience: the same for what only a periodic scan found.
        limit: most files to remember; a long name counts as several.
        rules: what holds for a folder.
    """

    def __init__(
        self,
        settle: float,
        patience: float,
        limit: int = 50_000,
        rules: RulesOf = lambda _: FolderRules(),
    ) -> None:
        self._rules = rules
        self._settle = settle
        self._quiet = 0.0
        self._patience = max(patience, settle, SHORTEST_QUIET)
        self._room = Room(limit)
        self._by_event: _Queue = OrderedDict()
        self._by_look: _Queue = OrderedDict()
        self._by_scan: _Queue = OrderedDict()
        self._ready = Turns(self._rules)
        self._rewritten: OrderedDict[str, float] = OrderedDict()  # ready or handed out: first seen
        self.trust_looks_after(settle)

    def trust_looks_after(self, seconds: float) -> None:
        """Set how far two looks must be apart where no event helps; `settle` at least."""
        self._quiet = max(seconds, self._settle, SHORTEST_QUIET)

    def __len__(self) -> int:
        return len(self._by_event) + len(self._by_look) + len(self._by_scan) + len(self._ready)

    @property
    def oldest(self) -> float | None:
        """Since when a whole file has waited; see `Turns.oldest`."""
        return self._ready.oldest

    @property
    def held(self) -> int:
        """How many whole files are held."""
        return self._ready.held

    @property
    def is_full(self) -> bool:
        """Whether files were left out that only another scan can find again."""
        return self._room.is_full

    def folders_with_room(self) -> list[str]:
        """Folders below the inbox that were turned away and have room again; says so once."""
        return self._room.regained()

    def knows(self, name: str) -> bool:
        return name in self._ready or self._find(name)[0] is not None

    def is_ready(self, name: str) -> bool:
        return name in self._ready

    def ready_names(self) -> Iterator[str]:
        """All whole files, those that are held too."""
        return iter(self._ready)

    def closed(self, seen: Candidate, now: float, *, is_done: bool = False) -> bool:
        """An event said that its writer closed it; returns whether it is whole at once.

        Args:
            seen: what a look showed after the event.
            now: time of the look, in seconds of a monotonic clock.
            is_done: it got its name only when the writer was done.
        """
        before = self._recall(seen.name)
        if before is None:  # another photo than the one that had this name and was handed out
            self._rewritten.pop(seen.name, None)
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
            self._rewritten.pop(name, None)
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
        self._ready = Turns(self._rules)
        self._rewritten.clear()
        self._room = Room(self._room.limit)

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

    def hold(self, held: Collection[Hold]) -> None:
        """Hand out nothing of these; see `Turns.hold`."""
        self._ready.hold(held)

    def take_skipped(self, count: int) -> list[Candidate]:
        """Hand out whole files that are not to be worked on, and forget them."""
        skipped = self._ready.take_skipped(count)
        for seen in skipped:
            self._room.release(seen)
        return skipped

    def take(self) -> Candidate | None:
        """Hand out the whole file whose turn it is, and forget it."""
        seen = self._ready.take()
        if seen is not None:
            self._room.release(seen)
        return seen

    def not_taken(self, seen: Candidate) -> None:
        """It was handed out and stays in the inbox; see `Turns.not_taken`."""
        self._ready.not_taken(seen)

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
        """It was handed out and not taken; look at it again."""
        self.not_taken(seen)
        first = self._rewritten.pop(seen.name, None)
        first, is_rewritten = (now, False) if first is None else (first, True)
        wait = _Wait(replace(seen, newer=""), now, first, is_rewritten)
        self._start(wait, self._by_look)

    def _remember_rewritten(self, name: str, first: float) -> None:
        self._rewritten[name] = first
        self._rewritten.move_to_end(name)
        if len(self._rewritten) > _REMEMBERED:
            self._rewritten.popitem(last=False)

    def _start(self, wait: _Wait, queue: _Queue) -> None:
        self._drop(wait.seen.name)
        if self._room.reserve(wait.seen):
            queue[wait.seen.name] = wait

    def _finish(self, seen: Candidate) -> bool:
        """Returns whether there is room for it; one that was ready keeps its turn."""
        known = self._ready.get(seen.name)
        if known is not None and known.owner == seen.owner:
            self._ready.add(seen)
            return True
        self._drop(seen.name)
        has_room = self._room.reserve(seen)
        if has_room:
            self._ready.add(seen)
        return has_room

    def _drop(self, name: str) -> None:
        for queue, _ in self._queues:
            wait = queue.pop(name, None)
            if wait is not None:
                self._room.release(wait.seen)
                return
        seen = self._ready.remove(name)
        if seen is not None:
            self._room.release(seen)


def _is_another(before: Candidate, after: Candidate) -> bool:
    """Whether a closed file was written anew, and not only gone on with at its end."""
    if before.inode != after.inode:
        return True
    return before.mtime_ns != after.mtime_ns and after.size <= before.size
