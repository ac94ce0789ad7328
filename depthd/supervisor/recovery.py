"""What a former run has left in work/: taken up at the start, or later where it cannot be read now.

Knows jobs and what was found of them; what is done with them is `Homeward`'s.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from depthd.contract.events import Emit, Event
from depthd.supervisor.errands import Found
from depthd.supervisor.filework import FileWork
from depthd.supervisor.gate import Gate
from depthd.supervisor.homeward import Homeward
from depthd.supervisor.table import NEVER

_LOOK_AGAIN_AFTER = 10.0  # seconds, at jobs that could not be looked at


class Recovery:
    """Takes jobs up.

    Args:
        home: goes on with them.
        filework: looks at them, off the loop.
        gate: whether anything can be written.
        emit: writes a log event.
        clock: seconds, never going back.
        max_attempts: how often a photo may be tried, as it is set now.

    Attributes:
        is_over: everything was looked at once; before that nothing may be claimed.
        unread: folders of jobs that cannot be looked at now, and why.
    """

    def __init__(
        self,
        home: Homeward,
        filework: FileWork,
        gate: Gate,
        emit: Emit,
        clock: Callable[[], float],
        max_attempts: Callable[[], int],
    ) -> None:
        self._home = home
        self._filework = filework
        self._gate = gate
        self._emit = emit
        self._clock = clock
        self._max_attempts = max_attempts
        self.is_over = False
        self.unread: dict[str, str] = {}
        self._is_looking = False
        self._look_at = NEVER

    @property
    def next_look(self) -> float:
        """When `turn` has something to do."""
        return self._look_at if self._gate.is_open else NEVER

    def begin(self) -> None:
        """Look at work/, for the first time or in another place."""
        self.is_over = False
        self.unread = {}
        self._look()

    def turn(self, now: float) -> None:
        if now >= self.next_look:
            self._look()

    def _look(self) -> None:
        if self._is_looking:  # twice at once, each job would be in two hands
            return
        self._is_looking = True
        self._look_at = NEVER
        only = tuple(self.unread)
        self._filework.submit(
            partial(self._home.errands.recover, only), self._found, self._has_failed
        )

    def _has_failed(self, error: Exception) -> None:
        self._is_looking = False
        self._look_at = self._clock()  # once the gate is open again
        self._gate.close(f"work/ cannot be read: {error}", self._clock())

    def _found(self, found: Found) -> None:
        self._is_looking, self.is_over = False, True
        for folder, reason in found.unread.items():
            if folder not in self.unread:
                self._emit(Event.PHOTO_SET_ASIDE, job=folder, name=folder, reason=reason)
        self.unread = found.unread
        if found.unread:
            self._look_at = self._clock() + _LOOK_AGAIN_AFTER
        for each in found.jobs:
            entry = self._home.table.add(each.job, self._clock())
            self._emit(
                Event.PHOTO_RECOVERED,
                job=each.job.id,
                name=each.job.name,
                attempts=each.job.attempts,
                published=each.target is not None,
            )
            self._home.take_up(entry, each, self._max_attempts())
