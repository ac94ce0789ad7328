"""A stream of photos gets streams side by side, a lone one all processors."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from depthd.contract.errors import UnavailableError
from depthd.worker.streams import CROWD, Streams

DEADLINE = 20.0


class Counter:
    """An engine that only counts: who is inside, and how it was arranged."""

    most_streams = 2

    def __init__(self, streams: int, *, has_memory: bool = True) -> None:
        self.streams = streams
        self.has_memory = has_memory
        self.asked = threading.Event()
        self.inside = self.most_inside = self.served = 0
        self._lock = threading.Lock()

    def arrange(self, streams: int) -> None:
        assert self.inside == 0
        if self.has_memory:
            self.streams = streams
        self.asked.set()
        if not self.has_memory:
            raise UnavailableError("no memory")

    def serve(self, streams: Streams) -> None:
        with streams.enter():
            with self._lock:
                self.inside += 1
                self.served += 1
                self.most_inside = max(self.most_inside, self.inside)
                assert self.inside <= self.streams
            with self._lock:
                self.inside -= 1


@pytest.fixture
def open_streams() -> Iterator[list[Streams]]:
    opened: list[Streams] = []
    yield opened
    for streams in opened:
        streams.close()


def test_a_stream_of_photos_gets_all_streams(open_streams: list[Streams]) -> None:
    engine = Counter(1)
    streams = Streams(engine, rest=DEADLINE)
    open_streams.append(streams)
    stop = threading.Event()

    def stream() -> None:
        while not stop.is_set():
            engine.serve(streams)

    threads = [threading.Thread(target=stream) for _ in range(3)]
    for thread in threads:
        thread.start()
    assert engine.asked.wait(DEADLINE)
    stop.set()
    for thread in threads:
        thread.join()
    assert engine.streams == 2
    assert engine.served > CROWD


def test_single_photos_leave_it_as_it_is(open_streams: list[Streams]) -> None:
    engine = Counter(1)
    streams = Streams(engine, rest=DEADLINE)
    open_streams.append(streams)
    for _ in range(3 * CROWD):
        engine.serve(streams)
    assert not engine.asked.is_set()


def test_at_rest_one_lane_gets_all_processors(open_streams: list[Streams]) -> None:
    engine = Counter(2)
    streams = Streams(engine, rest=0.01)
    open_streams.append(streams)
    engine.serve(streams)
    assert engine.asked.wait(DEADLINE)
    assert engine.streams == 1
    engine.serve(streams)


def test_it_is_never_changed_while_a_photo_is_inside(open_streams: list[Streams]) -> None:
    engine = Counter(2)
    streams = Streams(engine, rest=0.01)
    open_streams.append(streams)
    with streams.enter():
        assert not engine.asked.wait(0.2)
    assert engine.asked.wait(DEADLINE)


def test_without_memory_for_a_change_it_serves_on(open_streams: list[Streams]) -> None:
    engine = Counter(2, has_memory=False)
    streams = Streams(engine, rest=0.01)
    open_streams.append(streams)
    assert engine.asked.wait(DEADLINE)
    engine.serve(streams)
    assert engine.streams == 2
