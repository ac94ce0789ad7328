"""What was said about entries that are left alone: each once, in bounded memory."""

from __future__ import annotations

from depthd.contract.events import Event
from depthd.intake.scan import Refusal
from depthd.supervisor.logs import Emit


class Refusals:
    """Logs refusals; those of entries that are gone are forgotten scan by scan.

    Args:
        emit: writes a log event.
        limit: most entries to remember; there is silence beyond it.
    """

    def __init__(self, emit: Emit, limit: int = 10_000) -> None:
        self._emit = emit
        self._limit = limit
        self._said: dict[str, tuple[Refusal, int]] = {}
        self._round = 0
        self._is_full = False

    def say(self, name: str, refusal: Refusal) -> None:
        """Log that `name` is left alone, unless that is known."""
        known = self._said.get(name)
        if known is None and len(self._said) >= self._limit:
            if not self._is_full:
                self._is_full = True
                self._emit(
                    Event.ENTRY_IGNORED, name=name, reason=refusal, note="further ones are not told"
                )
            return
        self._said[name] = refusal, self._round
        if known is None or known[0] is not refusal:
            self._emit(Event.ENTRY_IGNORED, name=name, reason=refusal)

    def meet(self, name: str) -> bool:
        """It is still there; returns whether an unwanted name needs no further look."""
        known = self._said.get(name)
        if known is None:
            return self._is_full
        self._said[name] = known[0], self._round
        return known[0] is Refusal.NAME

    def end_round(self) -> None:
        """A full scan has ended: forget what it did not meet."""
        self._said = {name: said for name, said in self._said.items() if said[1] == self._round}
        self._is_full = self._is_full and len(self._said) >= self._limit
        self._round += 1
