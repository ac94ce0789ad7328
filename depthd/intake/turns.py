"""Photos that are whole, handed out in fair turns.

Turns go round the owners, for each owner round his folders just below the inbox, in each of these
round its sub-folders; in one folder the longest waiting comes first. So nobody waits longer than
one photo of each of the others, however many somebody brings. Does no I/O.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection
from itertools import islice

from depthd.intake.candidate import Beneath, Candidate, Hold, top_of

_Place = tuple[int, str]  # owner and folder
_Rounds = OrderedDict[int, OrderedDict[str, OrderedDict[str, None]]]  # owner, top, folder


class Turns:
    """Whole photos by owner and folder; some can be held without a cost to the others."""

    def __init__(self) -> None:
        self._known: dict[str, Candidate] = {}
        self._queues: dict[_Place, OrderedDict[str, None]] = {}
        self._owners: dict[str, set[int]] = {}  # by folder, held or not
        self._rounds: _Rounds = OrderedDict()  # the places whose turn can come
        self._held = _Held()
        self._waiting = 0  # photos in the rounds

    def __len__(self) -> int:
        return len(self._known)

    def __contains__(self, name: str) -> bool:
        return name in self._known

    def get(self, name: str) -> Candidate | None:
        return self._known.get(name)

    @property
    def oldest(self) -> float | None:
        """Since when the one has waited that has waited longest; looks at all of them."""
        return min((seen.since for seen in self._known.values()), default=None)

    @property
    def held(self) -> int:
        """How many photos are held."""
        return len(self._known) - self._waiting

    def add(self, seen: Candidate) -> None:
        """A photo is whole: it comes last in its folder, or keeps its place if it is known."""
        known = self._known.get(seen.name)
        if known is not None and known.owner != seen.owner:
            self.remove(seen.name)
            known = None
        self._known[seen.name] = seen
        if known is not None:
            return
        place = (seen.owner, seen.folder)
        queue = self._queues.get(place)
        if queue is None:
            queue = self._queues[place] = OrderedDict()
            self._owners.setdefault(seen.folder, set()).add(seen.owner)
            if not self._is_held(place):
                self._join(place)
        queue[seen.name] = None
        self._waiting += not self._is_held(place)

    def remove(self, name: str) -> Candidate | None:
        """Forget a photo; returns what was known of it."""
        seen = self._known.pop(name, None)
        if seen is None:
            return None
        place = (seen.owner, seen.folder)
        queue = self._queues[place]
        del queue[name]
        is_held = self._is_held(place)
        self._waiting -= not is_held
        if not queue:
            if not is_held:
                self._leave(place)
            self._forget(place)
        return seen

    def take(self) -> Candidate | None:
        """Hand out the photo whose turn it is, and forget it."""
        if not self._rounds:
            return None
        owner, tops = next(iter(self._rounds.items()))
        top, folders = next(iter(tops.items()))
        folder = next(iter(folders))
        name = next(iter(self._queues[owner, folder]))
        self._rounds.move_to_end(owner)
        tops.move_to_end(top)
        folders.move_to_end(folder)
        return self.remove(name)

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
        queues = (queue for place, queue in self._queues.items() if self._is_held(place))
        return list(islice((name for queue in queues for name in queue), count))

    def _is_held(self, place: _Place) -> bool:
        return place in self._held

    def _places(self, hold: Hold) -> list[_Place]:
        """Where photos wait that a hold means."""
        match hold:
            case str():
                return [(owner, hold) for owner in self._owners.get(hold, ())]
            case Beneath():
                return [place for place in self._queues if hold.holds(place[1])]
            case int():
                return [place for place in self._queues if place[0] == hold]
            case _:
                return [hold] if hold in self._queues else []

    def _join(self, place: _Place) -> None:
        owner, folder = place
        tops = self._rounds.setdefault(owner, OrderedDict())
        tops.setdefault(top_of(folder), OrderedDict())[folder] = None

    def _leave(self, place: _Place) -> None:
        owner, folder = place
        tops = self._rounds[owner]
        folders = tops[top_of(folder)]
        del folders[folder]
        if not folders:
            del tops[top_of(folder)]
        if not tops:
            del self._rounds[owner]

    def _forget(self, place: _Place) -> None:
        del self._queues[place]
        owners = self._owners[place[1]]
        owners.discard(place[0])
        if not owners:
            del self._owners[place[1]]


class _Held:
    """A set of holds, and which places they mean."""

    def __init__(self, held: Collection[Hold] = ()) -> None:
        self.all = frozenset(held)
        self._beneath = [hold for hold in self.all if isinstance(hold, Beneath)]

    def __contains__(self, place: _Place) -> bool:
        owner, folder = place
        return (
            folder in self.all
            or owner in self.all
            or place in self.all
            or any(hold.holds(folder) for hold in self._beneath)
        )
