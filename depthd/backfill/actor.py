"""What runs on the nodes: units in, their outputs and their part of the index out.

One actor holds one worker process with one network. It may be killed at any time: until the part is
written nothing of a unit counts, and a unit that comes again although its part is there is passed.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from datetime import UTC, datetime
from functools import partial

from depthd import __version__
from depthd.backfill import index, lease
from depthd.backfill.files import Files
from depthd.backfill.index import Index, Row
from depthd.backfill.reading import Reader
from depthd.backfill.results import Failed, Made
from depthd.backfill.shards import Shards
from depthd.backfill.store import open_store
from depthd.backfill.task import Task, on_this_node
from depthd.backfill.units import Photo, Report, Unit
from depthd.backfill.worker import Job, PhotoWorker
from depthd.config.rolling import RollingRanges
from depthd.contract.errors import DepthdError, ExitCode, PhotoError
from depthd.contract.manifest import Facts, Manifest
from depthd.contract.names import set_names

_SECONDS = 2.0  # between two words on how far it is
_LAST = 3  # failures that are told


class UnitWorker:
    """Does units, each in a thread of its caller.

    The worker has the photos of one at a time; while that is written out, it has the next one's.

    Args:
        task: of the run.
        weights: of the network; empty where the package holds them.
        tell: hears how far a unit is.
    """

    def __init__(self, task: Task, weights: bytes, tell: Callable[[Report], None]) -> None:
        self._task = task
        self._tell = tell
        self._config = on_this_node(task, weights)
        self._store = open_store(task.target)
        self._index = Index(self._store)
        self._worker = PhotoWorker(self._config)
        self._reader = Reader(task.source, self._config.worker.max_pixels)
        self._told = 0.0
        self._working = threading.Lock()

    def do(self, unit: Unit) -> Report:
        """Work on a unit; where that came to nothing, the report says why."""
        try:
            return self._do(unit)
        except DepthdError as error:
            code = int(error.exit_code)
            return Report(unit.part, error=error.message, hint=error.hint, exit_code=code)
        except OSError as error:
            words = f"the target cannot be written: {error}"
            return Report(unit.part, error=words, exit_code=int(ExitCode.CANNOT_CREATE))

    def close(self) -> None:
        self._worker.close()

    def _do(self, unit: Unit) -> Report:
        there = self._index.rows(unit.part)
        kept: list[Row] = []
        if there is not None:
            rows, run = there
            if run == self._task.run or not unit.retries:
                return _report(unit, _of(unit, rows))
            again = {photo.order for photo in unit.photos}
            kept = [row for row in rows if index.photo_of(row).order not in again]
        attempt = _Attempt(self._task, unit, self._worker, self._reader)
        try:
            with self._working, closing(attempt.rows()) as made:
                for row in made:
                    self._say(unit, attempt.made, row)
            attempt.output.commit()
        except BaseException:
            attempt.output.abandon()
            raise
        rows = sorted([*kept, *attempt.made], key=lambda row: index.photo_of(row).order)
        if not unit.retries and self._index.rows(unit.part) is not None:  # another was faster
            return _report(unit, attempt.made)
        if lease.owner_of(self._store.read(lease.NAME) or b"") != self._task.owner:
            raise lease.lost(self._task.target.address)
        self._index.write(unit.part, rows, self._task.run)
        return _report(unit, attempt.made)

    def _say(self, unit: Unit, rows: list[Row], row: Row) -> None:
        now = time.monotonic()
        if now - self._told > _SECONDS or not row["done"]:
            self._told = now
            self._tell(_report(unit, rows))


class _Attempt:
    """One attempt at a unit.

    Attributes:
        made: rows so far.
        output: shards or files.
    """

    def __init__(self, task: Task, unit: Unit, worker: PhotoWorker, reader: Reader) -> None:
        self._task = task
        self._unit = unit
        self._worker = worker
        self._reader = reader
        self._config = task.settings()
        self._ranges = RollingRanges()
        self._claimed: dict[int, datetime] = {}
        self._unread: list[Row] = []
        store = open_store(task.target)
        self.made: list[Row] = []
        self.output: Shards | Files = (
            Shards(store, unit.part, task.run, task.shard_size)
            if task.layout == "shards"
            else Files(store)
        )

    def rows(self) -> Generator[Row, None, None]:
        for answer in self._worker.work(self._jobs()):
            yield from self._failed_to_read()
            yield self._note(self._row(answer))
        yield from self._failed_to_read()

    def _jobs(self) -> Iterator[Job]:
        for number, fetched in enumerate(self._reader.read(self._unit.photos)):
            if fetched.error is not None:
                error = fetched.error
                key = self._key(number)
                self._unread.append(index.failed_row(fetched.photo, key, error.code, error.detail))
                continue
            name = fetched.photo.name
            policy = self._ranges.resolve(name, self._config.policy(name))
            self._claimed[number] = datetime.now(UTC)
            yield Job(number, policy, fetched.handle)

    def _failed_to_read(self) -> Iterator[Row]:
        while self._unread:
            yield self._note(self._unread.pop())

    def _row(self, answer: Made | Failed) -> Row:
        photo, key = self._unit.photos[answer.job], self._key(answer.job)
        if isinstance(answer, Failed):
            return index.failed_row(photo, key, answer.code, answer.detail)
        facts = answer.facts
        if self._task.fallback:
            model = facts.model.model_copy(update={"fallback": True})
            facts = facts.model_copy(update={"model": model})
        self._ranges.note(photo.name, self._config.policy(photo.name), facts.depth)
        make_manifest = partial(self._manifest, answer.job, photo, facts)
        if isinstance(self.output, Shards):
            shard = self.output.add(answer, key, make_manifest(key))
            return index.done_row(photo, key, facts, shard)
        try:
            self.output.add(answer, next(set_names(photo.name, "")), make_manifest)
        except PhotoError as error:
            return index.failed_row(photo, key, error.code, error.detail)
        return index.done_row(photo, key, facts, None)

    def _manifest(self, number: int, photo: Photo, facts: Facts, target: str) -> Manifest:
        return Manifest.of(
            facts,
            depthd=__version__,
            job=self._key(number),
            attempts=1,
            name=photo.name,
            target=target,
            claimed=self._claimed[number],
            published=datetime.now(UTC),
        )

    def _key(self, number: int) -> str:
        """No dots: WebDataset takes what follows the first one for the kind of a file."""
        retry = f"-{self._task.run}" if self._unit.retries else ""
        return f"{self._unit.part}{retry}-{number:05d}"

    def _note(self, row: Row) -> Row:
        self.made.append(row)
        return row


def _of(unit: Unit, rows: list[Row]) -> list[Row]:
    wanted = {photo.order for photo in unit.photos}
    return [row for row in rows if index.photo_of(row).order in wanted]


def _report(unit: Unit, rows: list[Row]) -> Report:
    failed = [row for row in rows if not row["done"]]
    last = tuple(index.failure_of(row) for row in failed[-_LAST:])
    return Report(unit.part, len(rows) - len(failed), len(failed), last)
