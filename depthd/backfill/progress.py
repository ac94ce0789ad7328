"""How far a run is, from what the actors say. Knows numbers, no Ray and no screen."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from dataclasses import dataclass

from depthd.backfill.units import Failure, Report

_LAST = 5  # failures that are kept
_FINISHED = 10_000  # parts after which a late word is not believed
_WINDOW = 300.0  # seconds that the rate looks back


@dataclass(frozen=True)
class Snapshot:
    """A moment of a run.

    Attributes:
        done: photos of this run that became depth.
        failed: that did not.
        before: photos that needed nothing, failed ones among them.
        total: photos of the source; None while it is still being counted.
        rate: photos a second, lately.
        left: seconds until the end; None where nobody knows.
        failures: the last ones.
        nodes: computers at work.
        finished: there will be no later moment.
    """

    done: int
    failed: int
    before: int
    total: int | None
    rate: float
    left: float | None
    failures: tuple[Failure, ...]
    nodes: int
    finished: bool


class Progress:
    """Adds up reports; safe for several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._done = self._failed = 0
        self._under_way: dict[str, Report] = {}
        self._finished: OrderedDict[str, None] = OrderedDict()
        self._failures: deque[Failure] = deque(maxlen=_LAST)
        self._moments: deque[tuple[float, int]] = deque([(time.monotonic(), 0)])
        self.before = 0
        self.total: int | None = None
        self.nodes = 1

    def under_way(self, report: Report) -> None:
        """A unit has got so far."""
        with self._lock:
            if report.part not in self._finished:
                self._under_way[report.part] = report

    def finish(self, report: Report) -> None:
        """A unit is in the index, or came to nothing."""
        with self._lock:
            self._under_way.pop(report.part, None)
            self._finished[report.part] = None
            if len(self._finished) > _FINISHED:
                self._finished.popitem(last=False)
            self._done += report.done
            self._failed += report.failed
            self._failures.extend(report.failures)

    def snapshot(self, *, finished: bool = False) -> Snapshot:
        with self._lock:
            under_way = list(self._under_way.values())
            done = self._done + sum(report.done for report in under_way)
            failed = self._failed + sum(report.failed for report in under_way)
            failures = [*self._failures, *(each for r in under_way for each in r.failures)]
            total = self.total
        rate = self._rate(done + failed)
        left = None
        if total is not None and rate > 0:
            left = max(0, total - self.before - done - failed) / rate
        return Snapshot(
            done,
            failed,
            self.before,
            total,
            rate,
            left,
            tuple(failures[-_LAST:]),
            self.nodes,
            finished,
        )

    def _rate(self, count: int) -> float:
        now = time.monotonic()
        with self._lock:
            moments = self._moments
            if now - moments[-1][0] >= 1:
                moments.append((now, count))
            while len(moments) > 2 and now - moments[1][0] > _WINDOW:
                moments.popleft()
            since, had = moments[0]
        return max(0.0, (count - had) / max(now - since, 1e-9))
