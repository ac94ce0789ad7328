"""The daemon's worker process, fed by an actor: what it works on may crash, hang or exhaust it.

Each photo that the worker had when it died is tried again with the worker for itself, and
after worker.max_attempts it is given up. The attempts are counted here, in a process that decodes
nothing. Knows open files, no names and no store.
"""

from __future__ import annotations

import os
import select
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NoReturn

from depthd.backfill.results import Failed, Made, Result
from depthd.channel.messages import (
    Blocked,
    Broken,
    FromWorker,
    Hello,
    ProtocolError,
    Ready,
    Refused,
    Rendered,
    Started,
    Step,
    Unavailable,
    Work,
)
from depthd.config import Config, FolderPolicy
from depthd.contract.errors import DepthdError, FaultCode, OutputError, TemporaryError
from depthd.contract.formats import Format
from depthd.supervisor.worker_process import LOOK_AHEAD, Worker, WorkerProcess

_STARTS = 3  # in a row that end before it is ready
_ROOM = 1_000_000_000  # bytes free in memory for results, else they go to a disk
_SHARED_MEMORY = "/dev/shm"  # noqa: S108 - files without a name


@dataclass(frozen=True)
class Job:
    """A photo to be worked on.

    Attributes:
        id: told back with the answer.
        original: open file with its bytes, from now on the worker's owner's.
    """

    id: int
    policy: FolderPolicy
    original: int


@dataclass
class _Flight:
    """A job that the worker has."""

    job: Job
    files: dict[Format, int]
    since: float | None = None  # when work began

    def close_files(self) -> None:
        for handle in self.files.values():
            os.close(handle)
        self.files = {}


@dataclass
class _Suspect:
    """A job to be tried alone."""

    job: Job
    attempts: int
    code: FaultCode
    detail: str


