"""The measurements themselves; each returns plain figures. Knows the daemon and the children."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from statistics import median, quantiles

from depthd.bench.daemon import Daemon, Entry, empty, fill, fresh_root
from depthd.config import Config
from depthd.contract.events import Event

_REST = 0.2  # seconds between two photos, until everything is idle again
_IDLE = 6.0
_PHOTO_DEADLINE = 30.0


@dataclass(frozen=True)
class Run:
    """`depthd run --once` over some photos.

    Attributes:
        rate: photos a second, from the worker's readiness to the last original in done/.
        whole_rate: the same with start and end of the process.
        start: seconds from start to ready.
        memory: most bytes that the process tree held.
        supervisor_ms: the supervisor's processor time for each photo, without its start.
    """

    photos: int
    rate: float
    whole_rate: float
    start: float
    memory: int
    supervisor_ms: float


@dataclass(frozen=True)
class Idle:
    """One daemon that waits, and now and then gets a photo. Times in milliseconds.

    Attributes:
        start: seconds from start to ready.
        cpu: share of one core that the idle process tree uses.
        infer: the network's part of the latency, median.
    """

    start: float
    cpu: float
    median: float
    p99: float
    infer: float
    memory: int


@dataclass(frozen=True)
class Backlog:
    """A daemon that starts on a full inbox. `first` and `ran` in seconds.

    `supervisor_ms` is its processor time for each photo of the later half, when the files that wait
    are all known.
    """

    files: int
    first: float
    ran: float
    photos: int
    supervisor_ms: float
    supervisor_memory: int


class Bench:
    """Measures, each time on a root of its own below `folder`.

    Args:
        config: as users have it, with weights decided.
        models: state/models/ with the prepared network.
    """

    def __init__(self, config: Config, folder: Path, models: Path) -> None:
        self._folder = folder
        self._models = models
        self._config = config
        self._roots = 0

    def run(self, photos: list[Path], count: int, precision: str) -> Run:
        """`depthd run --once` over copies of photos."""
        self._fresh()
        fill(self.root / "inbox", photos, count)
        with Daemon(self._with(precision, settle=0.0), self._folder, once=True) as daemon:
            daemon.wait_for_end()
            ended = time.time()
            ready = _when(daemon.wait_for(Event.WORKER_READY)[0])
            done = daemon.wait_for(Event.PHOTO_DONE, count)
        return Run(
            photos=count,
            rate=count / (_when(done[-1]) - ready),
            whole_rate=count / (ended - daemon.started),
            start=ready - daemon.started,
            memory=daemon.usage.peak,
            supervisor_ms=daemon.usage.supervisor_ms(count),
        )

    def idle(self, photos: list[Path], count: int) -> Idle:
        """Start, rest, and the latency of single photos."""
        self._fresh()
        with Daemon(self._with("f32", settle=0.0), self._folder) as daemon:
            ready = _when(daemon.wait_for(Event.SERVICE_READY)[0])
            time.sleep(_REST)
            before = daemon.cpu_seconds()
            time.sleep(_IDLE)
            cpu = (daemon.cpu_seconds() - before) / _IDLE
            waits = []
            for number in range(count):
                waits.append(self._drop(photos[number % len(photos)], f"{number:06d}.jpg"))
                daemon.wait_for(Event.PHOTO_DONE, number + 1)
                time.sleep(_REST)
            published = daemon.of(Event.PHOTO_PUBLISHED)
            memory = daemon.memory()
        return Idle(
            start=ready - daemon.started,
            cpu=cpu,
            median=median(waits),
            p99=percentile(waits, 99),
            infer=median(entry["infer_ms"] for entry in published),
            memory=memory,
        )

    def _drop(self, photo: Path, name: str) -> float:
        """Milliseconds from the writer's close to the manifest."""
        manifest = self.root / f"outbox/{name}.json"
        shutil.copyfile(photo, self.root / "inbox" / name)
        closed = time.perf_counter()
        while not manifest.exists() and time.perf_counter() - closed < _PHOTO_DEADLINE:
            time.sleep(0.0002)
        return (time.perf_counter() - closed) * 1000

    def backlog(self, photos: list[Path], files: int, count: int) -> Backlog:
        """Start on `files` waiting files, and stop when `count` of them are done."""
        self._fresh()
        fill(self.root / "inbox", photos, files)
        with Daemon(self._with("f32", settle=0.0), self._folder) as daemon:
            first = _when(daemon.wait_for(Event.PHOTO_PUBLISHED)[0]) - daemon.started
            early = len(daemon.wait_for(Event.PHOTO_DONE, count // 2))
            cpu = daemon.usage.supervisor_cpu
            done = len(daemon.wait_for(Event.PHOTO_DONE, count))
            ran = time.time() - daemon.started
        usage = daemon.usage
        supervisor_ms = (usage.supervisor_cpu - cpu) / (done - early) * 1000
        return Backlog(files, first, ran, done, supervisor_ms, usage.supervisor_peak)

    @property
    def root(self) -> Path:
        """Where the run under way has its folders."""
        return self._folder / f"root-{self._roots}"

    def _fresh(self) -> None:
        empty(self.root)
        self._roots += 1
        fresh_root(self.root, self._models)

    def _with(self, precision: str, *, settle: float) -> Config:
        model = self._config.model.model_copy(update={"precision": precision})
        intake = self._config.intake.model_copy(update={"settle": settle})
        ours = {"root": self.root, "model": model, "intake": intake}
        return self._config.model_copy(update=ours)


def percentile(values: Sequence[float], percent: int) -> float:
    """A percentile, interpolated; the value itself where there is only one."""
    if len(values) < 2:
        return values[0]
    return quantiles(values, n=100, method="inclusive")[percent - 1]


def _when(entry: Entry) -> float:
    """Seconds since the epoch."""
    return datetime.fromisoformat(entry["timestamp"]).timestamp()
