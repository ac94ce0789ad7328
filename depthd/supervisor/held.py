"""What an operator holds: nothing more is taken from there, what is at work is finished.

Looks at the file of `depthd hold` and says what has changed. Knows no jobs.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from depthd.contract.events import Emit, Event
from depthd.intake.candidate import Beneath
from depthd.spool.holds import Holds, HoldsFile, HoldsUnclear


class Held:
    """The operator's holds.

    Args:
        state: the folder state/.
        emit: writes a log event.
    """

    def __init__(self, state: Path, emit: Emit) -> None:
        self._file = HoldsFile(state)
        self._emit = emit
        self._unclear = ""  # why the file as it is now was not taken up
        self.since: Holds = {}
        self.places: frozenset[Beneath] = frozenset()

    def look(self) -> bool:
        """Take up what has changed; returns whether anything has.

        A file that is not understood changes nothing, and is read again at the next look.
        """
        if not self._file.has_changed() and not self._unclear:
            return False
        try:
            now = self._file.read()
        except HoldsUnclear as error:
            if str(error) != self._unclear:
                self._unclear = str(error)
                self._emit(Event.HOLDS_UNCLEAR, reason=self._unclear)
            return False
        self._unclear = ""
        before, self.since = self.since, now
        self.places = frozenset(map(Beneath, now))
        for folder in sorted(now.keys() - before.keys()):
            self._emit(Event.INBOX_HELD, folder=folder or ".")
        for folder in sorted(before.keys() - now.keys()):
            self._emit(Event.INBOX_RELEASED, folder=folder or ".")
        return before != now

    def take_along(self, state: Path) -> None:
        """Write what is held into another state/, beside what is held there.

        Raises:
            HoldsUnclear, OSError: it cannot be written there.
        """
        if self.since:
            try:
                HoldsFile(state).change(lambda there: {**there, **self.since})
            except HoldsUnclear as error:
                raise HoldsUnclear(f"paths.state: {state}: {error}") from error

    def moved(self, state: Path) -> Held:
        """The same holds, from now on by the file that `take_along` wrote; the former one ends."""
        if self.since:  # else it would be held again when the former state/ is
            with suppress(HoldsUnclear, OSError):
                self._file.change(lambda _: {})
        other = Held(state, self._emit)
        other.since, other.places = self.since, self.places
        return other
