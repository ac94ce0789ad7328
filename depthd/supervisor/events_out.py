"""Events to whoever wants them: each consumer on a thread of its own, none holds up the daemon.

Knows events and threads, nothing of what the consumers do with them.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from depthd.contract.events import Emit, Event

Item = TypeVar("Item")


@dataclass(frozen=True)
class Happening:
    """An event at a time, in seconds since the epoch."""

    event: Event
    at: float
    fields: Mapping[str, object]


class Drain(Generic[Item]):
    """A bounded queue, and the thread that hands what is in it to a consumer.

    Args:
        name: of the thread.
        consumer: called with one item at a time; it may take as long as it likes.
        limit: how many items wait at most; later ones are counted and left out.
        left_out: makes the item that tells the consumer how many, in the place of them.
        failed: called when the consumer raises; it then gets nothing more.
    """

    def __init__(
        self,
        name: str,
        consumer: Callable[[Item], None],
        limit: int,
        left_out: Callable[[int], Item],
        failed: Callable[[Exception], None],
    ) -> None:
        self._consumer = consumer
        self._limit = limit
        self._left_out = left_out
        self._failed = failed
        self._waiting: deque[Item] = deque()
        self._lost = 0
        self._ends = False
        self._news = threading.Condition()
        # A consumer that is stuck for good does not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def offer(self, item: Item) -> None:
        """Put an item in the queue if there is room; returns at once, from any thread."""
        with self._news:
            if self._ends:
                return
            # Behind a gap nothing is taken before the consumer has heard of it.
            if self._lost or len(self._waiting) >= self._limit:
                self._lost += 1
            else:
                self._waiting.append(item)
                self._news.notify()

    def close(self, patience: float) -> bool:
        """Take nothing more; wait until the consumer has the rest, for `patience` seconds.

        Returns:
            whether it has; else it is left to itself.
        """
        with self._news:
            self._ends = True
            self._news.notify()
        if threading.current_thread() is not self._thread:
            self._thread.join(patience)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (item := self._next()) is not None:
            try:
                self._consumer(item)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is told
                with self._news:
                    self._ends = True
                    self._waiting.clear()
                self._failed(error)
                return

    def _next(self) -> Item | None:
        with self._news:
            self._news.wait_for(lambda: self._waiting or self._lost or self._ends)
            if self._waiting:
                return self._waiting.popleft()
            lost, self._lost = self._lost, 0
        return self._left_out(lost) if lost else None


class EventBus:
    """Hands each event to the log at once, and to every subscriber as soon as it can take it.

    Args:
        log: called in the thread in which the event happens.
    """

    def __init__(self, log: Emit) -> None:
        self._log = log
        self._drains: list[Drain[Happening]] = []
        self._counters: dict[str, Callable[[Event, Mapping[str, object]], None]] = {}

    def subscribe(
        self, name: str, consumer: Callable[[Happening], None], limit: int = 1000
    ) -> None:
        """Let `consumer` have every event from now on, on a thread of its own.

        Args:
            name: for people, in the log.
            consumer: one that raises is told in the log and gets no more.
            limit: how many events wait for it at most; the others are counted in an event
                `consumer.behind` that it gets in their place, and in the log.
        """

        def left_out(lost: int) -> Happening:
            self._log(Event.CONSUMER_BEHIND, consumer=name, lost=lost)
            fields = {"consumer": name, "lost": lost}
            return Happening(Event.CONSUMER_BEHIND, time.time(), fields)

        def failed(error: Exception) -> None:
            reason = f"{type(error).__name__}: {error}"
            self._log(Event.CONSUMER_FAILED, consumer=name, reason=reason)

        self._drains.append(Drain(name, consumer, limit, left_out, failed))

    def count_by(self, name: str, counter: Callable[[Event, Mapping[str, object]], None]) -> None:
        """Let `counter` see every event at once, in the thread in which it happens.

        For what only adds to numbers: it costs no change of threads, and must never wait.

        Args:
            name: for people, in the log.
            counter: one that raises is told in the log and sees no more.
        """
        self._counters[name] = counter

    def emit(self, event: Event, /, **fields: object) -> None:
        """Tell what happens; never waits for a subscriber, never raises for one."""
        self._log(event, **fields)
        for name, counter in tuple(self._counters.items()):
            try:
                counter(event, fields)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is told
                self._counters.pop(name, None)
                reason = f"{type(error).__name__}: {error}"
                self._log(Event.CONSUMER_FAILED, consumer=name, reason=reason)
        if not self._drains:
            return
        happening = Happening(event, time.time(), fields)
        for drain in self._drains:
            drain.offer(happening)

    def close(self, patience: float) -> None:
        """Let the subscribers have what waits for them, for `patience` seconds in all."""
        deadline = time.monotonic() + patience
        for drain in self._drains:
            drain.close(max(0.0, deadline - time.monotonic()))
