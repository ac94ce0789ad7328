"""What happens to each job: what it needs next, and what follows from each answer.

The worker holds a few jobs at once. When it dies, none of them is known to be guilty: each is
tried again with the worker for itself, and only a death alone counts as proof. Attempts are on
disk before work, crashes before the next attempt. Files are only touched by `FileWork`. Knows jobs
and messages, not the inbox; times are seconds of the loop's clock.
"""

from __future__ import annotations

import os
import statistics
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from depthd.channel.messages import (
    Blocked,
    Broken,
    FromWorker,
    Refused,
    Rendered,
    Started,
    Work,
)
from depthd.config import Config
from depthd.contract.errors import FAULTS, FaultCode
from depthd.contract.events import Event
from depthd.contract.names import SetName
from depthd.contract.states import State
from depthd.contract.status import Failure
from depthd.spool import Job, Verdict
from depthd.supervisor.errands import Brought, Errands, Opened, Recovered, Stage, Trouble
from depthd.supervisor.filework import FileWork
from depthd.supervisor.gate import FOLDER, Gate, Holds
from depthd.supervisor.keeper import Keeper, News
from depthd.supervisor.logs import Emit
from depthd.supervisor.table import NEVER, Entry, Later, Table

LOOK_AHEAD = 11  # one decoding, two in the network, two being written, the others on their way
CLAIMED_TOGETHER = 4  # while there are many: the second claim in a row costs much less
_DUE_AT_ONCE = 32
_REMEMBERED_FAILURES = 20
_REMEMBERED_FINISHES = 10_000
_REMEMBERED_SIZES = 20
_TRIES_OF_A_SINGLE_RUN = 3
_INTERRUPTIONS = 10  # times max_attempts: starts of work that ended with the whole service
_MOST_CHANGES = 5  # times that a photo may turn out to be written to after its claim
_PATIENCE = 30.0  # seconds that a suspect waits while others have work
# A photo that had the worker for itself and killed it keeps its folder's suspects waiting for so
# many times as long as it took: others get nine tenths of the time.
_OTHERS_SHARE = 9.0
# What a photo that is still being written may look like.
_UNFINISHED = frozenset(
    {FaultCode.EMPTY, FaultCode.TRUNCATED, FaultCode.DAMAGED, FaultCode.NOT_AN_IMAGE}
)


@dataclass
class Totals:
    """Photos since the service started."""

    done: int = 0
    failed: int = 0


