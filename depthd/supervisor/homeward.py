"""The way home: what is done on the files of a job, what follows, and whom a fault concerns.

Publishes what the worker has made, moves originals to done/ or failed/, and lets a job wait where
that cannot be done now. Files are only touched by `Errands`, off the loop. Knows no worker; times
are seconds of the loop's clock.
"""

from __future__ import annotations

import statistics
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from depthd.contract.errors import FAULTS, FaultCode
from depthd.contract.events import Emit, Event
from depthd.contract.names import SetName
from depthd.contract.states import State
from depthd.contract.status import Failure
from depthd.intake.candidate import Busy, Hold
from depthd.publish.publisher import NotAsSaid
from depthd.spool import Verdict
from depthd.supervisor.aside import Aside, Holds
from depthd.supervisor.errands import Brought, Errands, Recovered, Stage, Trouble
from depthd.supervisor.filework import FileWork
from depthd.supervisor.gate import Gate
from depthd.supervisor.table import NEVER, Entry, Table
from depthd.supervisor.usage import Usage

_REMEMBERED_FAILURES = 20
_REMEMBERED_FINISHES = 10_000
_REMEMBERED_SIZES = 20
_INTERRUPTIONS = 10  # times max_attempts: starts of work that ended with the whole service

_SPOILT = (FileNotFoundError, NotAsSaid)  # what is known of results when they are of no use


@dataclass
class Totals:
    """Photos since the service started."""

    done: int = 0
    failed: int = 0
    skipped: int = 0


