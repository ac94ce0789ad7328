"""A queue with a limit, and a thread of its own for whoever takes what is in it.

Knows threads, nothing of what the items are.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

Item = TypeVar("Item")


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
