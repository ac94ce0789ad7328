"""Whether results can be written at all; closed, it is tried again with backoff.

Knows times and reasons; who looks whether it is over is the loop. Times are seconds of its clock.
"""

from __future__ import annotations

from depthd.contract.events import Emit, Event
from depthd.supervisor.backoff import Backoff

_SERVICE = Backoff(first=1.0, longest=60.0)


class Gate:
    """Whether results can be written at all. Open at first."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._failures = 0
        self.reason = ""  # empty while open
        self.next_probe = 0.0

    @property
    def is_open(self) -> bool:
        return not self.reason

    def close(self, reason: str, now: float) -> None:
        """Stop writing; said once, and waited for once, however many photos notice it."""
        if self.is_open:
            self._emit(Event.SERVICE_PAUSED, reason=reason)
        elif now < self.next_probe:
            return
        self.reason = reason
        self._failures += 1
        self.next_probe = now + _SERVICE.after(self._failures)

    def open(self) -> None:
        """A probe succeeded. The backoff starts anew only after real work (`worked`)."""
        if not self.is_open:
            self.reason = ""
            self._emit(Event.SERVICE_RESUMED)

    def worked(self) -> None:
        """A photo came through."""
        self._failures = 0
