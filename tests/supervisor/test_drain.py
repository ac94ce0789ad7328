"""What takes items at its own pace is in nobody's way."""

from __future__ import annotations

import threading
from queue import SimpleQueue

from depthd.supervisor.drain import Drain

DEADLINE = 20.0  # seconds


class Slow:
    """A consumer that finishes as many items as it is let."""

    def __init__(self) -> None:
        self.got: list[str] = []
        self._begun = threading.Semaphore(0)
        self._let = threading.Semaphore(0)

    def __call__(self, item: str) -> None:
        self._begun.release()
        assert self._let.acquire(timeout=DEADLINE)
        self.got.append(item)

    def wait_until_busy(self) -> None:
        assert self._begun.acquire(timeout=DEADLINE)

    def let(self, count: int) -> None:
        self._let.release(count)


def left_out(count: int) -> str:
    return f"{count} left out"


def fail(error: Exception) -> None:
    raise error


def test_a_slow_one_loses_counted_items_in_their_place() -> None:
    slow = Slow()
    drain = Drain("slow", slow, 3, left_out, fail)
    drain.offer("0")
    slow.wait_until_busy()  # with 0; three more find room
    for n in range(1, 10):
        drain.offer(str(n))
    slow.let(1)
    slow.wait_until_busy()  # with 1; there is room again, but nothing may come before the gap
    drain.offer("10")
    slow.let(3)
    for _ in range(3):
        slow.wait_until_busy()  # with 2, 3 and the gap
    drain.offer("11")
    slow.let(2)
    assert drain.close(DEADLINE)
    assert slow.got == ["0", "1", "2", "3", "7 left out", "11"]


def test_one_that_fails_is_told_and_gets_no_more() -> None:
    calls: list[str] = []
    told: SimpleQueue[Exception] = SimpleQueue()

    def bad(item: str) -> None:
        calls.append(item)
        raise ValueError("no such port")

    drain = Drain("bad", bad, 3, left_out, told.put)
    drain.offer("1")
    assert str(told.get(timeout=DEADLINE)) == "no such port"
    drain.offer("2")
    assert drain.close(DEADLINE)
    assert calls == ["1"]


def test_one_that_is_stuck_does_not_hold_up_the_end() -> None:
    stuck = Slow()
    drain = Drain("stuck", stuck, 3, left_out, fail)
    drain.offer("1")
    stuck.wait_until_busy()
    assert not drain.close(0.01)
    drain.offer("2")  # and a late one harms nobody
    assert stuck.got == []
    stuck.let(1)
