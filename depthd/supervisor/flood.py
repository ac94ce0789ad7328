"""How often an event is written: the first ones of each minute; the others are counted.

Knows events and the time that it is told, nothing of logs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from depthd.contract.events import Event

WINDOW = 60.0  # seconds


@dataclass
class _Window:
    end: float
    written: int = 0
    left_out: int = 0


class Flood:
    """Says of each event whether it is to be written.

    Args:
        most: how many of an event are written a minute.
    """

    def __init__(self, most: Callable[[Event], int]) -> None:
        self._most = most
        self._windows: dict[Event, _Window] = {}

    def admits(self, event: Event, now: float) -> bool:
        """Whether to write this one; call `over` first."""
        window = self._windows.setdefault(event, _Window(now + WINDOW))
        if window.written < self._most(event):
            window.written += 1
            return True
        window.left_out += 1
        return False

    def over(self, now: float) -> list[tuple[Event, int]]:
        """Events of which some were left out in a minute that has ended, and how many."""
        ended = {event: w for event, w in self._windows.items() if now >= w.end}
        for event in ended:
            del self._windows[event]
        return [(event, w.left_out) for event, w in ended.items() if w.left_out]

    def next_end(self) -> float | None:
        """When `over` will next have something to say; None while nothing is left out."""
        return min((w.end for w in self._windows.values() if w.left_out), default=None)
