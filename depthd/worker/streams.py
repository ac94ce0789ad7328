"""How many inferences run side by side: one at rest, more while many come.

One inference on all processors is done soonest. But its threads wait for each other at every
layer, and for whatever else has one of the processors just then; inferences side by side, each on
its own share of them, do not: a fifth more photos of 640x480 a second on two processors. Knows the
engine and who waits for it, nothing of photos.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from depthd.contract.errors import UnavailableError
from depthd.model.engine import Engine

CROWD = 50  # photos in a row behind which another waited: by then a change has cost less
REST = 0.5  # seconds without a photo


class Streams:
    """Lets as many threads into the engine as it has streams, and gives it more or fewer.

    Args:
        engine: it must be used through this object only.
        rest: seconds without a photo after which the next one gets all processors.
    """

    def __init__(self, engine: Engine, rest: float = REST) -> None:
        self._engine = engine
        self._rest = rest
        self._changed = threading.Condition()
        self._inside = 0
        self._outside = 0  # threads that wait
        self._crowd = 0
        self._closed = False
        self._watch = threading.Thread(target=self._widen_at_rest, name="streams", daemon=True)
        self._watch.start()

    @contextmanager
    def enter(self) -> Iterator[None]:
        """Wait for a stream, and keep it for one inference."""
        with self._changed:
            self._outside += 1
            self._changed.wait_for(lambda: self._inside < self._engine.streams)
            self._outside -= 1
            if self._crowd >= CROWD and not self._inside:
                self._arrange(self._engine.most_streams)
            self._inside += 1
        try:
            yield
        finally:
            with self._changed:
                self._inside -= 1
                self._crowd = self._crowd + 1 if self._outside else 0
                self._changed.notify_all()

    def close(self) -> None:
        """Stop looking after the engine; nobody may be inside."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._watch.join()

    def _widen_at_rest(self) -> None:
        """Make one stream of all when photos come singly, or not at all."""
        with self._changed:
            while not self._closed:
                if self._engine.streams == 1 or self._is_used():
                    self._changed.wait()
                elif not self._changed.wait_for(self._is_used, self._rest):
                    self._arrange(1)

    def _is_used(self) -> bool:
        return self._closed or self._inside > 0 or self._outside > 0

    def _arrange(self, streams: int) -> None:
        """An engine that has no memory for a change serves on as it is, and is asked later."""
        self._crowd = 0
        try:
            self._engine.arrange(streams)
        except UnavailableError:
            self._rest *= 2
