"""The work of a run on Ray: units handed out, reports taken, photos counted. Prints nothing.

Imports Ray, which takes seconds: what is wrong without it is found before.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from depthd.backfill.cluster import connect, make_plan, nodes, open_board, read_board, reports
from depthd.backfill.index import Parts
from depthd.backfill.progress import Progress, Snapshot
from depthd.backfill.task import Task
from depthd.backfill.units import Report
from depthd.contract.errors import DepthdError, ExitCode, TemporaryError, UnavailableError
from depthd.model.weights import Weights

_MOST_TROUBLES = 3  # units in a row that came to nothing: the next will not either
_SECONDS = 1.0  # between two looks at the board


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


class Joined:
    """A run that is connected to Ray.

    Raises:
        UnavailableError: there is no cluster at this address.
    """

    def __init__(
        self,
        address: str | None,
        task: Task,
        data: bytes,
        parts: Parts,
        weights: Weights,
        tell: Callable[[Snapshot], None],
    ) -> None:
        connect(address)
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
        except Exception as error:  # noqa: BLE001 - whatever it is: nobody knows what is missing
            self._count_error = TemporaryError(
                f"the photos that are left cannot be counted: {error}",
                "run it again; it does what is missing",
            )

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
