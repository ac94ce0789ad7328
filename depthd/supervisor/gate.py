"""Whether results can be written now; closed, it is tried again with backoff.

Knows times and reasons; the caller does the probing and the logging of nothing else.
"""

from __future__ import annotations

from depthd.contract.events import Event
from depthd.supervisor.logs import Emit

_FIRST_DELAY = 1.0
_LONGEST_DELAY = 60.0


class Gate:
    """Open at first. Times are time.monotonic() seconds."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._delay = _FIRST_DELAY
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
        self.next_probe = now + self._delay
        self._delay = min(2 * self._delay, _LONGEST_DELAY)

    def open(self) -> None:
        """A probe succeeded. The backoff starts anew only after real work (`worked`)."""
        if not self.is_open:
            self.reason = ""
            self._emit(Event.SERVICE_RESUMED)

    def worked(self) -> None:
        """A photo came through."""
        self._delay = _FIRST_DELAY
