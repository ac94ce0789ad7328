"""All that knows Ray: a run as a stream from one lister through a pool of actors.

The lister is one task beside the driver that is never started twice: what it has handed out cannot
be listed again in another order. Everything after it may die and is repeated.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import chdir, suppress
from dataclasses import replace
from typing import Any

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is told to anybody
os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # of Ray's own processes, into our terminal
os.environ.setdefault("RAY_worker_niceness", "0")  # as nice as this command; Ray would say 15

import pyarrow as pa
import ray
from ray.data import ActorPoolStrategy, DataContext, Datasource, ReadTask
from ray.data.block import BlockMetadata
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from depthd.backfill.actor import UnitWorker
from depthd.backfill.index import Index, Parts
from depthd.backfill.plan import Plan
from depthd.backfill.sources import photos
from depthd.backfill.store import open_store
from depthd.backfill.task import Task
from depthd.backfill.units import Report, Unit
from depthd.contract.errors import DepthdError, TemporaryError, UnavailableError
from depthd.model.cpus import usable_cpus

_MOST_CPUS = 4  # of an actor; its pipeline does not fill more
_UNITS = 2  # at an actor: one at the worker, one on its way out
_STORE = 300_000_000  # bytes of Ray's own memory on this machine; only lists pass through it


def make_plan(task: Task, parts: Parts) -> Plan:
    """The same wherever it is made: in the lister, and where it is counted."""
    return Plan(
        photos(task.source, task.settings().intake),
        Index(open_store(task.target)),
        parts,
        run=task.run,
        size=task.unit_size,
        retry_failed=task.retry_failed,
    )


def connect(address: str | None) -> None:
    """Join a cluster, or be one, until this process ends.

    Raises:
        UnavailableError: there is no cluster at this address.
    """
    mine = {"num_cpus": usable_cpus(), "object_store_memory": _STORE, "include_dashboard": False}
    try:
        with chdir("/"):  # Ray lets its workers import from where the driver stands
            ray.init(
                address=address or "local",
                log_to_driver=False,
                logging_level=logging.ERROR,
                **({} if address else mine),
            )
    except Exception as error:  # Ray raises it as it is, too
        where = f"no Ray cluster at {address}" if address else "Ray cannot be started here"
        raise UnavailableError(
            f"{where}: {_first_line(error)}",
            "look at 'ray status' there, and whether it asks for a token; --address auto takes the "
            "cluster of this machine",
        ) from error
    logging.getLogger("ray.data").setLevel(logging.ERROR)


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def nodes() -> list[int]:
    """CPUs of each living node that has some."""
    cpus = [int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"]]
    return [each for each in cpus if each]


def cpus_of_an_actor(of_nodes: list[int]) -> int:
    """As many as the smallest node has, at most what one pipeline fills."""
    return max(1, min([_MOST_CPUS, *of_nodes]))


class Board:
    """What the actors have said, beside the driver."""

    def __init__(self) -> None:
        self._reports: dict[str, str] = {}

    def note(self, part: str, report: str) -> None:
        self._reports[part] = report

    def take(self) -> list[str]:
        """What has come since the last time."""
        taken, self._reports = self._reports, {}
        return list(taken.values())


def open_board() -> Any:
    """A Board of its own; dies with the driver's node."""
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return ray.remote(Board).options(num_cpus=0, scheduling_strategy=here).remote()


def read_board(board: Any) -> list[Report]:
    """Raises nothing: what is told there is for people."""
    try:
        return [Report.from_json(text) for text in ray.get(board.take.remote(), timeout=10)]
    except RayError:
        return []


def reports(task: Task, weights: bytes, parts: Parts, board: Any) -> Iterator[Report]:
    """Do everything that the plan holds; a report for each unit when it is in the index.

    Raises:
        DepthdError: the source cannot be listed, or Ray has given up.
    """
    context = DataContext.get_current()
    context.enable_progress_bars = False
    context.target_max_block_size = 1  # bytes: a block is a unit
    context.max_errored_blocks = -1  # a unit that was lost is missed when everything is counted
    of_nodes = nodes() or [1]
    cpus = cpus_of_an_actor(of_nodes)
    task = replace(task, threads=cpus)
    pool = ActorPoolStrategy(
        size=max(1, sum(each // cpus for each in of_nodes)),
        max_tasks_in_flight_per_actor=_UNITS,
        max_concurrent_calls_per_actor=_UNITS,
        enable_true_multi_threading=True,
    )
    listing = ray.data.read_datasource(
        _Units(task, parts), override_num_blocks=1, num_cpus=0, max_retries=0
    )
    work = listing.map_batches(
        _Actor,
        batch_size=1,
        batch_format="pyarrow",
        compute=pool,
        num_cpus=cpus,
        fn_constructor_args=(task, ray.put(weights), board),
    )
    try:
        for batch in work.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
            for text in batch.column("report").to_pylist():
                yield Report.from_json(text)
    except RayError as error:
        raise _translated(error) from error


def _translated(error: RayError) -> DepthdError:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, DepthdError):
            return cause
        cause = getattr(cause, "cause", None) or cause.__cause__
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return TemporaryError(f"Ray has given up: {lines[-1]}", "run it again; it does what is missing")


class _Units(Datasource):  # type: ignore[misc]
    """The plan as what Ray Data reads."""

    def __init__(self, task: Task, parts: Parts) -> None:
        super().__init__()
        self._task = task
        self._parts = parts

    @property
    def supports_distributed_reads(self) -> bool:
        return False  # beside the driver: it lives as long as that does

    def estimate_inmemory_data_size(self) -> int | None:
        return None

    def get_read_tasks(self, *_arguments: Any, **_more: Any) -> list[ReadTask]:
        task, parts = self._task, self._parts

        def read() -> Iterator[pa.Table]:
            for unit in make_plan(task, parts).units():
                yield pa.table({"unit": [unit.to_json()]})

        unknown = BlockMetadata(num_rows=None, size_bytes=None, input_files=None, exec_stats=None)
        return [ReadTask(read, unknown)]


class _Actor:
    """A `UnitWorker` as Ray Data calls it; what keeps it from being made is said with each unit."""

    def __init__(self, task: Task, weights: Any, board: Any) -> None:
        self._board = board
        self._worker: UnitWorker | DepthdError
        try:
            self._worker = UnitWorker(task, ray.get(weights), self._tell)
        except DepthdError as error:
            self._worker = error

    def __call__(self, batch: pa.Table) -> pa.Table:
        done = [self._do(Unit.from_json(text)) for text in batch.column("unit").to_pylist()]
        return pa.table({"report": [report.to_json() for report in done]})

    def _do(self, unit: Unit) -> Report:
        if isinstance(self._worker, DepthdError):
            error = self._worker
            code = int(error.exit_code)
            return Report(unit.part, error=error.message, hint=error.hint, exit_code=code)
        return self._worker.do(unit)

    def _tell(self, report: Report) -> None:
        with suppress(RayError):
            self._board.note.remote(report.part, report.to_json())

    def __del__(self) -> None:
        worker = getattr(self, "_worker", None)
        if isinstance(worker, UnitWorker):
            worker.close()
