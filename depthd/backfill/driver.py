"""One run of `depthd backfill`, step by step. Knows the order of things; prints nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from depthd.backfill.cluster import (
    Parts,
    connect,
    make_plan,
    nodes,
    open_board,
    read_board,
    reports,
)
from depthd.backfill.index import Index
from depthd.backfill.lease import leased, lost
from depthd.backfill.places import Place
from depthd.backfill.progress import Progress, Snapshot
from depthd.backfill.sources import photos
from depthd.backfill.store import open_store
from depthd.backfill.sweep import sweep
from depthd.backfill.task import Task, claim, with_network
from depthd.backfill.units import Layout, Report
from depthd.config import Config
from depthd.contract.errors import (
    DepthdError,
    ExitCode,
    NoInputError,
    TemporaryError,
    UnavailableError,
    UsageError,
)
from depthd.model.storage import user_cache
from depthd.model.weights import Weights, find_weights

_MOST_TROUBLES = 3  # units in a row that came to nothing: the next will not either
_SECONDS = 1.0  # between two looks at the board


@dataclass(frozen=True)
class Options:
    """What the command line says."""

    source: str
    target: str
    layout: Layout | None
    address: str | None
    shard_size: int
    unit_size: int
    retry_failed: bool


@dataclass(frozen=True)
class Ended:
    """How a run ended.

    Attributes:
        last: of its moments.
        failed_before: of those that needed nothing.
        missing: photos that were not reached, and why.
        model: that served.
    """

    last: Snapshot
    failed_before: int
    missing: int
    trouble: str
    model: Weights


def run(
    config: Config,
    state: Path | None,
    options: Options,
    report: Callable[[str], None],
    tell: Callable[[Snapshot], None],
) -> Ended:
    """Do what is missing of an archive; only once in a process, which stays joined to Ray.

    Args:
        config: the sections intake, model, worker, output and folders are used.
        state: folder for weights and converted networks on every node; None: the user's cache.
        options: what to do.
        report: told in words what is being done.
        tell: called about once a second, from another thread.

    Raises:
        DepthdError: there is nothing to do it with, from, or to.
    """
    source, target = Place.of(options.source), Place.of(options.target)
    if source.contains(target) or target.contains(source):
        raise UsageError("SOURCE and TARGET lie inside each other", "give TARGET another place")
    if next(photos(source, config.intake), None) is None:
        raise NoInputError(f"there is no photo in {source.address}", "see intake.include")
    weights = find_weights(config.model, state or user_cache() / "depthd", report=report)
    store = open_store(target)
    task = _task(config, state, options, source, target, weights)
    claim(task, store)
    with leased(store, target.address, report) as lease:
        parts = Index(store).parts()
        task = replace(task, run=_new_name(parts), owner=lease.owner)
        data = b"" if weights.spec.package_data else weights.path.read_bytes()
        began = time.time()
        connect(options.address)
        ended = _Run(task, data, parts, weights, tell).run()
        if lease.is_lost:
            raise lost(target.address)
        sweep(store, task.run, began)
    return ended


def _task(
    config: Config,
    state: Path | None,
    options: Options,
    source: Place,
    target: Place,
    weights: Weights,
) -> Task:
    return Task(
        config=with_network(config, weights).model_dump_json(),
        source=source,
        target=target,
        layout=options.layout or ("files" if target.is_local else "shards"),
        run="",
        owner="",
        shard_size=options.shard_size,
        unit_size=options.unit_size,
        retry_failed=options.retry_failed,
        threads=0,
        state=str(state) if state else "",
        fallback=weights.fallback,
        weights_sha256="" if weights.spec.package_data else weights.sha256,
    )


def _new_name(parts: Parts) -> str:
    """Of a run that no part is of."""
    while (name := f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}") in parts:
        time.sleep(0.1)
    return name


class _Run:
    """A run that is connected to Ray."""

    def __init__(
        self,
        task: Task,
        data: bytes,
        parts: Parts,
        weights: Weights,
        tell: Callable[[Snapshot], None],
    ) -> None:
        self._task = task
        self._data = data
        self._parts = parts
        self._weights = weights
        self._tell = tell
        self._progress = Progress()
        self._over = threading.Event()
        self._counted = make_plan(task, parts)
        self._planned: int | None = None
        self._count_error: DepthdError | None = None

    def run(self) -> Ended:
        board = open_board()
        counting = threading.Thread(target=self._count, name="count", daemon=True)
        telling = threading.Thread(target=self._tell_on, args=[board], name="tell", daemon=True)
        counting.start()
        telling.start()
        try:
            trouble = self._work(board)
            counting.join()
        finally:
            self._over.set()
            telling.join()
        if self._count_error is not None:
            raise self._count_error
        last = self._progress.snapshot(finished=True)
        missing = max(0, (self._planned or 0) - last.done - last.failed)
        if missing and not trouble:
            trouble = "Ray has lost the units that they were in"
        self._tell(last)
        return Ended(last, self._counted.before.failed, missing, trouble, self._weights)

    def _work(self, board: object) -> str:
        """Go through all units; returns why the last that came to nothing did."""
        trouble, in_a_row = "", 0
        for report in reports(self._task, self._data, self._parts, board):
            self._progress.finish(report)
            if not report.error:
                in_a_row = 0
                continue
            trouble, in_a_row = report.error, in_a_row + 1
            if in_a_row >= _MOST_TROUBLES or report.exit_code == ExitCode.UNAVAILABLE:
                raise _error(report)
        return trouble

    def _count(self) -> None:
        """How much there is; the same plan that the lister makes, read beside it."""
        try:
            planned = 0
            for unit in self._counted.units():
                planned += len(unit.photos)
                self._note_before()
                if self._over.is_set():
                    return
            self._note_before()
            self._planned = planned
            self._progress.total = planned + self._progress.before
        except DepthdError as error:
            self._count_error = error

    def _note_before(self) -> None:
        before = self._counted.before
        self._progress.before = before.done + before.failed

    def _tell_on(self, board: object) -> None:
        while not self._over.wait(_SECONDS):
            for report in read_board(board):
                self._progress.under_way(report)
            self._progress.nodes = len(nodes())
            self._tell(self._progress.snapshot())


def _error(report: Report) -> DepthdError:
    kinds = {ExitCode.UNAVAILABLE: UnavailableError}
    error = kinds.get(ExitCode(report.exit_code), TemporaryError)(report.error, report.hint)
    error.exit_code = ExitCode(report.exit_code)
    return error