class Homeward:
    """Brings jobs home.

    Args:
        errands: work on the files of one job.
        filework: does it off the loop.
        gate: whether anything can be written.
        emit: writes a log event.
        clock: seconds, never going back.
        run: puts an entry that the worker must see on its way.
    """

    def __init__(
        self,
        errands: Errands,
        filework: FileWork,
        gate: Gate,
        emit: Emit,
        clock: Callable[[], float],
        run: Callable[[Entry], None],
    ) -> None:
        self.errands = errands
        self._filework = filework
        self._gate = gate
        self._emit = emit
        self._clock = clock
        self._run = run
        self.table = Table()
        self.aside = Aside(emit)
        self.holds = Holds(emit, self.route)
        self._waiting: deque[Entry] = deque()
        self._sizes: deque[int] = deque(maxlen=_REMEMBERED_SIZES)  # bytes of results
        self.totals = Totals()
        self.usage = Usage(clock())
        self.failures: deque[Failure] = deque(maxlen=_REMEMBERED_FAILURES)
        self.finished_at: deque[float] = deque(maxlen=_REMEMBERED_FINISHES)  # for rates

    @property
    def typical_size(self) -> int:
        """Bytes of results of an ordinary photo; 0 while nobody knows."""
        return int(statistics.median(self._sizes)) if self._sizes else 0

    @property
    def is_working(self) -> bool:
        """Whether something is under way that will end by itself."""
        return bool(self._filework.pending or (self._gate.is_open and self._waiting))

    @property
    def next_try(self) -> float:
        """When `turn` has something to do that no event tells."""
        holds = self.holds.next_try if self._gate.is_open else NEVER
        return min(self.aside.next_try, holds)

    def held(self) -> set[Hold]:
        """Folders and owners of the inbox from which no more is to be claimed."""
        return {*self.holds.folders(), *self.aside.held()}

    @property
    def skipping(self) -> int:
        """How many photos are on their way to be skipped."""
        return sum(bool(entry.job.newer and not entry.reason) for entry in self.table)

    def busy(self, wants_latest: Callable[[str], bool]) -> set[Hold]:
        """Folders that have their latest photo at work.

        Args:
            wants_latest: whether a folder has only its latest photo worked on.
        """
        return {
            Busy((entry.job.owner, entry.folder))
            for entry in self.table
            if not (entry.reason or entry.job.newer) and wants_latest(entry.folder)
        }

    def route(self, entry: Entry) -> None:
        """Put an entry where its next step will be taken."""
        if entry.must_run:
            self._run(entry)
        else:
            self._waiting.append(entry)

    def turn(self, now: float) -> None:
        """Take up what is due; all work on files is done elsewhere."""
        for entry in self.aside.pop_due(now):
            self.route(entry)
        if not self._gate.is_open:
            return
        self.holds.turn(now)
        while self._waiting:
            entry = self._waiting.popleft()
            if entry.verdict is not None or not self.holds.join(entry):
                self._begin(entry)

    def forget(self) -> None:
        """Other folders are in use from now on; what could not come home waits in the old ones."""
        for entry in self.table:
            entry.close_outlets()
        self.table, self.aside = Table(), Aside(self._emit)
        self.holds = Holds(self._emit, self.route)
        self._waiting.clear()

    def fail(self, entry: Entry, verdict: Verdict) -> None:
        """Carry out a verdict."""
        if entry.state is State.ACTIVE:
            self.table.take_back(entry, self._clock())
        entry.verdict, entry.tries = verdict, 0
        self.route(entry)

    def take_up(self, entry: Entry, found: Recovered, max_attempts: int) -> None:
        """Go on with a job that a former run, or a try that failed, has left."""
        now, job = self._clock(), entry.job
        entry.must_settle = found.must_settle
        entry.is_suspect = entry.is_suspect or bool(job.attempts)
        if found.target is not None:
            self.table.move(entry, State.ACTIVE, now)
            self.table.move(entry, State.PUBLISHED, now)
            entry.target, entry.verdict = found.target, None
        elif job.verdict is not None:
            entry.verdict = job.verdict
        elif job.attempts >= _INTERRUPTIONS * max_attempts:
            reason = "each attempt ended with the whole service"
            entry.verdict = Verdict(FaultCode.WORKER_CRASHED, reason)
        self.route(entry)

    # steps ------------------------------------------------------------------------------------

    def _begin(self, entry: Entry) -> None:
        """The next step on an entry's files."""
        errands, job = self.errands, entry.job
        task: Callable[[], object]
        then: Callable[[Any], None]
        if entry.must_settle:
            task, then = partial(errands.settle, job), partial(self._settled, entry)
        elif entry.verdict is not None:
            task = partial(errands.fail, job, entry.verdict)
            then = partial(self._failed, entry, entry.verdict)
        elif job.newer:
            task, then = partial(errands.skip, job), partial(self._skipped, entry)
        elif entry.target is not None:
            task, then = partial(errands.finish, job, entry.target), partial(self._brought, entry)
        elif entry.outlets is not None and entry.facts is not None:
            task = partial(
                errands.publish, job, entry.outlets, entry.facts, is_unsure=entry.is_unsure
            )
            then = partial(self._brought, entry)
        else:
            raise ValueError(f"{job.id} has no work on its files")
        self._filework.submit(task, then, partial(self.met_error, entry))

    def _settled(self, entry: Entry, found: Recovered) -> None:
        entry.reason = ""
        if found.target is not None:  # an error had hidden that it is out
            self._emit(
                Event.PHOTO_PUBLISHED,
                job=entry.job.id,
                name=entry.job.name,
                output=found.target.path,
            )
        self.take_up(entry, found, max_attempts=entry.job.attempts + 1)

    def _brought(self, entry: Entry, brought: Brought) -> None:
        entry.target = brought.target
        self._say_published(entry)
        if brought.error is not None:
            self.met_error(entry, brought.error)
        else:
            self._done(entry, brought.place)

    def _say_published(self, entry: Entry) -> None:
        """Once: the original may take longer to come home."""
        if entry.target is None or entry.facts is None or entry.state is not State.ACTIVE:
            return
        now = self._clock()
        self.table.move(entry, State.PUBLISHED, now)
        entry.close_outlets()
        size = sum(file.bytes for file in entry.facts.files)
        self._sizes.append(size)
        self.usage.add(now, outbox=size, done=entry.job.size)
        self._emit(
            Event.PHOTO_PUBLISHED,
            job=entry.job.id,
            name=entry.job.name,
            output=entry.target.path,
            bytes=size,
            **{f"{stage}_ms": value for stage, value in entry.facts.milliseconds.items()},
        )

    def _done(self, entry: Entry, place: str) -> None:
        now = self._clock()
        self.holds.over(entry, worked=True)
        self.table.move(entry, State.DONE, now)
        self._gate.worked()
        self.totals.done += 1
        self.finished_at.append(now)
        self._emit(
            Event.PHOTO_DONE,
            job=entry.job.id,
            name=entry.job.name,
            original=place,
            total_ms=max(0, round((time.time() - entry.job.claimed) * 1000)),
        )

    def _skipped(self, entry: Entry, place: str) -> None:
        job, now = entry.job, self._clock()
        self.holds.over(entry, worked=True)
        self.table.move(entry, State.DONE, now)
        self.totals.skipped += 1
        self.usage.add(now, done=job.size)
        self._emit(Event.PHOTO_SKIPPED, job=job.id, name=job.name, newer=job.newer, original=place)

    def _failed(self, entry: Entry, verdict: Verdict, place: str) -> None:
        now = self._clock()
        self.holds.over(entry, worked=False)
        self.table.move(entry, State.FAILED, now)
        self.totals.failed += 1
        self.usage.add(now, failed=entry.job.size)
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

    # faults -----------------------------------------------------------------------------------

    def met_error(self, entry: Entry, error: Exception) -> None:
        """A step on a job's files has failed: whom does it concern?"""
        entry.is_unsure = True
        verdict = self.errands.verdict_of(error)
        if verdict is not None and entry.verdict is None and entry.target is None:
            self.fail(entry, verdict)
        elif isinstance(error, _SPOILT) and entry.facts and entry.target is None:
            self._drop_results(entry)  # its hidden files are gone; they are made anew
            is_told = isinstance(error, NotAsSaid)
            reason = str(error) if is_told else "its results were taken away while they were made"
            self._set_aside(entry, reason)
        else:
            self.look_whose(entry, error)

    def look_whose(self, entry: Entry, error: Exception) -> None:
        """Find out whom an error concerns, and act on it."""
        is_out = entry.target or entry.job.newer
        stage: Stage = "fail" if entry.verdict else "finish" if is_out else "work"
        name = entry.target or SetName.of(entry.job.name)
        self._filework.submit(
            partial(self.errands.whose_trouble, name, stage, error, self.typical_size),
            partial(self._heed, entry),
            lambda unexpected: self._set_aside(entry, str(unexpected)),
        )

    def _heed(self, entry: Entry, trouble: Trouble) -> None:
        now = self._clock()
        if trouble.concerns == "service":
            self._gate.close(trouble.reason, now)
            self.route(entry)  # with what it has: all of them are few
            return
        if trouble.verdict is not None:
            self.fail(entry, trouble.verdict)
            return
        self._drop_results(entry)
        if trouble.concerns == "folder":
            self.holds.add(entry, trouble.reason, now)
        else:
            self._set_aside(entry, trouble.reason)

    def _set_aside(self, entry: Entry, reason: str) -> None:
        """Its trouble is its own: it says nothing of its folder."""
        self.holds.over(entry, worked=False)
        self.aside.add(entry, reason, self._clock())

    def _drop_results(self, entry: Entry) -> None:
        """It has to wait: its files would keep descriptors and room on the disk."""
        if entry.state is State.ACTIVE:
            self.table.take_back(entry, self._clock())
            entry.uncount()
            entry.must_settle = True
            entry.is_unsure = False
