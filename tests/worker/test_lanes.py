"""A stream of photos gets lanes side by side, a lone one all processors."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from depthd.errors import UnavailableError
from depthd.worker.lanes import CROWD, Lanes

DEADLINE = 20.0


class Counter:
    """An engine that only counts: who is inside, and how it was arranged."""

    most_lanes = 2

    def __init__(self, lanes: int, *, has_memory: bool = True) -> None:
        self.lanes = lanes
        self.has_memory = has_memory
        self.asked = threading.Event()
        self.inside = self.most_inside = self.served = 0
        self._lock = threading.Lock()

    def arrange(self, lanes: int) -> None:
        assert self.inside == 0
        if self.has_memory:
            self.lanes = lanes
        self.asked.set()
        if not self.has_memory:
            raise UnavailableError("no memory")

    def serve(self, lanes: Lanes) -> None:
        with lanes.enter():
            with self._lock:
                self.inside += 1
                self.served += 1
                self.most_inside = max(self.most_inside, self.inside)
                assert self.inside <= self.lanes
            with self._lock:
                self.inside -= 1


@pytest.fixture
def open_lanes() -> Iterator[list[Lanes]]:
    opened: list[Lanes] = []
    yield opened
    for lanes in opened:
        lanes.close()


def test_a_stream_of_photos_gets_all_lanes(open_lanes: list[Lanes]) -> None:
    engine = Counter(1)
    lanes = Lanes(engine, rest=DEADLINE)
    open_lanes.append(lanes)
    stop = threading.Event()

    def stream() -> None:
        while not stop.is_set():
            engine.serve(lanes)

    threads = [threading.Thread(target=stream) for _ in range(3)]
    for thread in threads:
        thread.start()
    assert engine.asked.wait(DEADLINE)
    stop.set()
    for thread in threads:
        thread.join()
    assert engine.lanes == 2
    assert engine.served > CROWD


def test_single_photos_leave_it_as_it_is(open_lanes: list[Lanes]) -> None:
    engine = Counter(1)
    lanes = Lanes(engine, rest=DEADLINE)
    open_lanes.append(lanes)
    for _ in range(3 * CROWD):
        engine.serve(lanes)
    assert not engine.asked.is_set()


def test_at_rest_one_lane_gets_all_processors(open_lanes: list[Lanes]) -> None:
    engine = Counter(2)
    lanes = Lanes(engine, rest=0.01)
    open_lanes.append(lanes)
    engine.serve(lanes)
    assert engine.asked.wait(DEADLINE)
    assert engine.lanes == 1
    engine.serve(lanes)


def test_it_is_never_changed_while_a_photo_is_inside(open_lanes: list[Lanes]) -> None:
    engine = Counter(2)
    lanes = Lanes(engine, rest=0.01)
    open_lanes.append(lanes)
    with lanes.enter():
        assert not engine.asked.wait(0.2)
    assert engine.asked.wait(DEADLINE)


def test_without_memory_for_a_change_it_serves_on(open_lanes: list[Lanes]) -> None:
    engine = Counter(2, has_memory=False)
    lanes = Lanes(engine, rest=0.01)
    open_lanes.append(lanes)
    assert engine.asked.wait(DEADLINE)
    engine.serve(lanes)
    assert engine.lanes == 2