@dataclass
class PhotoWorker:
    """Photos in, results out, whatever they do to the process that works on them.

    Args:
        config: of the worker.
        start: makes a worker.
    """

    config: Config
    start: Callable[[], Worker] | None = None
    _worker: Worker | None = None
    _ready: bool = False
    _started: float = 0.0
    _starts: int = 0
    _last_words: deque[str] = field(default_factory=lambda: deque(maxlen=3))
    _flights: dict[str, _Flight] = field(default_factory=dict)
    _again: deque[Job] = field(default_factory=deque)
    _suspects: deque[_Suspect] = field(default_factory=deque)
    _alone: _Suspect | None = None

    def work(self, jobs: Iterable[Job]) -> Iterator[Made | Failed]:
        """Work on all of them; answers come in any order.

        Raises:
            DepthdError: the worker cannot be had on this machine.
        """
        waiting = iter(jobs)
        try:
            while True:
                more = self._fill(waiting)
                if not self._flights and not more:
                    return
                answers = self._listen()
                try:
                    while answers:
                        yield answers[0]
                        _let_go(answers.pop(0))
                finally:
                    for answer in answers:
                        _let_go(answer)
        finally:
            self._forget(waiting)

    def close(self) -> None:
        """End the worker."""
        if self._worker is not None:
            self._worker.kill()
            self._bury()

    # giving -----------------------------------------------------------------------------------

    def _fill(self, waiting: Iterator[Job]) -> bool:
        """Give it as much as it may have; False where nothing is left to be given."""
        while not self._alone and len(self._flights) < LOOK_AHEAD:
            job = self._again.popleft() if self._again else next(waiting, None)
            if job is None:
                break
            self._send(job)
        if not self._flights and self._suspects:
            self._alone = self._suspects.popleft()
            self._send(self._alone.job)
        return bool(self._flights)

    def _send(self, job: Job) -> None:
        if self._worker is None:
            self._worker, self._ready = self._start(), False
            self._started = time.monotonic()
        os.lseek(job.original, 0, os.SEEK_SET)
        flight = _Flight(job, {kind: _nameless() for kind in job.policy.formats})
        self._flights[str(job.id)] = flight
        work = Work(job=str(job.id), policy=job.policy)
        self._worker.send(work, [job.original, *flight.files.values()])

    def _start(self) -> Worker:
        if self.start is not None:
            return self.start()
        return WorkerProcess(self.config, is_busy=True)

    # hearing ----------------------------------------------------------------------------------

    def _listen(self) -> list[Made | Failed]:
        """Wait until it has said something, is dead, or has taken too long."""
        worker = self._worker
        if worker is None:
            return []
        poll = select.poll()
        for source in worker.sources():
            poll.register(source, select.POLLIN)
        poll.poll(max(0.0, self._deadline() - time.monotonic()) * 1000)
        self._last_words.extend(worker.words())
        answers: list[Made | Failed] = []
        try:
            for message in worker.hear():
                answers += self._hear(message)
        except ProtocolError as error:
            self._last_words.append(str(error))
            worker.kill()
        if (death := worker.death()) is not None:
            code = FaultCode.WORKER_CRASHED
            if death.out_of_memory:
                code = FaultCode.WORKER_OUT_OF_MEMORY
            self._bury()
            answers += self._suspect_all(code, "; ".join([str(death), *self._last_words]))
        elif time.monotonic() >= self._deadline():
            worker.kill()
            self._bury()
            limit = self.config.worker.timeout if self._ready else self.config.worker.start_timeout
            words = f"it took longer than {limit:.0f} s"
            answers += self._suspect_all(FaultCode.WORKER_TIMEOUT, words)
        return answers

    def _hear(self, message: FromWorker) -> list[Made | Failed]:
        match message:
            case Hello() | Step():
                return []
            case Ready():
                self._ready, self._starts = True, 0
                return []
            case Unavailable():
                error = DepthdError(message.message, message.hint)
                error.exit_code = message.exit_code
                self.close()
                raise error
            case _:
                answer = self._hear_of_job(message)
                return [] if answer is None else [answer]

    def _hear_of_job(
        self, message: Started | Rendered | Refused | Broken | Blocked
    ) -> Made | Failed | None:
        flight = self._flights.get(message.job)
        if flight is None:
            raise ProtocolError(f"it spoke of a job that it does not have ({message.kind})")
        if isinstance(message, Started):
            flight.since = time.monotonic()
            return None
        del self._flights[message.job]
        if isinstance(message, Rendered):
            return self._made(flight, message)
        flight.close_files()
        match message:
            case Refused():
                return self._end(Failed(flight.job.id, message.code, message.detail), flight.job)
            case Broken():
                return self._suspect(flight.job, message.code, message.detail)
            case Blocked():
                if self._alone is not None:
                    self._no_room(message.detail)
                self._suspects.append(
                    _Suspect(flight.job, 0, FaultCode.INTERNAL_ERROR, message.detail)
                )
                return None

    def _made(self, flight: _Flight, message: Rendered) -> Made | Failed | None:
        said = {file.format: file for file in message.facts.files}
        for kind, facts in said.items():
            handle = flight.files.get(kind, -1)
            if handle < 0 or os.fstat(handle).st_size != facts.bytes:
                flight.close_files()
                words = f"its {kind} is not what was said of it"
                return self._suspect(flight.job, FaultCode.INTERNAL_ERROR, words)
        for kind in flight.files.keys() - said.keys():
            os.close(flight.files[kind])
        results = tuple(Result(facts, flight.files[kind]) for kind, facts in said.items())
        made = Made(flight.job.id, message.facts, results)
        self._end(made, flight.job)
        return made

    # what went wrong --------------------------------------------------------------------------

    def _suspect_all(self, code: FaultCode, words: str) -> list[Made | Failed]:
        """The worker is gone: whatever it had may have been the reason, told as begun or not."""
        flights, self._flights = list(self._flights.values()), {}
        if not self._ready:
            self._starts += 1
            if self._starts >= _STARTS:
                raise TemporaryError(f"the worker cannot be started: {words}")
        failed: list[Made | Failed] = []
        for flight in flights:
            flight.close_files()
            if not self._ready:
                if self._alone is None:
                    self._again.append(flight.job)
                else:
                    self._suspects.appendleft(self._alone)
            elif (answer := self._suspect(flight.job, code, words)) is not None:
                failed.append(answer)
        self._alone = None
        return failed

    def _suspect(self, job: Job, code: FaultCode, detail: str) -> Failed | None:
        """Try it alone, unless that was done often enough."""
        attempts = (self._alone.attempts if self._alone is not None else 0) + 1
        was_alone, self._alone = self._alone is not None, None
        if was_alone and attempts >= self.config.worker.max_attempts:
            return self._end(Failed(job.id, code, detail), job)
        self._suspects.append(_Suspect(job, attempts, code, detail))
        return None

    def _end(self, answer: Failed | Made, job: Job) -> Failed | None:
        os.close(job.original)
        if self._alone is not None and self._alone.job is job:
            self._alone = None
        return answer if isinstance(answer, Failed) else None

    def _no_room(self, words: str) -> NoReturn:
        raise OutputError(
            f"this node has no room for the results of a photo at work: {words}",
            f"make room in {_SHARED_MEMORY} or in the folder TMPDIR",
        )

    def _deadline(self) -> float:
        if not self._ready:
            return self._started + self.config.worker.start_timeout
        begun = [flight.since for flight in self._flights.values() if flight.since is not None]
        limits = [since + self.config.worker.timeout for since in begun]
        return min(limits, default=time.monotonic() + self.config.worker.timeout)

    def _bury(self) -> None:
        worker, self._worker = self._worker, None
        if worker is not None:
            end = time.monotonic() + 10
            while worker.death() is None and time.monotonic() < end:
                poll = select.poll()
                for source in worker.sources():
                    poll.register(source, select.POLLIN)
                poll.poll(100)
            with suppress(OSError):
                self._last_words.extend(worker.words())
            worker.close()

    def _forget(self, waiting: Iterator[Job]) -> None:
        """Nothing of this unit stays; a worker that still has some of it is ended."""
        if self._flights:
            self.close()
        for flight in self._flights.values():
            flight.close_files()
        left = [*(flight.job for flight in self._flights.values()), *self._again]
        left += [suspect.job for suspect in self._suspects]
        for job in left:
            os.close(job.original)
        self._flights, self._alone = {}, None
        self._again.clear()
        self._suspects.clear()
        if close := getattr(waiting, "close", None):
            close()


def _let_go(answer: Made | Failed) -> None:
    if isinstance(answer, Made):
        for result in answer.results:
            os.close(result.handle)


def _nameless() -> int:
    """An open file that goes with its last descriptor; in memory where there is enough of it."""
    with suppress(OSError):
        disk = os.statvfs(_SHARED_MEMORY)
        if disk.f_bavail * disk.f_frsize >= _ROOM:
            return os.open(_SHARED_MEMORY, os.O_TMPFILE | os.O_RDWR, 0o600)
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
