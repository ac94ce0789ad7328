"""Consumers of events: each at its own pace, none in the way of the daemon or of another."""

from __future__ import annotations

import threading
from queue import SimpleQueue
from typing import Any

from depthd.contract.events import Event
from depthd.supervisor.events_out import EventBus, Happening

DEADLINE = 20.0  # seconds


class Heard:
    """A log that remembers."""

    def __init__(self) -> None:
        self.events: SimpleQueue[tuple[Event, dict[str, Any]]] = SimpleQueue()

    def __call__(self, event: Event, /, **fields: object) -> None:
        self.events.put((event, fields))

    def next(self) -> tuple[Event, dict[str, Any]]:
        return self.events.get(timeout=DEADLINE)


class Slow:
    """A consumer that finishes as many events as it is let."""

    def __init__(self) -> None:
        self.got: list[Happening] = []
        self._begun = threading.Semaphore(0)
        self._let = threading.Semaphore(0)

    def __call__(self, happening: Happening) -> None:
        self._begun.release()
        assert self._let.acquire(timeout=DEADLINE)
        self.got.append(happening)

    def wait_until_busy(self) -> None:
        assert self._begun.acquire(timeout=DEADLINE)

    def let(self, count: int) -> None:
        self._let.release(count)


def numbers(got: list[Happening]) -> list[object]:
    return [h.fields["n"] if "n" in h.fields else (h.event, h.fields["lost"]) for h in got]


def test_every_consumer_gets_every_event_in_order() -> None:
    log, one, other = Heard(), [], []
    bus = EventBus(log)
    bus.subscribe("one", one.append)
    bus.subscribe("other", other.append)
    for n in range(100):
        bus.emit(Event.PHOTO_DONE, n=n)
    bus.close(DEADLINE)
    assert numbers(one) == numbers(other) == list(range(100))
    assert one[0].event is Event.PHOTO_DONE
    assert one[0].at <= one[-1].at
    assert [log.next() for _ in range(100)][7] == (Event.PHOTO_DONE, {"n": 7})


def test_a_slow_one_loses_counted_events_and_holds_up_nobody() -> None:
    log, slow, fast = Heard(), Slow(), []
    bus = EventBus(log)
    bus.subscribe("slow", slow, limit=3)
    bus.subscribe("fast", fast.append)
    bus.emit(Event.PHOTO_DONE, n=0)
    slow.wait_until_busy()  # with 0; three more find room
    for n in range(1, 10):
        bus.emit(Event.PHOTO_DONE, n=n)
    slow.let(1)
    slow.wait_until_busy()  # with 1; there is room again, but nothing may come before the gap
    bus.emit(Event.PHOTO_DONE, n=10)
    slow.let(10)
    while log.next()[0] is not Event.CONSUMER_BEHIND:
        pass
    bus.emit(Event.PHOTO_DONE, n=11)
    bus.close(DEADLINE)
    assert numbers(slow.got) == [0, 1, 2, 3, (Event.CONSUMER_BEHIND, 7), 11]
    assert numbers(fast) == list(range(12))


def test_one_that_fails_is_told_and_gets_no_more() -> None:
    log, good, calls = Heard(), [], []

    def bad(happening: Happening) -> None:
        calls.append(happening)
        raise ValueError("no such port")

    bus = EventBus(log)
    bus.subscribe("metrics", bad)
    bus.subscribe("good", good.append)
    bus.emit(Event.PHOTO_DONE, n=1)
    assert log.next()[0] is Event.PHOTO_DONE
    told = {"consumer": "metrics", "reason": "ValueError: no such port"}
    assert log.next() == (Event.CONSUMER_FAILED, told)
    bus.emit(Event.PHOTO_DONE, n=2)
    bus.close(DEADLINE)
    assert numbers(calls) == [1]
    assert numbers(good) == [1, 2]


def test_one_that_is_stuck_does_not_hold_up_the_end() -> None:
    stuck = Slow()
    bus = EventBus(Heard())
    bus.subscribe("stuck", stuck)
    bus.emit(Event.PHOTO_DONE, n=1)
    stuck.wait_until_busy()
    bus.close(0.01)
    bus.emit(Event.PHOTO_DONE, n=2)  # and a late event harms nobody
    assert stuck.got == []
    stuck.let(1)
