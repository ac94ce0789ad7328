"""The photos of one owner in one folder, in the order in which they are wanted. Does no I/O.

Each step costs O(log n) at most, and memory is that of the photos that wait.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict
from collections.abc import Iterator
from itertools import count
from typing import Literal, Protocol

from depthd.intake.candidate import Candidate

Order = Literal["arrival", "oldest", "newest"]

_SPARE = 64  # entries of photos that are gone, beside as many as there are photos


class Queue(Protocol):
    """Names that wait."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[str]:
        """All of them, in no order."""
        ...

    def add(self, seen: Candidate) -> None:
        """A photo that is not in it."""
        ...

    def renew(self, seen: Candidate) -> None:
        """A photo that is in it has another time now."""
        ...

    def remove(self, name: str) -> None: ...
    def first(self) -> str:
        """The one whose turn it is; there must be one."""
        ...


class ByArrival:
    """The longest waiting comes first."""

    def __init__(self) -> None:
        self._names: OrderedDict[str, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._names)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def add(self, seen: Candidate) -> None:
        self._names[seen.name] = None

    def renew(self, seen: Candidate) -> None:
        """It keeps its turn."""

    def remove(self, name: str) -> None:
        del self._names[name]

    def first(self) -> str:
        return next(iter(self._names))


class ByTime:
    """By the files' own times; of equal ones the last to come counts as newest.

    Args:
        newest_first: else the oldest comes first.
    """

    def __init__(self, *, newest_first: bool) -> None:
        self._sign = -1 if newest_first else 1
        self._numbers = count()
        self._known: dict[str, int] = {}
        self._heap: list[tuple[int, int, str]] = []

    def __len__(self) -> int:
        return len(self._known)

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def add(self, seen: Candidate) -> None:
        number = self._known[seen.name] = self._sign * next(self._numbers)
        heapq.heappush(self._heap, (self._sign * seen.mtime_ns, number, seen.name))

    def renew(self, seen: Candidate) -> None:
        self.remove(seen.name)
        self.add(seen)

    def remove(self, name: str) -> None:
        del self._known[name]  # its entry goes when it comes up, or with many others
        if len(self._heap) > 2 * len(self._known) + _SPARE:
            self._heap = [entry for entry in self._heap if self._is_known(entry)]
            heapq.heapify(self._heap)

    def first(self) -> str:
        while not self._is_known(self._heap[0]):
            heapq.heappop(self._heap)
        return self._heap[0][2]

    def _is_known(self, entry: tuple[int, int, str]) -> bool:
        return self._known.get(entry[2]) == entry[1]


def queue(order: Order) -> Queue:
    """An empty one."""
    return ByArrival() if order == "arrival" else ByTime(newest_first=order == "newest")
