"""How many files are remembered, and whose: bounded, and shared fairly.

A folder below the inbox may fill as much room as it leaves free, one owner four times that; so
there is always room for somebody else (a dynamic threshold, as in the shared buffers of network
switches: Choudhury and Hahne, 1998). Does no I/O.
"""

from __future__ import annotations

import sys
from collections import Counter

from depthd.intake.candidate import Candidate

_UNIT = 128  # bytes of a name that count as one more file
_OWNER_SHARE = 4  # times the free room that one owner may fill; for a folder it is once
_REMEMBERED = 1000  # folders that were turned away

_Group = tuple[int, str]  # owner and folder just below the inbox


class Room:
    """Room for files.

    Args:
        limit: most of them; a long name counts as several.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._free = limit
        self._free_before = limit  # when folders with room were looked for
        self._by_group: Counter[_Group] = Counter()
        self._by_owner: Counter[int] = Counter()
        self._turned_away: dict[_Group, None] = {}

    @property
    def is_full(self) -> bool:
        """Whether somebody was turned away, and has not regained room."""
        return bool(self._turned_away)

    def reserve(self, seen: Candidate) -> bool:
        """Take room for a file; returns whether there was enough."""
        group, cost = (seen.owner, seen.top), _cost(seen.name)
        if not self._has_room(group, cost):
            if len(self._turned_away) < _REMEMBERED:
                self._turned_away[group] = None
            self._free_before = min(self._free_before, self._free)
            return False
        self._free -= cost
        self._by_group[group] += cost
        self._by_owner[seen.owner] += cost
        return True

    def release(self, seen: Candidate) -> None:
        """Give back what `reserve` took."""
        group, cost = (seen.owner, seen.top), _cost(seen.name)
        self._free += cost
        self._by_group[group] -= cost
        self._by_owner[seen.owner] -= cost
        if not self._by_group[group]:
            del self._by_group[group]
        if not self._by_owner[seen.owner]:
            del self._by_owner[seen.owner]

    def regained(self) -> list[str]:
        """Folders below the inbox that were turned away and have room again; says so once."""
        if self._free <= self._free_before:
            return []
        self._free_before = self._free
        regained = [group for group in self._turned_away if self._has_room(group, 1, spare=2)]
        for group in regained:
            del self._turned_away[group]
        return list(dict.fromkeys(top for _, top in regained))

    def _has_room(self, group: _Group, cost: int, spare: int = 1) -> bool:
        """Whether a group may grow; with `spare`, so far below its share."""
        free = self._free - cost
        if free < 0:
            return False
        mine, owners = self._by_group[group] * spare, self._by_owner[group[0]] * spare
        return mine <= free and owners <= _OWNER_SHARE * free


def _cost(name: str) -> int:
    """How many files of a usual name an entry weighs in memory."""
    return 1 + sys.getsizeof(name) // _UNIT
