"""Work on files off the loop: a few threads, so that a slow or dead disk never stops a signal.

Knows callables and their outcomes, nothing of what they do. A thread that hangs in the system is
left behind when the process ends.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any

Task = Callable[[], Any]
Then = Callable[[Any], None]


@dataclass(frozen=True)
class _Order:
    task: Task
    then: Then
    otherwise: Callable[[Exception], None]


class FileWork:
    """Runs tasks; what follows from their outcome runs on the loop.

    Args:
        threads: how many; 0 runs each task at once, on the loop itself.
        wake: makes the loop call `deliver` soon; called from the threads.
    """

    def __init__(self, threads: int, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._orders: SimpleQueue[_Order | None] = SimpleQueue()
        self._outcomes: deque[Callable[[], None]] = deque()
        self._threads = threads
        self.is_threaded = threads > 0
        self.pending = 0
        for number in range(threads):
            threading.Thread(target=self._run, name=f"files-{number}", daemon=True).start()

    def submit(self, task: Task, then: Then, otherwise: Callable[[Exception], None]) -> None:
        """Do a task soon.

        Args:
            task: called on a thread.
            then: called on the loop with its result.
            otherwise: called on the loop with the exception that it raised.
        """
        self.pending += 1
        order = _Order(task, then, otherwise)
        if self._threads:
            self._orders.put(order)
        else:
            self._outcomes.append(_outcome(order))

    def deliver(self) -> None:
        """Act on the outcomes that are there; called on the loop."""
        while self._outcomes:
            outcome = self._outcomes.popleft()
            self.pending -= 1
            outcome()

    def stop(self) -> None:
        """No more will come; threads end when they can."""
        for _ in range(self._threads):
            self._orders.put(None)

    def _run(self) -> None:
        for order in self._take():
            self._outcomes.append(_outcome(order))
            self._wake()

    def _take(self) -> Iterator[_Order]:
        while (order := self._orders.get()) is not None:
            yield order


def _outcome(order: _Order) -> Callable[[], None]:
    try:
        result = order.task()
    except Exception as error:  # noqa: BLE001 - the loop decides what it means for this job
        failure = error
        return lambda: order.otherwise(failure)
    return lambda: order.then(result)
