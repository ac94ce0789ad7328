"""How long to wait after a number of failures in a row. Pure arithmetic, bounded at both ends."""

from __future__ import annotations

from dataclasses import dataclass

_MOST_DOUBLINGS = 30


@dataclass(frozen=True)
class Backoff:
    """Seconds: the first wait, doubled each time up to the longest."""

    first: float
    longest: float

    def after(self, failures: int) -> float:
        """Seconds after so many failures in a row, one or more."""
        doublings = min(max(0, failures - 1), _MOST_DOUBLINGS)
        return min(self.first * 2.0**doublings, self.longest)
