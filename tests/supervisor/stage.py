"""The supervisor on a stage: real folders and files, a clock that is set, workers that are played.

Nothing runs by itself: `Stage.play` takes the loop's turns until nothing changes any more.
"""

from __future__ import annotations

import errno
import hashlib
import os
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from depthd import __version__
from depthd.channel.messages import (
    FromWorker,
    Hello,
    Ready,
    Rendered,
    Started,
    Work,
)
from depthd.config import Config
from depthd.contract import manifest
from depthd.contract.events import Event
from depthd.contract.formats import Format
from depthd.intake import Candidate
from depthd.spool import Job
from depthd.supervisor.dispatch import Dispatcher
from depthd.supervisor.errands import Taken
from depthd.supervisor.filework import FileWork
from depthd.supervisor.gate import Gate
from depthd.supervisor.keeper import Keeper
from depthd.supervisor.parts import Parts
from depthd.supervisor.worker_process import Death
from depthd.system import files

RESULT = b"result"
RESULT_HASH = hashlib.sha256(RESULT).hexdigest()


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class PlayedWorker:
    """A worker whose lines the test speaks."""

    config: Config
    pid: int = 4711
    given: dict[str, list[int]] = field(default_factory=dict)
    said: list[FromWorker] = field(default_factory=list)
    works: list[Work] = field(default_factory=list)
    end: Death | None = None
    is_hung_up: bool = False

    def __post_init__(self) -> None:
        self._ours, self._theirs = socket.socketpair()
        self.said.append(Hello(version=__version__))

    # what the supervisor asks

    def sources(self) -> set[int]:
        return {self._ours.fileno(), self._theirs.fileno()}

    def words(self) -> list[str]:
        return []

    def send(self, work: Work, descriptors: Sequence[int]) -> None:
        self.works.append(work)
        self.given[work.job] = [os.dup(descriptor) for descriptor in descriptors]

    def hear(self) -> list[FromWorker]:
        said, self.said = self.said, []
        return said

    def hang_up(self) -> None:
        self.is_hung_up = True

    def kill(self) -> None:
        self.die("SIGKILL")

    def death(self) -> Death | None:
        return self.end

    def close(self) -> None:
        for job in list(self.given):
            self.drop(job)
        self._ours.close()
        self._theirs.close()

    # what the test makes it do

    def become_ready(self, *, fallback: bool = False) -> None:
        self.said.append(said_ready(self.config, fallback=fallback))

    def speak_up(self) -> None:
        """Its descriptors become readable."""
        self._ours.send(b".")
        self._theirs.send(b".")

    def start(self, job: str) -> None:
        self.said.append(Started(job=job))

    def render(self, job: str) -> None:
        """Fill the job's files, and say so."""
        _, *results = self.given[job]
        for descriptor in results:
            os.write(descriptor, RESULT)
        self.drop(job)
        self.said.append(Rendered(job=job, facts=facts()))

    def say(self, message: FromWorker) -> None:
        self.said.append(message)

    def drop(self, job: str) -> None:
        for descriptor in self.given.pop(job):
            os.close(descriptor)

    def die(self, signal_name: str = "SIGSEGV", *, out_of_memory: bool = False) -> None:
        if self.end is None:
            self.end = Death(None, signal_name, out_of_memory)


def said_ready(config: Config, *, fallback: bool) -> Ready:
    """What a worker says when it can serve."""
    return Ready(
        model=config.model.name,
        sha256="0" * 64,
        fallback=fallback,
        source="",
        weights=str(config.root / "weights"),
        engine="played",
        engine_version="1",
        precision="f32",
        threads=1,
        cage="not shut in",
    )


def facts() -> manifest.Facts:
    """What a worker says of a photo that became `RESULT` in the default formats."""
    return manifest.Facts(
        source_sha256="0" * 64,
        source_size=5,
        photo=manifest.Photo(format="jpeg", width=4, height=3, orientation=1, notes=()),
        model=manifest.Model(
            name="midas_small",
            weights_sha256="0" * 64,
            fallback=False,
            published=True,
            engine="played",
            engine_version="1",
            precision="f32",
            input_width=64,
            input_height=64,
            preprocess="exact",
        ),
        depth=manifest.Depth(
            width=4,
            height=3,
            min=0.0,
            max=1.0,
            percentiles={"2": 0.0, "25": 0.2, "50": 0.5, "75": 0.7, "98": 1.0},
        ),
        started=datetime.now(UTC),
        milliseconds={"infer": 1.0},
        files=tuple(
            manifest.FileFacts(format=kind, sha256=RESULT_HASH, bytes=len(RESULT))
            for kind in (Format.HEATMAP, Format.NPY)
        ),
    )


