"""Photos that are whole, handed out in fair turns.

Turns go round the owners, for each owner round his folders just below the inbox, in each of these
round its sub-folders; in one folder the order is the folder's. So nobody waits longer than one
photo of each of the others, however many somebody brings. Folders with priority come before the
others, but for one turn in eight. Of a folder that wants only its latest photo, the others are
handed out apart, to be skipped. Does no I/O.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from itertools import islice

from depthd.config.folders import FolderRules
from depthd.intake.candidate import Beneath, Busy, Candidate, Hold, top_of
from depthd.intake.queues import Queue, queue

_Place = tuple[int, str]  # owner and folder
_Rounds = OrderedDict[int, OrderedDict[str, OrderedDict[str, None]]]  # owner, top, folder
_Lane = OrderedDict[str, str]  # photos to be skipped, each with the newer one
RulesOf = Callable[[str], FolderRules]

_CLASSES = {"first": 0, "normal": 1, "last": 2}
_FOR_OTHERS = 8  # one turn in so many is not for those with more priority


class Turns:
    """Whole photos by owner and folder; some can be held without a cost to the others.

    Args:
        rules: what holds for a folder.
    """

    def __init__(self, rules: RulesOf = lambda _: FolderRules()) -> None:
        self._rules = rules
        self._known: dict[str, Candidate] = {}
        self._queues: dict[_Place, Queue] = {}
        self._lanes: OrderedDict[_Place, _Lane] = OrderedDict()
        self._owners: dict[str, set[int]] = {}  # by folder, held or not
        self._rounds: tuple[_Rounds, ...] = tuple(OrderedDict() for _ in _CLASSES)
        self._held = _Held()
        self._waiting = 0  # photos in the rounds
        self._turn = 0

    def __len__(self) -> int:
        return len(self._known)

    def __contains__(self, name: str) -> bool:
        return name in self._known

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def get(self, name: str) -> Candidate | None:
        return self._known.get(name)

    @property
    def oldest(self) -> float | None:
        """Since when the one has waited that has waited longest; looks at all of them."""
        return min((seen.since for seen in self._known.values()), default=None)

    @property
    def held(self) -> int:
        """How many photos are held."""
        lanes = sum(len(lane) for place, lane in self._lanes.items() if self._held.opens(place))
        return len(self._known) - self._waiting - lanes

    def add(self, seen: Candidate) -> None:
        """A photo is whole: it gets its turn in its folder, or keeps it if it is known.

        Where a folder goes by time, one that was replaced counts by its new one.
        """
        known = self._known.get(seen.name)
        if known is not None and (known.owner != seen.owner or self._is_newer(known, seen)):
            self.remove(seen.name)
            known = None
        self._known[seen.name] = seen
        place = (seen.owner, seen.folder)
        if known is not None:
            if known.mtime_ns != seen.mtime_ns:
                self._queues[place].renew(seen)
            return
        waiting = self._queues.get(place)
        if waiting is None:
            waiting = self._begin(place)
        waiting.add(seen)
        self._waiting += place not in self._held

    def _is_newer(self, known: Candidate, seen: Candidate) -> bool:
        """Whether a name that was to be skipped holds another photo now."""
        lane = self._lanes.get((known.owner, known.folder), ())
        return known.name in lane and known != seen

    def _begin(self, place: _Place) -> Queue:
        rules = self._rules(place[1])
        order = "newest" if rules.policy == "latest" else rules.order
        self._queues[place] = waiting = queue(order)
        self._owners.setdefault(place[1], set()).add(place[0])
        if place not in self._held:
            self._join(place)
        return waiting

    def remove(self, name: str) -> Candidate | None:
        """Forget a photo; returns what was known of it."""
        seen = self._known.pop(name, None)
        if seen is None:
            return None
        place = (seen.owner, seen.folder)
        lane = self._lanes.get(place)
        if lane is not None and name in lane:
            del lane[name]
            if not lane:
                del self._lanes[place]
            return seen
        self._queues[place].remove(name)
        self._waiting -= place not in self._held
        if not self._queues[place]:
            self._end(place)
        return seen

    def _end(self, place: _Place) -> None:
        if place not in self._held:
            self._leave(place)
        del self._queues[place]
        owners = self._owners[place[1]]
        owners.discard(place[0])
        if not owners:
            del self._owners[place[1]]

    def take(self) -> Candidate | None:
        """Hand out the photo whose turn it is, and forget it."""
        rounds = self._next_rounds()
        if rounds is None:
            return None
        owner, tops = next(iter(rounds.items()))
        top, folders = next(iter(tops.items()))
        folder = next(iter(folders))
        name = self._queues[owner, folder].first()
        rounds.move_to_end(owner)
        tops.move_to_end(top)
        folders.move_to_end(folder)
        seen = self.remove(name)
        if self._rules(folder).policy == "latest":
            self._skip_others((owner, folder), name)
        return seen

    def _next_rounds(self) -> _Rounds | None:
        """Those of the highest priority; now and then of a lower one, so that nobody starves."""
        self._turn += 1
        least = (self._turn % _FOR_OTHERS == 0) + (self._turn % _FOR_OTHERS**2 == 0)
        for rounds in (*self._rounds[least:], *self._rounds[:least]):
            if rounds:
                return rounds
        return None

    def _skip_others(self, place: _Place, newer: str) -> None:
        """What waits beside the latest photo of a folder is older."""
        others = list(self._queues.get(place, ()))
        if not others:
            return
        self._waiting -= len(others)
        self._end(place)
        self._lanes.setdefault(place, OrderedDict()).update(dict.fromkeys(others, newer))

    def not_taken(self, seen: Candidate) -> None:
        """It was handed out and stays in the inbox: those that it was newer than wait again."""
        lane = self._lanes.get((seen.owner, seen.folder), _Lane())
        for name in [name for name, newer in lane.items() if newer == seen.name]:
            older = self.remove(name)
            if older is not None:
                self.add(older)

    def take_skipped(self, count: int) -> list[Candidate]:
        """Hand out photos that are not to be worked on, each with the newer one; forget them."""
        taken: list[Candidate] = []
        for place in [place for place in self._lanes if self._held.opens(place)]:
            lane = self._lanes[place]
            self._lanes.move_to_end(place)
            for name, newer in list(islice(lane.items(), count - len(taken))):
                seen = self.remove(name)
                if seen is not None:
                    taken.append(replace(seen, newer=newer))
            if len(taken) == count:
                break
        return taken

    def hold(self, held: Collection[Hold]) -> None:
        """Leave out these from now on, and no others."""
        if held == self._held.all:
            return
        before, self._held = self._held, _Held(held)
        changed = {place for hold in before.all ^ self._held.all for place in self._places(hold)}
        for place in changed:
            was_held, is_held = place in before, place in self._held
            if is_held and not was_held:
                self._leave(place)
                self._waiting -= len(self._queues[place])
            elif was_held and not is_held:
                self._join(place)
                self._waiting += len(self._queues[place])

    def held_names(self, count: int) -> list[str]:
        """Some of the photos that are held."""
        return list(islice(self._held_names(), count))

    def _held_names(self) -> Iterator[str]:
        for place, waiting in self._queues.items():
            if place in self._held:
                yield from waiting
        for place, lane in self._lanes.items():
            if not self._held.opens(place):
                yield from lane

    def _places(self, hold: Hold) -> list[_Place]:
        """Where photos wait that a hold means."""
        match hold:
            case str():
                return [(owner, hold) for owner in self._owners.get(hold, ())]
            case Beneath():
                return [place for place in self._queues if hold.holds(place[1])]
            case int():
                return [place for place in self._queues if place[0] == hold]
            case Busy():
                return [hold.place] if hold.place in self._queues else []
            case _:
                return [hold] if hold in self._queues else []

    def _join(self, place: _Place) -> None:
        owner, folder = place
        rounds = self._rounds[self._class(folder)]
        tops = rounds.setdefault(owner, OrderedDict())
        tops.setdefault(top_of(folder), OrderedDict())[folder] = None

    def _leave(self, place: _Place) -> None:
        owner, folder = place
        rounds = self._rounds[self._class(folder)]
        tops = rounds[owner]
        folders = tops[top_of(folder)]
        del folders[folder]
        if not folders:
            del tops[top_of(folder)]
        if not tops:
            del rounds[owner]

    def _class(self, folder: str) -> int:
        return _CLASSES[self._rules(folder).priority]


class _Held:
    """A set of holds, and which places they mean."""

    def __init__(self, held: Collection[Hold] = ()) -> None:
        self.all = frozenset(held)
        self._beneath = [hold for hold in self.all if isinstance(hold, Beneath)]
        self._busy = {hold.place for hold in self.all if isinstance(hold, Busy)}

    def __contains__(self, place: _Place) -> bool:
        return place in self._busy or not self.opens(place)

    def opens(self, place: _Place) -> bool:
        """Whether what is only to be skipped may be taken from a place."""
        owner, folder = place
        return not (
            folder in self.all
            or owner in self.all
            or place in self.all
            or any(hold.holds(folder) for hold in self._beneath)
        )
