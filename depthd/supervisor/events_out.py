"""Events to the log and to whoever counts them.

Knows events, nothing of what becomes of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from depthd.contract.events import Emit, Event


class EventBus:
    """Hands each event to the log, and to every counter.

    Args:
        log: called in the thread in which the event happens.
    """

    def __init__(self, log: Emit) -> None:
        self._log = log
        self._counters: dict[str, Callable[[Event, Mapping[str, object]], None]] = {}

    def count_by(self, name: str, counter: Callable[[Event, Mapping[str, object]], None]) -> None:
        """Let `counter` see every event from now on, in the thread in which it happens.

        Args:
            name: for people, in the log.
            counter: must never wait; one that raises is told in the log and sees no more.
        """
        self._counters[name] = counter

    def emit(self, event: Event, /, **fields: object) -> None:
        """Tell what happens; never raises for a counter."""
        self._log(event, **fields)
        for name, counter in tuple(self._counters.items()):
            try:
                counter(event, fields)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is told
                self._counters.pop(name, None)
                reason = f"{type(error).__name__}: {error}"
                self._log(Event.CONSUMER_FAILED, consumer=name, reason=reason)
