"""A backfill as people and programs see it.

`depthd backfill` runs this module as a process of its own, because Ray's native code has been
seen to abort the process that it is in, at the very end and after everything was written.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.progress import Progress, TaskID

from depthd.backfill.driver import Options, run
from depthd.backfill.progress import Snapshot
from depthd.backfill.units import Failure
from depthd.cli import in_words
from depthd.cli.attended import answer
from depthd.cli.progress import progress_bar
from depthd.cli.report import report
from depthd.config import Config
from depthd.contract.errors import ExitCode, TemporaryError
from depthd.contract.names import printable
from depthd.contract.status import moment

if TYPE_CHECKING:
    from depthd.backfill.joined import Ended

_MINUTE = 60.0


def backfill(config: Config, state: Path | None, options: Options, *, as_json: bool) -> ExitCode:
    """Do it, and say how it went."""
    with progress_bar() as bar:
        teller = _Teller(bar, as_json=as_json)
        ended = run(config, state, options, report, teller.tell)
    if not as_json:
        _say(ended, options.target)
    if ended.missing:
        raise TemporaryError(
            f"{ended.missing} photos were not reached: {ended.trouble}",
            "run it again; it does what is missing",
        )
    return ExitCode.FAILURE if ended.last.failed + ended.failed_before else ExitCode.OK


class _Teller:
    """Shows moments: on a terminal as a bar, else a line a minute; for programs as JSON."""

    def __init__(self, bar: Progress, *, as_json: bool) -> None:
        self._bar = bar
        self._as_json = as_json
        self._line: TaskID = bar.add_task("", total=None)
        self._shown: set[Failure] = set()
        self._next = 0.0

    def tell(self, now: Snapshot) -> None:
        finished = now.done + now.failed
        total = None if now.total is None else now.total - now.before
        self._bar.update(self._line, completed=finished, total=total)
        for failure in now.failures:
            if failure not in self._shown and not self._as_json:
                self._show(failure)
        self._shown = set(now.failures)
        if time.monotonic() >= self._next or now.finished:
            self._next = time.monotonic() + _MINUTE
            if self._as_json:
                click.echo(_line(now))
            elif self._bar.disable and not now.finished:
                report(_words(now))

    def _show(self, failure: Failure) -> None:
        text = printable(f"{failure.name}: {failure.code}: {failure.sentence}")
        if self._bar.disable:
            report(text)
        else:
            self._bar.console.print(text, soft_wrap=True)


def _line(now: Snapshot) -> str:
    fields = asdict(now)
    fields["rate"] = round(now.rate, 2)
    fields["left"] = None if now.left is None else round(now.left)
    at = moment(time.time()).isoformat(timespec="seconds")
    return json.dumps({"time": at, **fields})


def _words(now: Snapshot) -> str:
    of = f" of {now.total - now.before}" if now.total is not None else ""
    left = f", {_duration(now.left)} left" if now.left is not None else ""
    return f"{now.done} done, {now.failed} failed{of}, {now.rate:.1f} photos a second{left}"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def _say(ended: Ended, target: str) -> None:
    last, weights = ended.last, ended.model
    before = f", {last.before} listed before" if last.before else ""
    click.echo(f"{last.done} done, {last.failed} failed{before}")
    model = weights.spec.name
    if weights.fallback:
        model += " (built-in, stands in for the real one)"
    click.echo(f"served by {model}; results are in {printable(target)}")


def _do(order: bytes) -> int:
    ordered = json.loads(order)
    config = Config.model_validate(ordered["config"])
    state = Path(ordered["state"]) if ordered["state"] else None
    options = Options(*ordered["options"])

    def work() -> int:
        code = backfill(config, state, options, as_json=ordered["as_json"])
        sys.stdout.flush()
        return code

    return in_words(work)


if __name__ == "__main__":
    answer(_do)
