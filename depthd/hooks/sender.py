"""Tells one receiver what waits for it: a thread, one piece of news after the other.

What is not taken is tried again with backoff, others in between, until it is too old. Knows a queue
and a receiver, nothing of how that is reached.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from depthd.contract.events import Emit, Event
from depthd.hooks.news import News
from depthd.hooks.queue import Queue

MOST = 100_000  # that wait; older ones are dropped
_TOGETHER = 1000  # names remembered at a time
_FIRST, _LONGEST = 1.0, 300.0  # seconds of backoff
_LOOK_AGAIN = 1.0  # seconds, at what is not home yet
_DOUBLINGS = 20


class Untaken(Exception):
    """The receiver has not taken it, in words."""


class Receiver(Protocol):
    """Who is told."""

    def tell(self, piece: News) -> None:
        """Tell it, within the time limit.

        Raises:
            Untaken: it was not taken, as far as anybody knows.
        """
        ...

    def stop(self) -> None:
        """End what is under way; called from another thread, perhaps more than once."""
        ...

    def close(self) -> None:
        """Let go of what is kept from one piece of news to the next; nothing is told any more."""
        ...


@dataclass(frozen=True)
class Trouble:
    """A receiver that takes nothing now: since when, in seconds since the epoch, and why."""

    since: float
    reason: str


@dataclass(frozen=True)
class Patience:
    """Seconds that a piece of news is tried for, and of the backoff."""

    give_up: float
    first: float = _FIRST
    longest: float = _LONGEST

    def after(self, failures: int) -> float:
        return min(self.first * 2.0 ** min(failures - 1, _DOUBLINGS), self.longest)


class Sender:
    """The thread.

    Args:
        kind: of the receiver, for the log.
        queue: what waits.
        receiver: who is told.
        patience: how long.
        is_at_work: whether a job's photo has not come home yet; of these nothing is told.
        emit: writes a log event; called on the thread.

    Attributes:
        trouble: why nothing is taken; None while it is.
    """

    def __init__(
        self,
        kind: str,
        queue: Queue,
        receiver: Receiver,
        patience: Patience,
        is_at_work: Callable[[str], bool],
        emit: Emit,
    ) -> None:
        self.kind = kind
        self._queue = queue
        self._receiver = receiver
        self._patience = patience
        self._is_at_work = is_at_work
        self._emit = emit
        self._failures = 0  # in a row
        self.trouble: Trouble | None = None
        self._has_news = threading.Event()
        self._ends = threading.Event()
        self._is_idle = threading.Event()
        # A receiver that hangs does not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name=f"hook-{kind}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """There may be something to tell; from any thread."""
        self._is_idle.clear()
        self._has_news.set()

    def stop(self, patience: float = 0.0) -> None:
        """Tell what waits for so many seconds, then end; what is left stays on the disk."""
        if patience > 0:
            self._is_idle.wait(patience)
        self._ends.set()
        self._has_news.set()
        self._receiver.stop()
        self._thread.join(1.0)

    def _run(self) -> None:
        while not self._ends.is_set():
            self._has_news.clear()
            try:
                waits = self._round()
            except Exception as error:  # noqa: BLE001 - the disk, or a fault of ours: it may pass
                self._say_failed(f"{type(error).__name__}: {error}")
                waits = self._patience.longest
            if waits is None and not self._has_news.is_set():
                self._is_idle.set()
            self._has_news.wait(waits)
        self._receiver.close()

    def _round(self) -> float | None:
        """Tell what waits; returns after how long to look again, None when there is news."""
        names, total = self._queue.oldest(_TOGETHER)
        for name in names[: max(0, total - MOST)]:
            self._give_up(name, f"more than {MOST} wait")
        at_work = 0
        for name in names:
            if self._ends.is_set():
                return 0.0
            if self._is_at_work(name.rpartition(".")[0]):
                at_work += 1
            elif not self._tell(name):
                self._ends.wait(self._patience.after(self._failures))
        if at_work == len(names) == total:
            return _LOOK_AGAIN if at_work else None
        return 0.0

    def _tell(self, name: str) -> bool:
        found = self._queue.read(name)
        if found is None:
            return True
        body, since = found
        try:
            self._receiver.tell(News.read(name, body))
        except ValueError:
            self._queue.remove(name)  # nothing of ours
            return True
        except Untaken as error:
            if self._ends.is_set():
                return True
            self._failures += 1
            if time.time() - since >= self._patience.give_up:
                self._give_up(name, str(error))
            else:
                self._say_failed(str(error), name)
            return False
        self._failures, self.trouble = 0, None
        self._queue.remove(name)
        self._emit(Event.HOOK_TAKEN, kind=self.kind, id=name)
        return True

    def _give_up(self, name: str, reason: str) -> None:
        self._queue.remove(name)
        self._emit(Event.HOOK_GAVE_UP, kind=self.kind, id=name, reason=reason)

    def _say_failed(self, reason: str, name: str = "") -> None:
        self.trouble = Trouble(self.trouble.since if self.trouble else time.time(), reason)
        self._emit(
            Event.HOOK_FAILED, kind=self.kind, id=name, reason=reason, failures=self._failures
        )
