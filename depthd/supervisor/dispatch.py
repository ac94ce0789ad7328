"""Who works on what: jobs, the worker process, its deadlines and its deaths.

The worker holds a few jobs at once. When it dies, none of them is known to be guilty: each is
tried again with the worker for itself, and only a death alone counts as proof. Attempts are on
disk before work, crashes before the next attempt. Knows jobs and messages, not the inbox.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice

from depthd.config import Config
from depthd.contract.errors import FAULTS, FaultCode, UnavailableError
from depthd.contract.events import Event
from depthd.contract.messages import (
    Blocked,
    Broken,
    FromWorker,
    ProtocolError,
    Published,
    Ready,
    Refused,
    Step,
    Unavailable,
    Work,
)
from depthd.contract.names import candidates
from depthd.contract.status import Failure, moment
from depthd.publish.publisher import Publisher
from depthd.spool import Job, Spool
from depthd.supervisor.gate import Gate
from depthd.supervisor.logs import Emit
from depthd.supervisor.worker_process import Death, WorkerHandle

LOOK_AHEAD = 11  # one decoding, two in the network, two being written, the others on their way
_CLAIMED_TOGETHER = 4  # while there are many: the second claim in a row costs much less
_FIRST_RESTART_DELAY = 0.25
_LONGEST_RESTART_DELAY = 30.0
_FAILED_STARTS = 5
_REMEMBERED_FAILURES = 20
_REMEMBERED_FINISHES = 10_000
_INTERRUPTIONS = 10  # times max_attempts: starts of work that ended with the whole service


@dataclass
class Totals:
    """Photos since the service started."""

    done: int = 0
    failed: int = 0
    worker_restarts: int = 0


class Dispatcher:
    """Runs claimed jobs through the worker and brings them home.

    Args:
        on_worker: called with each new worker, and with None when it is gone.
        once: the photos are there already; the worker begins in the middle of a stream.
    """

    def __init__(
        self,
        config: Config,
        spool: Spool,
        publisher: Publisher,
        gate: Gate,
        emit: Emit,
        on_worker: Callable[[WorkerHandle | None], None],
        *,
        once: bool,
    ) -> None:
        self._config = config
        self._once = once
        self._spool = spool
        self._publisher = publisher
        self._gate = gate
        self._emit = emit
        self._on_worker = on_worker
        self._active: dict[str, Job] = {}
        self._waiting: deque[Job] = deque()  # claimed, to be run beside others
        self._suspects: deque[Job] = deque()  # to be run alone
        self._chores: deque[Callable[[], None]] = deque()  # file work; a full disk holds it up
        self._worker: WorkerHandle | None = None
        self._progress = 0.0  # when the worker last showed life
        self._restart_at = 0.0
        self._deaths = 0  # since the last photo that came through
        self.ready: Ready | None = None
        self.step = ""  # what a worker that is not ready does
        self.totals = Totals()
        self.failures: deque[Failure] = deque(maxlen=_REMEMBERED_FAILURES)
        self.finished_at: deque[float] = deque(maxlen=_REMEMBERED_FINISHES)  # monotonic, for rates

    # state ------------------------------------------------------------------------------------

    @property
    def in_hand(self) -> int:
        """Jobs in work/."""
        return len(self._active) + len(self._waiting) + len(self._suspects) + len(self._chores)

    @property
    def is_working(self) -> bool:
        return bool(self._active)

    @property
    def oldest_claim(self) -> float | None:
        """Seconds since the epoch."""
        jobs = [*self._active.values(), *self._waiting, *self._suspects]
        return min((job.claimed for job in jobs), default=None)

    @property
    def worker_pid(self) -> int | None:
        return self._worker.pid if self._worker else None

    @property
    def room(self) -> int:
        """How many more photos may be claimed now."""
        if self.ready is None or not self._gate.is_open or self._suspects or self._waiting:
            return 0
        if any(job.alone for job in self._active.values()):
            return 0
        room = LOOK_AHEAD - len(self._active)
        return room if room >= _CLAIMED_TOGETHER else 0

    # start, stop ------------------------------------------------------------------------------

    def recover(self) -> None:
        """Take up what a former run left in work/."""
        self._chores.append(self._sweep)
        self._do_chores()

    def _sweep(self) -> None:
        for job in self._spool.sweep():
            self._chores.append(partial(self._take_up, job))
        self._chores.append(self._publisher.sweep)

    def _take_up(self, job: Job) -> None:
        target = self._publisher.settle(job.id, job.name, job.stamp)
        self._emit(
            Event.PHOTO_RECOVERED,
            job=job.id,
            name=job.name,
            attempts=job.attempts,
            published=target is not None,
        )
        if target is not None:
            self._chores.append(partial(self._finish, job, target))
        elif job.attempts >= _INTERRUPTIONS * self._config.worker.max_attempts:
            reason = "each attempt ended with the whole service"
            self._chores.append(partial(self._fail, job, FaultCode.WORKER_CRASHED, reason))
        elif job.attempts:
            self._suspects.append(job)
        else:
            self._waiting.append(job)

    def start_worker(self, now: float) -> None:
        self._worker = WorkerHandle(
            self._config, self._spool.lock, self._spool.instance, is_busy=self._once
        )
        self._progress = now
        self._emit(Event.WORKER_STARTED, pid=self._worker.pid)
        self._on_worker(self._worker)

    def stop(self) -> None:
        """Stop the worker now; jobs in its hands keep their place in work/, uncounted."""
        if self._worker is None:
            return
        if self._active:
            self._worker.kill()
        self._worker.ask_to_stop()
        self._bury(self._worker)
        for job in self._active.values():
            self._chores.append(partial(self._give_back, job))
        self._active.clear()
        self._do_chores()

    def _give_back(self, job: Job) -> None:
        if not self._settle_published(job):
            self._spool.return_attempt(job)
            self._emit(Event.PHOTO_RETURNED, job=job.id, name=job.name)

    # the loop's calls --------------------------------------------------------------------------

    def accept(self, job: Job) -> None:
        """Run a freshly claimed job, whose first attempt is counted."""
        self._emit(Event.PHOTO_CLAIMED, job=job.id, name=job.name, bytes=job.size)
        self._send(job)

    def work(self, now: float) -> float:
        """Start what can be started, enforce deadlines. Returns when to call again."""
        if self._worker is None:
            if now < self._restart_at:
                return self._restart_at
            self.start_worker(now)
        self._do_chores()
        self._start_claimed()
        deadline = self._deadline()
        if now >= deadline:
            self._kill(FaultCode.WORKER_TIMEOUT)
            return now
        return deadline

    def _deadline(self) -> float:
        if self.ready is None:
            return self._progress + self._config.worker.start_timeout
        if self._active:
            return self._progress + self._config.worker.timeout
        return float("inf")

    def _start_claimed(self) -> None:
        """Jobs that are in work/ already: suspects alone, others beside each other."""
        if self.ready is None or not self._gate.is_open:
            return
        if self._suspects:
            if not self._active:
                self._start(self._suspects, alone=True)
            return
        while self._waiting and len(self._active) < LOOK_AHEAD:
            if not self._start(self._waiting, alone=False):
                return

    def _start(self, queue: deque[Job], *, alone: bool) -> bool:
        try:
            job = self._spool.count_attempt(queue[0], alone=alone)
        except OSError as error:
            self._gate.close(f"work/ cannot be written: {error}", time.monotonic())
            return False
        queue.popleft()
        self._send(job)
        return True

    def _send(self, job: Job) -> None:
        if not self._active:
            self._progress = time.monotonic()
        self._active[job.id] = job
        if self._worker is not None:
            self._worker.send(Work(job=job.id))

    def read_worker(self) -> None:
        """The worker's socket is readable."""
        if self._worker is None:
            return
        try:
            messages = self._worker.receive()
        except EOFError:  # its sentinel tells the rest
            self._worker.kill()
        except ProtocolError as error:
            self._kill(FaultCode.WORKER_CRASHED, f"it spoke nonsense: {error}")
        else:
            for message in messages:
                self._hear(message)

    def worker_died(self) -> None:
        """The worker's sentinel woke the loop."""
        if self._worker is None:
            return
        try:
            last_words = self._worker.last_words()
        except ProtocolError:
            last_words = []
        for message in last_words:
            self._hear(message)
        death = self._bury(self._worker)
        code = FaultCode.WORKER_OUT_OF_MEMORY if death.out_of_memory else FaultCode.WORKER_CRASHED
        self._emit(Event.WORKER_DIED, reason=str(death), jobs=list(self._active))
        self._after_death(code, str(death))

    # messages ---------------------------------------------------------------------------------

    def _hear(self, message: FromWorker) -> None:
        self._progress = time.monotonic()
        match message:
            case Step():
                self.step = message.text
                self._emit(Event.MODEL_STEP, text=message.text)
            case Ready():
                self._became_ready(message)
            case Unavailable():
                raise UnavailableError(message.message, message.hint)
            case Published() | Refused() | Broken() | Blocked():
                job = self._active.pop(message.job, None)
                if job is not None:
                    self._conclude(job, message)

    def _became_ready(self, message: Ready) -> None:
        self.ready = message
        self.step = ""
        self._emit(Event.WORKER_READY, **message.model_dump(exclude={"kind"}))
        if message.fallback:
            self._emit(
                Event.MODEL_FALLBACK,
                model=message.model,
                wanted=self._config.model.name,
                hint="depthd model fetch",
            )

    def _conclude(self, job: Job, message: Published | Refused | Broken | Blocked) -> None:
        match message:
            case Published():
                self._deaths = 0
                self._gate.worked()
                self._published(job, message)
            case Refused():
                self._deaths = 0
                self._chores.append(partial(self._fail, job, message.code, message.detail))
            case Broken():
                self._chores.append(partial(self._settle, job, message.code, message.detail))
            case Blocked():
                self._gate.close(message.detail, time.monotonic())
                self._chores.append(partial(self._queue_again, job))
        self._do_chores()

    def _queue_again(self, job: Job) -> None:
        """The outbox failed in the middle of a job; its attempt does not count."""
        if not self._settle_published(job):
            self._waiting.append(replace(job, attempts=job.attempts - 1))

    def _published(self, job: Job, message: Published) -> None:
        target = next(islice(candidates(job.name, job.stamp), message.candidate, None))
        for note in message.notes:
            self._emit(Event.PHOTO_NOTE, job=job.id, name=job.name, note=note)
        times = {f"{stage}_ms": value for stage, value in message.milliseconds.items()}
        self._emit(Event.PHOTO_PUBLISHED, job=job.id, name=job.name, output=target, **times)
        self._chores.append(partial(self._finish, job, target))

    # chores -----------------------------------------------------------------------------------

    def _do_chores(self) -> None:
        """Do what can be done; a folder that cannot be written closes the gate."""
        if self._gate.is_open and (trouble := self.do_chores()):
            self._gate.close(trouble, time.monotonic())

    def do_chores(self) -> str:
        """Do file work until all is done or it fails. Returns why it failed.

        A chore can be done again from its beginning, wherever it failed.
        """
        while self._chores:
            try:
                self._chores[0]()
            except OSError as error:
                return f"photos cannot be brought home: {error}"
            self._chores.popleft()
        return ""

    def _finish(self, job: Job, target: str) -> None:
        place = self._spool.finish(job, target)
        self.totals.done += 1
        self.finished_at.append(time.monotonic())
        self._emit(Event.PHOTO_DONE, job=job.id, name=job.name, original=place)

    def _fail(self, job: Job, code: FaultCode, detail: str) -> None:
        place = self._spool.fail(job, code, detail)
        self.totals.failed += 1
        self.finished_at.append(time.monotonic())
        self.failures.append(Failure(name=job.name, code=code, at=moment(time.time())))
        self._emit(
            Event.PHOTO_FAILED,
            job=job.id,
            name=job.name,
            code=code.value,
            detail=detail or FAULTS[code].sentence,
            original=place,
        )

    # deaths -----------------------------------------------------------------------------------

    def _kill(self, code: FaultCode, reason: str = "") -> None:
        if self._worker is None:
            return
        reason = reason or f"nothing came of it within {self._deadline() - self._progress:g} s"
        self._emit(Event.WORKER_KILLED, reason=reason, jobs=list(self._active))
        self._worker.kill()
        self._bury(self._worker)
        self._after_death(code, reason)

    def _bury(self, worker: WorkerHandle) -> Death:
        self._on_worker(None)
        self._worker = None
        self.ready = None
        return worker.reap(self._config.worker.stop_timeout)

    def _after_death(self, code: FaultCode, reason: str) -> None:
        """Nobody in the worker's hands is known to be guilty, unless it was there alone."""
        self._deaths += 1
        self.totals.worker_restarts += 1
        if not self._active and self._deaths >= _FAILED_STARTS:
            raise UnavailableError(
                f"the worker died {self._deaths} times without a photo: {reason}",
                "run 'depthd check'; the worker's own words are on standard error",
            )
        delay = min(_FIRST_RESTART_DELAY * 2 ** (self._deaths - 1), _LONGEST_RESTART_DELAY)
        self._restart_at = time.monotonic() + delay
        for job in self._active.values():
            self._chores.append(partial(self._settle, job, code, reason))
        self._active.clear()
        self._do_chores()

    def _settle(self, job: Job, code: FaultCode, reason: str) -> None:
        if not self._settle_published(job):
            self._suspect(job, code, reason)

    def _settle_published(self, job: Job) -> bool:
        """Bring home a job whose manifest is out; undo what any other has left."""
        target = self._publisher.settle(job.id, job.name, job.stamp)
        if target is None:
            return False
        self._chores.append(partial(self._finish, job, target))
        return True

    def _suspect(self, job: Job, code: FaultCode, reason: str) -> None:
        """Count a crash; a photo that crashed alone often enough is failed."""
        job = self._spool.count_crash(job)
        if job.alone and job.crashes >= self._config.worker.max_attempts:
            self._chores.append(partial(self._fail, job, code, reason))
            return
        self._suspects.append(job)
        self._emit(
            Event.PHOTO_RETRIED,
            job=job.id,
            name=job.name,
            code=code.value,
            reason=reason,
            attempts=job.attempts,
        )
