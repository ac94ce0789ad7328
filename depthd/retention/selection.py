"""Which things go: the oldest first, as many as the limits say. Looks at nothing itself."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from depthd.retention.items import Item, Kind, Why
from depthd.retention.limits import Limits, is_spared

MOST = 20_000  # things remembered of each kind; what is beyond waits for the next pass


@dataclass
class Selection:
    """The oldest of what may go.

    Args:
        limits: what is asked for.
        now: seconds since the epoch.
        most: things remembered of each kind.
        after: what is older was offered to an earlier pass, and what is left of it has to stay.
    """

    limits: Limits
    now: float
    most: int = MOST
    after: Mapping[Kind, float] = field(default_factory=dict)
    is_full: bool = False
    _heaps: dict[Kind, list[tuple[float, int, Item]]] = field(default_factory=dict)
    _seen: int = 0
    _folder: tuple[Kind, tuple[str, ...]] | None = None
    _age: float | None = None
    _is_kept: bool = False
    _over: dict[Kind, int] = field(default_factory=dict)
    _lacking: dict[Kind, int] = field(default_factory=dict)

    def offer(self, item: Item) -> None:
        """Remember it if it may have to go and is among the oldest."""
        self._look_up(item)
        if self._is_kept or item.since <= self.after.get(item.kind, -math.inf):
            return
        age = self.now - item.since
        is_due = self._age is not None and age >= self._age
        wants_room = self.limits.sizes[item.kind] is not None or item.kind in self.limits.lacking
        if not is_due and (not wants_room or is_spared(item, self.now)):
            return
        self._seen += 1
        heap = self._heaps.setdefault(item.kind, [])
        # The youngest is on top: it makes room for an older one.
        entry = (-item.since, self._seen, replace(item, is_due=is_due))
        if len(heap) < self.most:
            heapq.heappush(heap, entry)
        else:
            self.is_full = True
            heapq.heappushpop(heap, entry)

    def _look_up(self, item: Item) -> None:
        """What holds for a folder; asked once for all in it, which come one after the other."""
        place = (item.kind, item.name.folders)
        if place != self._folder:
            self._folder = place
            self._age = self.limits.age(item.kind, item.name.folder)
            self._is_kept = self.limits.keeps_forever(item.kind, item.name.folder)

    def chosen(self, sizes: Mapping[Kind, int]) -> Iterator[tuple[Item, Why]]:
        """Those that go, the oldest first; `freed` is to be told of each before the next.

        Args:
            sizes: bytes of all there is, by kind.
        """
        self._over = {
            kind: sizes[kind] - limit
            for kind, limit in self.limits.sizes.items()
            if limit is not None
        }
        self._lacking = dict(self.limits.lacking)
        for item in self._oldest_first():
            if item.is_due:
                yield item, Why.AGE
            elif self._over.get(item.kind, 0) > 0:
                yield item, Why.SIZE
            elif self._lacking.get(item.kind, 0) > 0:
                yield item, Why.MIN_FREE

    def freed(self, item: Item, size: int) -> None:
        """An item that was chosen has gone, and made room."""
        self._over[item.kind] = self._over.get(item.kind, 0) - size
        self._lacking[item.kind] = self._lacking.get(item.kind, 0) - size

    def until(self) -> dict[Kind, float]:
        """Since when the youngest was here that is remembered, of each kind: where to go on."""
        return {**self.after, **{kind: -heap[0][0] for kind, heap in self._heaps.items() if heap}}

    def _oldest_first(self) -> Iterator[Item]:
        heaps: Iterable[list[tuple[float, int, Item]]] = self._heaps.values()
        for entry in sorted((entry for heap in heaps for entry in heap), key=_since):
            yield entry[2]


def _since(entry: tuple[float, int, Item]) -> float:
    return -entry[0]