def drop(root: Path, name: str, content: bytes = b"photo") -> Candidate:
    """Put a photo into the inbox."""
    path = root / "inbox" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return look(root, name)


def look(root: Path, name: str) -> Candidate:
    about = os.lstat(root / "inbox" / name)
    return Candidate.of(name, about)


def hide_record(patch: pytest.MonkeyPatch, job: Job) -> None:
    """Let the disk fail where a job's record is read."""
    open_regular = files.open_regular

    def failing(name: str, folder: int) -> int:
        if name == "job.json" and job.id in os.readlink(f"/proc/self/fd/{folder}"):
            raise OSError(errno.EIO, "Input/output error")
        return open_regular(name, folder)

    patch.setattr(files, "open_regular", failing)


class Stage:
    """Dispatcher, keeper and files of one root."""

    def __init__(self, root: Path, *, once: bool = False, **settings: object) -> None:
        self.root = root
        self.config = Config.model_validate({"root": root, **settings})
        self.clock = Clock()
        self.events: list[tuple[Event, dict[str, object]]] = []
        self.workers: list[PlayedWorker] = []
        self.start_error: OSError | None = None
        self.parts = Parts.build(self.config)
        self.filework = FileWork(0, lambda: None)
        self.gate = Gate(self.emit)
        self.keeper = Keeper(self.start_worker, self.config, self.emit, once=once)
        self.dispatcher = Dispatcher(
            self.config,
            self.parts.errands,
            self.filework,
            self.keeper,
            self.gate,
            self.emit,
            self.clock,
        )
        self.dispatcher.others_wait = False
        self.dispatcher.recovery.begin()
        self.is_open = True

    def emit(self, event: Event, /, **fields: object) -> None:
        self.events.append((event, fields))

    def start_worker(self, config: Config, _is_busy: bool) -> PlayedWorker:
        if self.start_error is not None:
            raise self.start_error
        self.workers.append(PlayedWorker(config))
        return self.workers[-1]

    @property
    def worker(self) -> PlayedWorker:
        return self.workers[-1]

    def ready(self) -> None:
        """A worker is started and ready."""
        self.play()
        self.worker.become_ready()
        self.play()

    def crash(self, seconds: float = 60.0, *, out_of_memory: bool = False) -> None:
        """The worker dies; the next one is started in time, and is ready."""
        self.worker.die("SIGKILL" if out_of_memory else "SIGSEGV", out_of_memory=out_of_memory)
        self.replace(seconds)

    def replace(self, seconds: float = 60.0) -> None:
        """A worker that is gone is followed by another one."""
        self.play()
        self.play(seconds)
        self.ready()

    def claim(self, name: str, content: bytes = b"photo") -> Job:
        self.dispatcher.expect(1)
        [taken] = self.parts.errands.claim([drop(self.root, name, content)], self.config)
        assert isinstance(taken, Taken)
        self.dispatcher.accept(taken)
        self.play()
        return taken.job

    def play(self, seconds: float = 0.0) -> None:
        """Let time pass, then take turns until nothing changes."""
        self.clock.now += seconds
        for _ in range(50):
            before = (len(self.events), self.filework.pending, self._given())
            self.filework.deliver()
            self.keeper.turn(self.clock.now)
            self.dispatcher.hear(self.keeper.poll(self.clock.now))
            if self.keeper.wants_exchange and not self.dispatcher.is_working:
                self.keeper.exchange(self.clock.now)
            self.dispatcher.turn(self.clock.now)
            after = (len(self.events), self.filework.pending, self._given())
            if before == after and not self.filework.pending:
                return
        raise AssertionError("it does not come to rest")

    def play_until(self, is_so: Callable[[], bool], seconds: float = 1000.0) -> float:
        """Let time pass second by second; returns how much."""
        passed = 0.0
        while not is_so():
            assert passed < seconds, self.said()
            self.play(0.25)
            passed += 0.25
        return passed

    def _given(self) -> int:
        return sum(len(worker.given) for worker in self.workers)

    def said(self, event: Event | None = None) -> list[dict[str, object]]:
        """Fields of the events so far."""
        return [fields for one, fields in self.events if event in (None, one)]

    def close(self) -> None:
        if not self.is_open:
            return
        self.is_open = False
        self.keeper.stop(self.clock.now)
        self.keeper.abandon()
        for entry in self.dispatcher.home.table:
            entry.close_outlets()
        self.parts.spool.close()
