"""Who works on what: jobs to the worker and back, its deadlines and its deaths.

The worker holds a few jobs at once. When it dies, none of them is known to be guilty: each is
tried again with the worker for itself, and only a death alone counts as proof. Attempts are on
disk before work, crashes before the next attempt. What the worker has made goes `homeward`. Knows
jobs and messages, not the inbox; times are seconds of the loop's clock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from depthd.channel.messages import (
    Blocked,
    Broken,
    Refused,
    Rendered,
    Started,
    Work,
)
from depthd.config import Config
from depthd.config.rolling import RollingRanges
from depthd.contract.errors import FaultCode
from depthd.contract.events import Emit, Event
from depthd.contract.states import State
from depthd.spool import Job, Verdict
from depthd.supervisor.credence import JobMessage, contradiction
from depthd.supervisor.errands import Errands, NotRead, Opened, Taken
from depthd.supervisor.filework import FileWork
from depthd.supervisor.gate import Gate
from depthd.supervisor.homeward import Homeward
from depthd.supervisor.keeper import Keeper, News
from depthd.supervisor.recovery import Recovery
from depthd.supervisor.suspects import Suspects
from depthd.supervisor.table import NEVER, Entry
from depthd.supervisor.worker_process import LOOK_AHEAD
from depthd.system import files

_TRIES_OF_A_SINGLE_RUN = 3
_MOST_CHANGES = 5  # times that a photo may turn out to be written to after its claim
# What a photo that is still being written may look like.
_UNFINISHED = frozenset(
    {FaultCode.EMPTY, FaultCode.TRUNCATED, FaultCode.DAMAGED, FaultCode.NOT_AN_IMAGE}
)
# Once alone is proof enough: it takes long, or will end in the same way each time.
_PROVEN_AT_ONCE = (
    FaultCode.WORKER_TIMEOUT,
    FaultCode.INTERNAL_ERROR,
    FaultCode.FORBIDDEN_ACCESS,
)


class Dispatcher:
    """Runs claimed jobs through the worker.

    Args:
        config: the settings.
        errands: work on the files of one job.
        filework: does it off the loop.
        keeper: the worker.
        gate: whether anything can be written.
        emit: writes a log event.
        clock: seconds, never going back.
    """

    def __init__(
        self,
        config: Config,
        errands: Errands,
        filework: FileWork,
        keeper: Keeper,
        gate: Gate,
        emit: Emit,
        clock: Callable[[], float],
    ) -> None:
        self.config = config
        self._filework = filework
        self._keeper = keeper
        self._gate = gate
        self._emit = emit
        self._clock = clock
        self.home = Homeward(errands, filework, gate, emit, clock, self._run)
        self.recovery = Recovery(
            self.home, filework, gate, emit, clock, lambda: self.config.worker.max_attempts
        )
        self._fresh: deque[Entry] = deque()  # to be run beside others
        self._suspects = Suspects()
        self._in_worker: dict[str, Entry] = {}
        self._starting = 0  # being claimed, or whose files are being opened
        self._is_stopping = False
        self._ranges = RollingRanges()
        self.may_claim = True
        self.others_wait = True  # photos in the inbox are ready to be claimed, as far as is known

    # state ------------------------------------------------------------------------------------

    @property
    def is_working(self) -> bool:
        """Whether something is under way that will end by itself."""
        return bool(self._under_way or self.home.is_working)

    @property
    def is_at_rest(self) -> bool:
        """Whether nothing is left but what was tried a few times and waits for better days."""
        home, times = self.home, _TRIES_OF_A_SINGLE_RUN
        is_busy = self.is_working or self.has_waiting or not self.recovery.is_over
        return not is_busy and home.aside.were_tried(times) and home.holds.were_tried(times)

    @property
    def has_waiting(self) -> bool:
        """Whether photos that are claimed wait for the worker."""
        return bool(self._fresh or self._suspects)

    @property
    def room(self) -> int:
        """How many more photos may be claimed now."""
        may_claim = (
            self._can_run
            and self.may_claim
            and self.recovery.is_over
            and self._gate.is_open
            and not self.home.aside.is_full
            and not self._must_isolate(self._clock())
        )
        return LOOK_AHEAD - self._under_way - len(self._fresh) if may_claim else 0

    @property
    def _can_run(self) -> bool:
        """Whether the worker can be given something."""
        return (
            self._keeper.worker is not None
            and not self._keeper.wants_exchange
            and not self._is_stopping
            and self._suspects.alone is None
        )

    @property
    def _under_way(self) -> int:
        return len(self._in_worker) + self._starting

    def _must_isolate(self, now: float) -> bool:
        others_wait = bool(self._fresh) or self.others_wait
        return self._suspects.wants_turn(now, others_wait=others_wait)

    # start, stop ------------------------------------------------------------------------------

    def stop(self) -> None:
        """Begin nothing new; what is in the worker's hands is finished."""
        self._is_stopping = True

    def move_to(self, errands: Errands) -> None:
        """Go on in other folders."""
        self.home.forget()
        self.home.errands = errands
        self._fresh.clear()
        self._suspects.clear()
        self.may_claim = True
        self.recovery.begin()

    def give_back(self) -> None:
        """The time is up: the worker's jobs keep their place in work/, their attempt uncounted.

        Those on their way home are left to the threads, which may be using their files.
        """
        for entry in self._in_worker.values():
            entry.close_outlets()
            self._uncount(entry, self._returned)
        for entry in self._fresh:
            if entry.is_counted:  # and not begun: the next start need not suspect it
                self._uncount(entry, lambda _: None)

    def _uncount(self, entry: Entry, then: Callable[[Job], None]) -> None:
        entry.uncount()
        self._filework.submit(
            partial(self.home.errands.rewrite, entry.job),
            then,
            lambda _: None,  # what cannot be written now is one interruption more
        )

    def _returned(self, job: Job) -> None:
        self._emit(Event.PHOTO_RETURNED, job=job.id, name=job.name)

    # the loop's calls --------------------------------------------------------------------------

    def expect(self, count: int) -> None:
        """So many photos are being claimed; each will be told by `accept` or `missed`."""
        self._starting += count

    def missed(self) -> None:
        """A photo that was expected stays in the inbox."""
        self._starting -= 1

    def accept(self, taken: Taken) -> None:
        """Run a photo that was expected, and is claimed now."""
        self._starting -= 1
        job = taken.job
        self._emit(Event.PHOTO_CLAIMED, job=job.id, name=job.name, bytes=job.size)
        entry = self.home.table.add(job, self._clock())
        entry.verdict = job.verdict
        entry.is_counted = True
        if taken.error is not None:
            self.home.met_error(entry, taken.error)
        elif taken.opened is None:
            self.home.route(entry)
        elif self.home.holds.join(entry):
            taken.opened.close()
        else:
            self._send(entry, taken.opened)

    def turn(self, now: float) -> float:
        """Start what can be started, enforce deadlines. Returns when to call again."""
        self.home.turn(now)
        self.recovery.turn(now)
        if self._gate.is_open and self._can_run:
            self._start(now)
        self._enforce_deadlines(now)
        deadlines = [entry.deadline for entry in self._in_worker.values()]
        times = (self.home.next_try, self.recovery.next_look, self._suspects.next_time(now))
        return min(*times, *deadlines, NEVER)

    def hear(self, news: News) -> None:
        """Act on what the worker said, and on its death."""
        for message in news.messages:
            lie = self._heed(message)
            if lie:
                self._distrust(lie)
                return
        if news.death:
            code = FaultCode.WORKER_CRASHED
            if news.out_of_memory:
                code = FaultCode.WORKER_OUT_OF_MEMORY
            self._after_death(list(self._in_worker.values()), code, news.death)

    # to the worker ----------------------------------------------------------------------------

    def _run(self, entry: Entry) -> None:
        """The worker must see it."""
        if entry.is_suspect:
            self._suspects.add(entry, self._clock())
        else:
            self._fresh.append(entry)

    def _start(self, now: float) -> None:
        """Suspects alone, others together."""
        if self._must_isolate(now):
            if not self._under_way:
                self._begin(self._suspects.take(), isolated=True)
            return
        while self._fresh and self._under_way < LOOK_AHEAD:
            self._begin(self._fresh.popleft(), isolated=False)

    def _begin(self, entry: Entry, *, isolated: bool) -> None:
        """Open the files of a job, once its attempt is counted."""
        if self.home.holds.join(entry):
            self._suspects.leave(entry)
            return
        job, must_count = entry.job, not entry.is_counted
        if must_count:
            job = replace(job, attempts=job.attempts + 1, isolated=isolated)
        self._starting += 1

        def begun(opened: Opened) -> None:
            self._starting -= 1
            entry.job, entry.is_counted = job, True
            self._send(entry, opened)

        def failed(error: Exception) -> None:
            self._starting -= 1
            self._suspects.leave(entry)
            self.home.met_error(entry, error)

        self._filework.submit(
            partial(self.home.errands.begin, job, must_count=must_count), begun, failed
        )

    def _send(self, entry: Entry, opened: Opened) -> None:
        worker = self._keeper.worker
        if worker is None or self._is_stopping:
            if self._is_stopping:  # nothing is begun any more that would need them
                leave = partial(self.home.errands.leave, opened)
                self._filework.submit(leave, lambda _: None, lambda _: None)
            else:  # it died meanwhile
                opened.close()
            self._suspects.leave(entry)
            self._run(entry)
            return
        entry.outlets, entry.reason, entry.is_counted = opened.outlets, "", False
        self.home.table.move(entry, State.ACTIVE, self._clock())
        self._in_worker[entry.job.id] = entry
        policy = self._ranges.resolve(entry.job.name, entry.job.policy)
        work = Work(job=entry.job.id, policy=policy)
        try:
            worker.send(work, [opened.original, *opened.outlets.files.values()])
        except OSError as error:
            self._leave_worker(entry)
            self._take_back(entry)
            entry.uncount()
            self.home.look_whose(entry, error)
        finally:
            files.let_go(opened.original)

    # and back ---------------------------------------------------------------------------------

    def _heed(self, message: JobMessage) -> str:
        """Act on a message; returns why it cannot be true, if it cannot."""
        entry = self._in_worker.get(message.job)
        lie = contradiction(message, entry)
        if entry is None or lie:
            return lie
        if isinstance(message, Started):
            entry.has_started = True
            entry.deadline = self._clock() + self.config.worker.timeout
        else:
            self._leave_worker(entry)
            self._conclude(entry, message)
        return ""

    def _distrust(self, lie: str) -> None:
        """Nothing more of this worker is believed: somebody may have taken it over."""
        at_work = list(self._in_worker.values())
        self._keeper.kill(lie, [entry.job.id for entry in at_work], self._clock())
        self._after_death(at_work, FaultCode.WORKER_CRASHED, lie)

    def _conclude(self, entry: Entry, message: Rendered | Refused | Broken | Blocked) -> None:
        match message:
            case Rendered():
                self._keeper.worked()
                entry.facts = message.facts
                self._ranges.note(entry.job.name, entry.job.policy, message.facts.depth)
                for note in message.facts.notes:
                    self._emit(Event.PHOTO_NOTE, job=entry.job.id, name=entry.job.name, note=note)
                self.home.route(entry)
            case Refused():
                self._keeper.worked()
                self._take_back(entry)
                self._refuse(entry, Verdict(message.code, message.detail))
            case Broken():
                self._take_back(entry)
                self._suspect(entry, message.code, message.detail)
            case Blocked():
                self._take_back(entry)
                entry.uncount()
                trouble = NotRead if message.is_unread else OSError
                self.home.look_whose(entry, trouble(message.detail))

    def _leave_worker(self, entry: Entry) -> None:
        del self._in_worker[entry.job.id]
        entry.deadline, entry.has_started = NEVER, False
        self._suspects.leave(entry)

    def _take_back(self, entry: Entry) -> None:
        self.home.table.take_back(entry, self._clock())

    def _refuse(self, entry: Entry, verdict: Verdict) -> None:
        """Fail a photo, unless somebody has gone on writing it after it was claimed."""
        if verdict.code not in _UNFINISHED or entry.changes >= _MOST_CHANGES:
            self.home.fail(entry, verdict)
            return

        def looked(job: Job) -> None:
            if (job.size, job.mtime_ns) == (entry.job.size, entry.job.mtime_ns):
                self.home.fail(entry, verdict)
                return
            entry.job = job
            entry.uncount()
            entry.changes += 1
            entry.reason = "it was still being written when it was taken"
            self._say_retried(entry, verdict.code, entry.reason)
            quiet = max(1.0, self.config.intake.settle)
            self.home.aside.wait(entry, self._clock() + quiet)

        self._filework.submit(
            partial(self.home.errands.look, entry.job),
            looked,
            lambda _: self.home.fail(entry, verdict),
        )

    # deaths -----------------------------------------------------------------------------------

    def _enforce_deadlines(self, now: float) -> None:
        at_work = list(self._in_worker.values())
        if at_work and all(entry.deadline == NEVER for entry in at_work):
            at_work[0].deadline = now + self.config.worker.timeout  # it need not say so
        late = [entry for entry in at_work if now >= entry.deadline]
        if not late:
            return
        reason = f"nothing came of it within {self.config.worker.timeout:g} s"
        self._keeper.kill(reason, [entry.job.id for entry in late], now)
        for entry in at_work:
            if entry not in late:  # only in the way
                self._leave_worker(entry)
                self._take_back(entry)
                entry.uncount()
                self._run(entry)
        self._after_death(late, FaultCode.WORKER_TIMEOUT, reason)

    def _after_death(self, entries: list[Entry], code: FaultCode, reason: str) -> None:
        """Nobody in the worker's hands is known to be guilty, unless it was there alone."""
        for entry in entries:
            self._suspects.wasted(entry, self._clock())
            self._leave_worker(entry)
            self._take_back(entry)
            self._suspect(entry, code, reason)

    def _suspect(self, entry: Entry, code: FaultCode, reason: str) -> None:
        """Count a crash; a photo that crashed alone often enough is failed."""
        entry.is_suspect = True
        entry.job = job = replace(entry.job, crashes=entry.job.crashes + 1)
        most = 1 if code in _PROVEN_AT_ONCE else self.config.worker.max_attempts
        if job.isolated and job.crashes >= most:
            self.home.fail(entry, Verdict(code, reason))
            return

        def counted(_: object) -> None:
            self._say_retried(entry, code, reason)
            self._run(entry)

        self._filework.submit(
            partial(self.home.errands.rewrite, job), counted, partial(self.home.met_error, entry)
        )

    def _say_retried(self, entry: Entry, code: FaultCode, reason: str) -> None:
        self._emit(
            Event.PHOTO_RETRIED,
            job=entry.job.id,
            name=entry.job.name,
            code=code.value,
            reason=reason,
            attempts=entry.job.attempts,
        )