class Dispatcher:
    """Runs claimed jobs through the worker and brings them home.

    Args:
        config: the settings.
        errands: work on the files of one job.
        filework: does them off the loop.
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
        self.errands = errands
        self._filework = filework
        self._keeper = keeper
        self._gate = gate
        self._emit = emit
        self._clock = clock
        self.table = Table()
        self.holds = Holds(emit, self._route)
        self._fresh: deque[Entry] = deque()  # to be run beside others
        self._suspects: deque[Entry] = deque()  # to be run alone
        self._errands: deque[Entry] = deque()  # whose files are to be worked on
        self._later = Later()  # set aside
        self._in_worker: dict[str, Entry] = {}
        self._starting = 0  # of whom the files are being opened
        self._isolated: Entry | None = None
        self._not_before: dict[tuple[str, int], float] = {}  # by folder and owner of suspects
        self._sizes: deque[int] = deque(maxlen=_REMEMBERED_SIZES)  # bytes of results
        self._is_stopping = False
        self.is_recovered = False
        self.pause_claims = False
        self.others_wait = False  # photos in the inbox are ready to be claimed
        self.totals = Totals()
        self.failures: deque[Failure] = deque(maxlen=_REMEMBERED_FAILURES)
        self.finished_at: deque[float] = deque(maxlen=_REMEMBERED_FINISHES)  # for rates

    # state ------------------------------------------------------------------------------------

    @property
    def is_working(self) -> bool:
        """Whether something is under way that will end by itself."""
        return bool(self._in_worker or self._starting or self._filework.pending) or (
            self._gate.is_open and bool(self._errands)
        )

    @property
    def is_at_rest(self) -> bool:
        """Whether nothing is left but what was tried a few times and waits for better days."""
        is_busy = self.is_working or self._fresh or self._suspects or not self.is_recovered
        return (
            not is_busy
            and all(entry.tries >= _TRIES_OF_A_SINGLE_RUN for entry in self._later)
            and self.holds.were_tried(_TRIES_OF_A_SINGLE_RUN)
        )

    @property
    def room(self) -> int:
        """How many more photos may be claimed now."""
        if (
            self._keeper.worker is None
            or self._keeper.wants_exchange
            or not self._gate.is_open
            or not self.is_recovered
            or self._is_stopping
            or self.pause_claims
            or self._isolated
            or self._must_isolate(self._clock())
        ):
            return 0
        room = LOOK_AHEAD - self._under_way - len(self._fresh)
        return room if room >= CLAIMED_TOGETHER else 0

    @property
    def _under_way(self) -> int:
        return len(self._in_worker) + self._starting

    @property
    def typical_size(self) -> int:
        """Bytes of results of an ordinary photo, as far as it is known."""
        return int(statistics.median(self._sizes)) if self._sizes else 0

    def aside(self) -> list[Entry]:
        """Jobs that wait for another time, with their reason."""
        return [entry for entry in self.table if entry.reason]

    # start, stop ------------------------------------------------------------------------------

    def recover(self) -> None:
        """Take up what a former run left in work/."""
        self._filework.submit(self.errands.recover, self._recovered, self._not_recovered)

    def _not_recovered(self, error: Exception) -> None:
        self._gate.close(f"work/ cannot be read: {error}", self._clock())

    def _recovered(self, found: list[Recovered]) -> None:
        now = self._clock()
        self.is_recovered = True
        for each in found:
            entry = self.table.add(each.job, now)
            entry.must_settle = each.must_settle
            self._emit(
                Event.PHOTO_RECOVERED,
                job=each.job.id,
                name=each.job.name,
                attempts=each.job.attempts,
                published=each.target is not None,
            )
            self._take_up(entry, each)
            self._route(entry)

    def _take_up(self, entry: Entry, found: Recovered) -> None:
        job = entry.job
        if found.target is not None:
            self._now_published(entry, found)
        elif job.verdict is not None:
            entry.verdict = job.verdict
        elif job.attempts >= _INTERRUPTIONS * self.config.worker.max_attempts:
            reason = "each attempt ended with the whole service"
            entry.verdict = Verdict(FaultCode.WORKER_CRASHED, reason)
        entry.is_suspect = bool(job.attempts)

    def _now_published(self, entry: Entry, found: Recovered) -> None:
        now = self._clock()
        self.table.move(entry, State.ACTIVE, now)
        self.table.move(entry, State.PUBLISHED, now)
        entry.target = found.target

    def stop(self) -> None:
        """Begin nothing new; what is in the worker's hands is finished."""
        self._is_stopping = True

    def move_to(self, errands: Errands) -> None:
        """Go on in other folders; what could not come home waits in the old ones."""
        for entry in self.table:
            entry.close_outlets()
        self.table = Table()
        self.holds = Holds(self._emit, self._route)
        self._later = Later()
        self._fresh.clear()
        self._suspects.clear()
        self._errands.clear()
        self.errands = errands
        self.is_recovered = self.pause_claims = False
        self.recover()

    def give_back(self) -> None:
        """The time is up: jobs at hand keep their place in work/, their attempt uncounted."""
        for entry in self.table:
            if entry.state is State.ACTIVE:
                self._give_back(entry)

    def _give_back(self, entry: Entry) -> None:
        job = replace(entry.job, attempts=max(0, entry.job.attempts - 1))
        entry.close_outlets()

        def returned(_: object) -> None:
            self._emit(Event.PHOTO_RETURNED, job=job.id, name=job.name)

        self._filework.submit(
            lambda: self.errands.rewrite(job), returned, lambda _: None
        )  # what cannot be written now counts as one interruption more

    # the loop's calls --------------------------------------------------------------------------

    def accept(self, job: Job) -> None:
        """Run a freshly claimed job, whose first attempt is counted."""
        self._emit(Event.PHOTO_CLAIMED, job=job.id, name=job.name, bytes=job.size)
        entry = self.table.add(job, self._clock())
        entry.verdict = job.verdict
        entry.is_counted = True
        self._route(entry)

    def turn(self, now: float) -> float:
        """Start what can be started, enforce deadlines. Returns when to call again."""
        for entry in self._later.pop_due(now, _DUE_AT_ONCE):
            self._route(entry)
        if self._gate.is_open:
            self.holds.turn(now)
            self._run_errands()
            self._start_jobs(now)
        self._enforce_deadlines(now)
        return min(
            self._later.next_time,
            self.holds.next_try,
            min((entry.deadline for entry in self._in_worker.values()), default=NEVER),
            now + 1.0 if self._suspects else NEVER,
        )

    def hear(self, news: News) -> None:
        """Act on what the worker said, and on its death."""
        for message in news.messages:
            self._heed(message)
        if news.death:
            code = (
                FaultCode.WORKER_OUT_OF_MEMORY if news.out_of_memory else FaultCode.WORKER_CRASHED
            )
            self._after_death(list(self._in_worker.values()), code, news.death)

    def reopened(self) -> None:
        """The gate is open again."""
        if not self.is_recovered:
            self.recover()

    # what next --------------------------------------------------------------------------------

    def _route(self, entry: Entry) -> None:
        """Put an entry where its next step will be taken."""
        if not entry.must_run:
            self._errands.append(entry)
        elif entry.is_suspect:
            self._suspects.append(entry)
        else:
            self._fresh.append(entry)

    def _set_aside(self, entry: Entry, reason: str) -> None:
        """This photo cannot be gone on with now, while others can."""
        entry.tries += 1
        entry.next_try = self._clock() + FOLDER.after(entry.tries)
        if entry.reason != reason:
            entry.reason = reason
            self._emit(Event.PHOTO_SET_ASIDE, job=entry.job.id, name=entry.job.name, reason=reason)
        self._later.add(entry)

    def _start_jobs(self, now: float) -> None:
        """Open the files of jobs that can go to the worker: suspects alone, others together."""
        if self._keeper.worker is None or self._keeper.wants_exchange or self._is_stopping:
            return
        if self._isolated is None and self._must_isolate(now):
            if not self._under_way:
                self._isolated = self._next_suspect(now)
                self._begin(self._isolated, isolated=True)
            return
        while self._fresh and self._isolated is None and self._under_way < LOOK_AHEAD:
            entry = self._fresh.popleft()
            if not self.holds.join(entry):
                self._begin(entry, isolated=False)

    def _must_isolate(self, now: float) -> bool:
        """Whether a suspect's turn has come: when nobody else waits, or it has waited long."""
        if not self._suspects:
            return False
        if not self._fresh and not self.others_wait:
            return True
        return any(
            now - entry.since >= _PATIENCE and now >= self._not_before.get(_account(entry), 0.0)
            for entry in self._suspects
        )

    def _next_suspect(self, now: float) -> Entry:
        """Of the folder and owner that has kept others waiting least lately."""
        entry = min(self._suspects, key=lambda entry: self._not_before.get(_account(entry), now))
        self._suspects.remove(entry)
        return entry

    def _begin(self, entry: Entry, *, isolated: bool) -> None:
        job, must_count = entry.job, not entry.is_counted
        if must_count:
            job = replace(job, attempts=job.attempts + 1, isolated=isolated)
        self._starting += 1

        def begun(opened: Opened) -> None:
            self._starting -= 1
            entry.job, entry.is_counted = job, False
            self._send(entry, opened)

        def failed(error: Exception) -> None:
            self._starting -= 1
            if entry is self._isolated:
                self._isolated = None
            self._met_error(entry, error)

        self._filework.submit(lambda: self.errands.begin(job, must_count=must_count), begun, failed)

    def _send(self, entry: Entry, opened: Opened) -> None:
        worker = self._keeper.worker
        if worker is None or self._is_stopping:  # it died meanwhile
            os.close(opened.original)
            opened.outlets.close()
            if entry is self._isolated:
                self._isolated = None
            entry.is_counted = True
            self._route(entry)
            return
        entry.outlets = opened.outlets
        self.table.move(entry, State.ACTIVE, self._clock())
        self._in_worker[entry.job.id] = entry
        entry.reason = ""
        work = Work(job=entry.job.id, policy=entry.job.policy)
        worker.send(work, [opened.original, *opened.outlets.files.values()])
        os.close(opened.original)

    # messages ---------------------------------------------------------------------------------

    def _heed(self, message: FromWorker) -> None:
        match message:
            case Started() | Rendered() | Refused() | Broken() | Blocked():
                entry = self._in_worker.get(message.job)
                if entry is None:
                    return
                if isinstance(message, Started):
                    entry.deadline = self._clock() + self.config.worker.timeout
                else:
                    self._take_back(entry)
                    self._conclude(entry, message)

    def _conclude(self, entry: Entry, message: Rendered | Refused | Broken | Blocked) -> None:
        match message:
            case Rendered():
                self._keeper.worked()
                entry.facts = message.facts
                entry.tries = 0
                for note in message.facts.photo.notes:
                    self._emit(Event.PHOTO_NOTE, job=entry.job.id, name=entry.job.name, note=note)
                self._route(entry)
            case Refused():
                self._keeper.worked()
                self._refuse(entry, Verdict(message.code, message.detail))
            case Broken():
                self._back_to_claimed(entry)
                self._suspect(entry, message.code, message.detail)
            case Blocked():
                self._back_to_claimed(entry)
                self._uncount(entry)
                trouble = OSError(message.detail)
                self._look_whose(entry, trouble, message.needs)

    def _refuse(self, entry: Entry, verdict: Verdict) -> None:
        """Fail a photo, unless somebody has gone on writing it after it was claimed."""
        self._back_to_claimed(entry)
        if verdict.code not in _UNFINISHED or entry.changes >= _MOST_CHANGES:
            self._fail(entry, verdict)
            return

        def looked(job: Job) -> None:
            if (job.size, job.mtime_ns) == (entry.job.size, entry.job.mtime_ns):
                self._fail(entry, verdict)
                return
            entry.job = job
            self._uncount(entry)
            entry.changes += 1
            entry.reason = "it was still being written when it was taken"
            entry.next_try = self._clock() + max(1.0, self.config.intake.settle)
            self._emit_retried(entry, verdict.code, entry.reason)
            self._later.add(entry)

        self._filework.submit(
            lambda: self.errands.look(entry.job), looked, lambda _: self._fail(entry, verdict)
        )

    def _fail(self, entry: Entry, verdict: Verdict) -> None:
        entry.verdict = verdict
        entry.tries = 0
        self._route(entry)

    def _take_back(self, entry: Entry) -> None:
        """It is no longer in the worker's hands."""
        del self._in_worker[entry.job.id]
        entry.deadline = NEVER
        if entry is self._isolated:
            self._isolated = None

    def _back_to_claimed(self, entry: Entry) -> None:
        self.table.move(entry, State.CLAIMED, self._clock())
        entry.close_outlets()
        entry.facts = None

    def _uncount(self, entry: Entry) -> None:
        """The attempt came to nothing for a reason that is not the photo's."""
        entry.job = replace(entry.job, attempts=max(0, entry.job.attempts - 1))

    def _drop_results(self, entry: Entry) -> None:
        """It has to wait: its files would keep descriptors and room on the disk."""
        if entry.state is State.ACTIVE:
            self._back_to_claimed(entry)
            self._uncount(entry)
            entry.must_settle = True
            entry.is_unsure = False

    # files ------------------------------------------------------------------------------------

    def _run_errands(self) -> None:
        while self._errands:
            entry = self._errands.popleft()
            if entry.verdict is None and self.holds.join(entry):
                continue
            self._run_errand(entry)

    def _run_errand(self, entry: Entry) -> None:
        """The next step on an entry's files."""
        errands, job = self.errands, entry.job
        task: Callable[[], object]
        then: Callable[[Any], None]
        if entry.must_settle:
            task, then = partial(errands.settle, job), partial(self._settled, entry)
        elif entry.verdict is not None:
            task = partial(errands.fail, job, entry.verdict)
            then = partial(self._failed, entry, entry.verdict)
        elif entry.target is not None:
            task, then = partial(errands.finish, job, entry.target), partial(self._brought, entry)
        elif entry.outlets is not None and entry.facts is not None:
            task = partial(
                errands.publish, job, entry.outlets, entry.facts, is_unsure=entry.is_unsure
            )
            then = partial(self._brought, entry)
        else:
            raise ValueError(f"{job.id} has no work on its files")
        self._filework.submit(task, then, partial(self._met_error, entry))

    def _settled(self, entry: Entry, found: Recovered) -> None:
        entry.must_settle = False
        entry.reason, entry.tries = "", 0
        self._take_up(entry, found)
        self._route(entry)

    def _brought(self, entry: Entry, brought: Brought) -> None:
        entry.target = brought.target
        self._say_published(entry)
        if brought.error is not None:
            self._met_error(entry, brought.error)
        else:
            self._done(entry, brought.place)

    def _done(self, entry: Entry, place: str) -> None:
        now = self._clock()
        self.holds.over(entry, worked=True)
        self.table.move(entry, State.DONE, now)
        self._gate.worked()
        self.totals.done += 1
        self.finished_at.append(now)
        self._emit(Event.PHOTO_DONE, job=entry.job.id, name=entry.job.name, original=place)

    def _say_published(self, entry: Entry) -> None:
        """Once, when it is: the original may take longer to come home."""
        if entry.target is None or entry.state is not State.ACTIVE:
            return
        self.table.move(entry, State.PUBLISHED, self._clock())
        facts = entry.facts
        times = (
            {f"{stage}_ms": value for stage, value in facts.milliseconds.items()} if facts else {}
        )
        if facts:
            self._sizes.append(sum(file.bytes for file in facts.files))
        self._emit(
            Event.PHOTO_PUBLISHED,
            job=entry.job.id,
            name=entry.job.name,
            output=entry.target.path,
            **times,
        )
        entry.close_outlets()

    def _failed(self, entry: Entry, verdict: Verdict, place: str) -> None:
        now = self._clock()
        self.holds.over(entry, worked=False)
        self.table.move(entry, State.FAILED, now)
        self.totals.failed += 1
        self.finished_at.append(now)
        at = datetime.fromtimestamp(round(time.time(), 3), UTC)
        self.failures.append(Failure(name=entry.job.name, code=verdict.code, at=at))
        self._emit(
            Event.PHOTO_FAILED,
            job=entry.job.id,
            name=entry.job.name,
            code=verdict.code.value,
            detail=verdict.detail or FAULTS[verdict.code].sentence,
            original=place,
        )

    def _met_error(self, entry: Entry, error: Exception) -> None:
        """A step on a job's files has failed: whom does it concern?"""
        entry.is_unsure = True
        verdict = self.errands.verdict_of(error)
        if verdict is not None and entry.verdict is None and entry.target is None:
            if entry.state is State.ACTIVE:
                self._back_to_claimed(entry)
            self._fail(entry, verdict)
        elif isinstance(error, FileNotFoundError) and entry.facts and entry.target is None:
            self._drop_results(entry)  # its hidden files are gone; they are made anew
            self._set_aside(entry, f"its results were taken away: {error}")
        else:
            self._look_whose(entry, error, 0)

    def _look_whose(self, entry: Entry, error: Exception, needs: int) -> None:
        typical = self.typical_size or needs
        stage: Stage = "fail" if entry.verdict else "finish" if entry.target else "work"
        name = entry.target or SetName.of(entry.job.name)
        self._filework.submit(
            partial(self.errands.whose_trouble, name, stage, error, typical),
            partial(self._heed_trouble, entry),
            lambda unexpected: self._set_aside(entry, str(unexpected)),
        )

    def _heed_trouble(self, entry: Entry, trouble: Trouble) -> None:
        now = self._clock()
        if trouble.concerns == "service":
            self._gate.close(trouble.reason, now)
            self._route(entry)  # with what it has: all of them are few
        elif trouble.concerns == "folder":
            self._drop_results(entry)
            self.holds.add(entry, trouble.reason, now)
        else:
            self._drop_results(entry)
            self.holds.over(entry, worked=False)
            self._set_aside(entry, trouble.reason)

    # deaths -----------------------------------------------------------------------------------

    def _enforce_deadlines(self, now: float) -> None:
        active = list(self._in_worker.values())
        late = [entry for entry in active if now >= entry.deadline]
        if not late:
            return
        reason = f"nothing came of it within {self.config.worker.timeout:g} s"
        self._keeper.kill(reason, [entry.job.id for entry in late], now)
        for entry in active:
            if entry not in late:  # only in the way
                self._take_back(entry)
                self._back_to_claimed(entry)
                self._uncount(entry)
                self._route(entry)
        self._after_death(late, FaultCode.WORKER_TIMEOUT, reason)

    def _after_death(self, entries: list[Entry], code: FaultCode, reason: str) -> None:
        """Nobody in the worker's hands is known to be guilty, unless it was there alone."""
        for entry in entries:
            if entry is self._isolated:
                spent = self._clock() - entry.since
                self._not_before[_account(entry)] = self._clock() + _OTHERS_SHARE * spent
            self._take_back(entry)
            self._back_to_claimed(entry)
            self._suspect(entry, code, reason)

    def _suspect(self, entry: Entry, code: FaultCode, reason: str) -> None:
        """Count a crash; a photo that crashed alone often enough is failed."""
        job = replace(entry.job, crashes=entry.job.crashes + 1)
        at_once = (FaultCode.WORKER_TIMEOUT, FaultCode.INTERNAL_ERROR)
        most = 1 if code in at_once else self.config.worker.max_attempts
        if job.isolated and job.crashes >= most:
            entry.job = job
            self._fail(entry, Verdict(code, reason))
            return
        entry.is_suspect = True

        def counted(_: object) -> None:
            entry.job = job
            self._emit_retried(entry, code, reason)
            self._route(entry)

        self._filework.submit(
            lambda: self.errands.rewrite(job), counted, lambda error: self._met_error(entry, error)
        )

    def _emit_retried(self, entry: Entry, code: FaultCode, reason: str) -> None:
        self._emit(
            Event.PHOTO_RETRIED,
            job=entry.job.id,
            name=entry.job.name,
            code=code.value,
            reason=reason,
            attempts=entry.job.attempts,
        )


def _account(entry: Entry) -> tuple[str, int]:
    """Whose photo it is, when turns are shared: the folder at the top of the inbox, the owner."""
    return entry.job.name.partition("/")[0] if "/" in entry.job.name else "", entry.job.owner
