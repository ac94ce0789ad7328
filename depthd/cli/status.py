"""`depthd status`: what the daemon does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import click

from depthd.cli.options import Configured, configured
from depthd.contract.errors import ExitCode
from depthd.contract.status import Status, read


@click.command("status")
@configured
@click.option("--json", "as_json", is_flag=True, help="Print status.json, with `trouble` added.")
def command(configured: Configured, *, as_json: bool) -> ExitCode:
    """Show queue, rates, last errors, worker and model.

    Exit code 0 while the daemon runs, 1 when it is stopped, gone or silent.

    \b
    Example:
      depthd status --root ~/depth
    """
    status = read(configured.config().folder("state"))
    now = datetime.now(UTC)
    trouble = status.trouble(now)
    if as_json:
        click.echo(json.dumps({**status.model_dump(mode="json"), "trouble": trouble}, indent=2))
    else:
        from depthd.cli.tables import show  # noqa: PLC0415 - slow to import, not needed for JSON

        show(_rows(status, now))
        if waiting := list(_waiting(status)):
            click.echo()
            show(waiting, head=("waits in work/", "tries", "why"))
        if status.last_failures:
            click.echo()
            rows = [
                (f"{f.at:%Y-%m-%dT%H:%M:%SZ}", f.code.value, f.name) for f in status.last_failures
            ]
            show(rows, head=("last failures", "code", "photo"))
    if trouble:
        click.echo(f"These figures are not of now: {trouble}.", err=True)
        return ExitCode.FAILURE
    return ExitCode.OK


def _rows(status: Status, now: datetime) -> Iterator[tuple[str, str]]:
    queue, worker = status.queue, status.worker
    yield "state", status.state + (f": {status.why}" if status.why else "")
    yield "since", f"{status.started:%Y-%m-%dT%H:%M:%SZ} ({_span(now - status.started)})"
    aside = f", {queue.aside} of them set aside" if queue.aside else ""
    yield "queue", f"{queue.waiting} waiting in the inbox, {queue.in_work} in work{aside}"
    for folder, since in status.held_by_operator.items():
        what = "everything" if folder == "." else folder
        yield "held", f"{what}, since {since:%Y-%m-%dT%H:%M:%SZ}, until 'depthd release {folder}'"
    if queue.oldest is not None:
        yield "oldest in work", _span(now - queue.oldest)
    yield "finished", f"{status.done} done, {status.failed} failed since the start"
    now_and_then = (status.rates.last_minute, status.rates.last_15_minutes)
    yield "rate", "{:g} a minute now, {:g} over 15 minutes".format(*now_and_then)
    readiness = "ready" if worker.ready else "not ready"
    process = f"process {worker.pid}" if worker.pid is not None else "no process"
    yield "worker", f"{readiness}, {process}, {worker.restarts} restarts"
    if (model := status.model) is not None:
        stands_in = " (built-in, stands in for the real one)" if model.fallback else ""
        yield "model", f"{model.name}{stands_in}, SHA-256 {model.sha256[:8]}"
        yield "engine", f"{model.engine}, {model.precision}"
    yield "version", f"{status.version}, process {status.pid}"


def _waiting(status: Status) -> Iterator[tuple[str, int | None, str]]:
    """Folders whose results cannot be written, then single photos set aside."""
    for folder, reason in status.held_folders.items():
        yield f"{folder}/", None, reason
    for photo in status.aside:
        if photo.reason not in status.held_folders.values():
            yield photo.name, photo.tries, photo.reason
    if (more := status.queue.aside - len(status.aside)) > 0:
        yield f"and {more} more", None, ""


def _span(length: timedelta) -> str:
    """The two largest units: 3 d 4 h, 12 min 5 s."""
    seconds = max(0, int(length.total_seconds()))
    parts: list[str] = []
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        count, seconds = divmod(seconds, size)
        if count or parts or unit == "s":
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2])
