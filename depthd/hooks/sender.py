"""Tells one receiver what waits for it: a thread, one piece of news after the other.

What is not taken is told again with backoff until it is too old, and holds up nothing but later
news of its own photo; a receiver that takes nothing is left in peace. Knows a queue and a receiver,
nothing of how that is reached.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Protocol

from depthd.contract.events import Emit, Event
from depthd.hooks.news import News
from depthd.hooks.queue import Queue
from depthd.hooks.refusals import Refusals, Refused

MOST = 100_000  # that wait; older ones are dropped
_TOGETHER = 1000  # names remembered at a time, beside those that were not taken
_FIRST, _LONGEST = 1.0, 300.0  # seconds of backoff
_LOOK_AGAIN = 1.0  # seconds, at what is not home yet
_DOUBLINGS = 20
_LONGEST_REASON = 600  # letters; an answer of a web server may have 64,000 in its first line
_FORMER = 60.0  # seconds for the thread in whose place this one comes


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


class _Rest:
    """From the second failure in a row on nothing is told for a while: it may not be the news."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self.over()

    def over(self) -> None:
        self._failures, self.until = 0, 0.0

    def failed(self, now: float) -> None:
        if self._failures:
            self.until = now + self._patience.after(self._failures)
        self._failures += 1


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
        self._refused = Refusals()
        self._new, self._again = _Rest(patience), _Rest(patience)  # what was told before rests more
        self.trouble: Trouble | None = None
        self._troubled_since = 0.0  # by the monotonic clock
        self._former: Sender | None = None
        self._has_news = threading.Event()
        self._is_last = False
        self._ends = threading.Event()
        # A receiver that hangs does not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name=f"hook-{kind}", daemon=True)

    def start(self, former: Sender | None = None) -> None:
        """Begin; in the place of one that was told to `end`, once it has."""
        self._former = former
        self._thread.start()

    def wake(self) -> None:
        """There may be something to tell; from any thread."""
        self._has_news.set()

    def finish(self) -> None:
        """Tell what waits, then end."""
        self._is_last = True
        self._has_news.set()

    def end(self) -> None:
        """End now; what is left stays on the disk. Does not wait for it."""
        self._ends.set()
        self._has_news.set()
        self._receiver.stop()

    def join(self, patience: float) -> None:
        """Wait so many seconds for the end."""
        self._thread.join(patience)

    def _run(self) -> None:
        former, self._former = self._former, None
        if former is not None:
            former.join(_FORMER)
        while not self._ends.is_set():
            self._has_news.clear()
            is_last = self._is_last  # before the look: all that is to be told lies there then
            try:
                waits = self._round()
            except Exception as error:  # noqa: BLE001 - the disk, or a fault of ours: it may pass
                self._say_failed("", 0, f"{type(error).__name__}: {error}")
                waits = self._patience.longest
            if waits is None and is_last:
                break
            rests = waits is not None and time.monotonic() < self._new.until
            (self._ends if rests else self._has_news).wait(waits)
        self._receiver.close()

    def _round(self) -> float | None:
        """Tell what is due; returns after how long to look again, None when there is news."""
        new, total = self._queue.oldest(_TOGETHER, self._refused)
        is_shorter = self._drop(new, total)
        at_work = False
        now = time.monotonic()
        again = self._refused.due(now) if now >= self._again.until else []
        for name in (*again, *new):
            if self._ends.is_set():
                return 0.0
            rest = self._again if name in self._refused else self._new
            if time.monotonic() < rest.until:
                continue
            if self._is_at_work(name.rpartition(".")[0]):
                at_work = True
            else:
                is_shorter = self._tell(name, rest) or is_shorter
        if is_shorter:
            return 0.0
        if at_work:
            return _LOOK_AGAIN
        return self._next_look() if total else None

    def _next_look(self) -> float:
        now = time.monotonic()
        waits = [self._patience.longest]
        if self._new.until > now:
            waits.append(self._new.until - now)
        if self._refused:
            waits.append(max(self._refused.next_due, self._again.until) - now)
            waits.append(max(_LOOK_AGAIN, self._refused.oldest + self._patience.give_up - now))
        return max(0.0, min(waits))

    def _drop(self, new: list[str], total: int) -> bool:
        """Give up what is too old, whenever its turn would come, and the oldest of too many.

        Returns:
            whether that has made the queue shorter.
        """
        over = {n: each.reason for n, each in self._refused.items() if self._is_over(each.since)}
        if self.trouble is not None and self._is_over(self._troubled_since):
            for name in new:
                with suppress(OSError):
                    found = self._queue.read(name)
                    if found is not None and self._is_over(_came(found[1])):
                        over[name] = self.trouble.reason
        if total > MOST:
            oldest = self._queue.oldest(min(total - MOST, _TOGETHER))[0]
            over.update(dict.fromkeys(oldest, f"more than {MOST} wait"))
        return sum(self._give_up(name, reason) for name, reason in over.items()) > 0

    def _is_over(self, since: float) -> bool:
        return time.monotonic() - since >= self._patience.give_up

    def _tell(self, name: str, rest: _Rest) -> bool:
        """Tell one; returns whether it is off the queue."""
        known = self._refused.get(name)
        photo, since = (known.photo, known.since) if known else ("", time.monotonic())
        if self._waits(name, photo, since):
            return False
        try:
            found = self._queue.read(name)
            if found is None:
                self._refused.forget(name)
                return True
            body, put = found
            if known is None:
                since = _came(put)
            try:
                piece = News.read(name, body)
            except ValueError:  # nothing of ours
                self._queue.remove(name)
                return True
            photo = piece.photo
            if self._waits(name, photo, since):
                return False
            self._receiver.tell(piece)
            self._queue.remove(name)
        except Exception as error:  # noqa: BLE001 - also a fault of the receiver's: nothing is lost
            is_known = isinstance(error, (Untaken, OSError))
            reason = str(error) if is_known else f"{type(error).__name__}: {error}"
            reason = reason[:_LONGEST_REASON]  # kept for each that was not taken
            if not self._ends.is_set():
                rest.failed(time.monotonic())
                self._refuse(name, since, photo, reason)
            return name not in self._refused
        self._new.over()
        self._again.over()
        self.trouble = None
        self._refused.forget(name)
        self._emit(Event.HOOK_TAKEN, kind=self.kind, id=name)
        return True

    def _waits(self, name: str, photo: str, since: float) -> bool:
        """Whether it waits for older news of its photo."""
        before = self._refused.before(name, photo)
        if before is None:
            return False
        self._refused.remember(name, replace(before, failures=0, since=since))
        return True

    def _refuse(self, name: str, since: float, photo: str, reason: str) -> None:
        before = self._refused.get(name)
        failures = before.failures + 1 if before else 1
        due = time.monotonic() + self._patience.after(failures)
        self._refused.remember(name, Refused(failures, due, since, photo, reason))
        if self._is_over(since):
            self._give_up(name, reason)
        else:
            self._say_failed(name, failures, reason)

    def _give_up(self, name: str, reason: str) -> bool:
        """Returns whether it is off the queue; what cannot be removed is given up once it can."""
        try:
            self._queue.remove(name)
        except OSError:
            return False
        self._refused.forget(name)
        self._emit(Event.HOOK_GAVE_UP, kind=self.kind, id=name, reason=reason)
        return True

    def _say_failed(self, name: str, failures: int, reason: str) -> None:
        if self.trouble is None:
            self._troubled_since = time.monotonic()
        self.trouble = Trouble(self.trouble.since if self.trouble else time.time(), reason)
        self._emit(Event.HOOK_FAILED, kind=self.kind, id=name, reason=reason, failures=failures)


def _came(put: float) -> float:
    """When a piece of news came, by the monotonic clock, as far as the other one is right now."""
    return time.monotonic() - max(0.0, time.time() - put)
