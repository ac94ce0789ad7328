"""`depthd status`: is the daemon well, and what does it do?"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta

import click

from depthd.cli.options import Configured, configured
from depthd.config import Config
from depthd.contract.errors import ExitCode
from depthd.contract.health import EXIT_CODES, Judged, judge
from depthd.contract.names import command_for, printable
from depthd.contract.status import Disk, read, span

_LOOK_EVERY = 1.0  # seconds
_Hint = Callable[[str], str]


@click.command("status")
@configured
@click.option("--json", "as_json", is_flag=True, help="Print all of it as JSON, for programs.")
@click.option(
    "--watch", is_flag=True, help="Go on looking; into a pipe, a line for each change of health."
)
def command(configured: Configured, *, as_json: bool, watch: bool) -> ExitCode:
    """Say whether the service is well; show its queue, rates and disk.

    Exit code 0: well. 1: degraded, which is paused, the built-in network in place of the real one,
    no worker or a dying one, a folder that cannot be read or written, the disk full within a day at
    today's rate, or a photo that has waited longer than status.max_wait. 2: down, which is stopped,
    gone or silent; the queue is then counted in the folders. 66: no daemon ever ran here. For each
    reason it says what to do.

    \b
    Examples:
      depthd status --root ~/depth
      depthd status --watch
      depthd status --json | jq .reasons
    """
    config = configured.config()
    if not watch:
        seen = _look(config)
        if as_json:
            _print_json(seen)
        else:
            _print(seen, configured.in_hint)
        return EXIT_CODES[seen.health]
    if as_json:
        _follow(config, lambda seen: seen.updated, _print_json_line)
    elif sys.stdout.isatty():
        _live(config, configured.in_hint)
    else:
        _follow(config, lambda seen: [reason.cause for reason in seen.reasons], _print_line)
    raise AssertionError("it ends by a signal")


def _look(config: Config) -> Judged:
    status = read(config.folder("state"))
    now = datetime.now(UTC)
    if status.absence(now):
        from depthd.cli.status_folders import counted_anew  # noqa: PLC0415 - only then

        status = counted_anew(status, config)
    return judge(status, now, config.status.max_wait)


# once --------------------------------------------------------------------------------------------


def _print_json(seen: Judged) -> None:
    click.echo(seen.model_dump_json(by_alias=True, indent=2))
    _warn(seen)


def _print(seen: Judged, in_hint: _Hint) -> None:
    from depthd.cli.tables import show  # noqa: PLC0415 - slow to import, not needed for JSON

    for number, (rows, head) in enumerate(_tables(seen, in_hint)):
        if number:
            click.echo()
        show(rows, head=head)
    _warn(seen)


def _warn(seen: Judged) -> None:
    if seen.trouble:
        click.echo(f"These figures are not of now: {seen.trouble}.", err=True)


# again and again ---------------------------------------------------------------------------------


def _follow(
    config: Config, news: Callable[[Judged], object], tell: Callable[[Judged], None]
) -> None:
    """Print what is new, once for each change."""
    before: object = None
    while True:
        seen = _look(config)
        if (now := (seen.health, news(seen))) != before:
            before = now
            tell(seen)
        time.sleep(_LOOK_EVERY)


def _print_json_line(seen: Judged) -> None:
    click.echo(seen.model_dump_json(by_alias=True))


def _print_line(seen: Judged) -> None:
    words = " ".join(reason.sentence for reason in seen.reasons)
    click.echo(printable(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {seen.health} {words}".rstrip()))


def _live(config: Config, in_hint: _Hint) -> None:
    from rich.console import Group  # noqa: PLC0415 - only for a terminal
    from rich.live import Live  # noqa: PLC0415

    from depthd.cli.tables import tabled  # noqa: PLC0415

    def page() -> Group:
        tables = _tables(_look(config), in_hint)
        return Group(*(tabled(rows, head=head) for rows, head in tables))

    with Live(page(), auto_refresh=False, transient=False) as live:
        while True:
            time.sleep(_LOOK_EVERY)
            live.update(page(), refresh=True)


# in words ----------------------------------------------------------------------------------------

_Tables = Iterator[tuple[Sequence[Sequence[object]], tuple[str, ...]]]


def _tables(seen: Judged, in_hint: _Hint) -> _Tables:
    """Rows and their titles, the parts one after the other."""
    yield list(_rows(seen, in_hint)), ()
    if seen.reasons:
        reasons = [(reason.sentence, in_hint(reason.hint)) for reason in seen.reasons]
        yield reasons, ("why", "what to do")
    if waiting := list(_waiting(seen)):
        yield waiting, ("waits in work/", "tries", "why")
    if seen.last_failures:
        rows = [(f"{f.at:%Y-%m-%dT%H:%M:%SZ}", f.code.value, f.name) for f in seen.last_failures]
        yield rows, ("last failures", "code", "photo")


def _rows(seen: Judged, in_hint: _Hint) -> Iterator[tuple[str, str]]:
    now, queue, worker = datetime.now(UTC), seen.queue, seen.worker
    yield "health", seen.health
    yield "state", seen.state + (f": {seen.why}" if seen.why else "")
    yield "since", f"{seen.started:%Y-%m-%dT%H:%M:%SZ} ({span(now - seen.started)})"
    aside = f", {queue.aside} of them set aside" if queue.aside else ""
    yield "queue", f"{queue.waiting} waiting in the inbox, {queue.in_work} in work{aside}"
    for folder, since in seen.held_by_operator.items():
        what = "everything" if folder == "." else folder
        release = in_hint(command_for("release", folder))
        yield "held", f"{what}, since {since:%Y-%m-%dT%H:%M:%SZ}, until {release}"
    if queue.since is not None:
        yield "oldest", f"{span(now - queue.since)}, in the inbox or in work"
    skipped = f", {seen.skipped} skipped for newer ones" if seen.skipped else ""
    yield "finished", f"{seen.done} done, {seen.failed} failed{skipped} since the start"
    now_and_then = (seen.rates.last_minute, seen.rates.last_15_minutes)
    yield "rate", "{:g} a minute now, {:g} over 15 minutes".format(*now_and_then)
    if seen.disk is not None:
        yield "disk", _of_disk(seen.disk)
    readiness = "ready" if worker.ready else "not ready"
    process = f"process {worker.pid}" if worker.pid is not None else "no process"
    yield "worker", f"{readiness}, {process}, {worker.restarts} restarts"
    if (model := seen.model) is not None:
        stands_in = " (built-in, stands in for the real one)" if model.fallback else ""
        yield "model", f"{model.name}{stands_in}, SHA-256 {model.sha256[:8]}"
        yield "engine", f"{model.engine}, {model.precision}"
    yield "version", f"{seen.version}, process {seen.pid}"


def _of_disk(disk: Disk) -> str:
    words = [f"{disk.free / 1e9:.1f} GB free"]
    if disk.bytes_a_photo is not None:
        words.append(f"{disk.bytes_a_photo / 1e6:.3g} MB of results a photo")
    if disk.days_left is not None:
        words.append(f"full in {span(timedelta(days=min(disk.days_left, 36500)))} at today's rate")
    return ", ".join(words)


def _waiting(seen: Judged) -> Iterator[tuple[str, int | None, str]]:
    """Folders whose results cannot be written, then single photos set aside."""
    for folder, reason in seen.held_folders.items():
        yield f"{folder}/", None, reason
    for photo in seen.aside:
        if photo.reason not in seen.held_folders.values():
            yield photo.name, photo.tries, photo.reason
    if (more := seen.queue.aside - len(seen.aside)) > 0:
        yield f"and {more} more", None, ""
