"""`depthd logs`: the log, for people."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from itertools import chain

import click

from depthd.cli.options import Configured, configured
from depthd.config.units import parse_duration
from depthd.contract.errors import ExitCode, UsageError
from depthd.contract.events import Event
from depthd.history.log_files import LEVELS, Entry, Follower, entries
from depthd.history.wanted import Wanted
from depthd.supervisor.log_line import encode, for_people

_SHOWN_BEFORE = 10  # lines that --follow begins with
_MOST_LINES = 100_000


@click.command("logs")
@configured
@click.option("--photo", "photos", multiple=True, metavar="NAME", help="Of this photo or job.")
@click.option(
    "--event", "events", multiple=True, metavar="EVENT", help="Such as photo.failed or worker.*."
)
@click.option("--level", type=click.Choice(LEVELS), default="debug", help="As severe at least.")
@click.option("--since", metavar="TIME", help="2h ago, or 2026-11-27, or 2026-11-27T06:45.")
@click.option(
    "-n",
    "--lines",
    type=click.IntRange(1, _MOST_LINES),
    help="Only the last ones; with --follow 10.",
)
@click.option("-f", "--follow", is_flag=True, help="Go on with what comes.")
@click.option("--json", "as_json", is_flag=True, help="As they stand in the file.")
def command(
    configured: Configured,
    *,
    photos: tuple[str, ...],
    events: tuple[str, ...],
    level: str,
    since: str | None,
    lines: int | None,
    follow: bool,
    as_json: bool,
) -> ExitCode:
    """Show the log, rotated and compressed files included.

    Options of different kinds must all fit, of one kind any. NAME is that of the photo inside the
    inbox. The daemon need not run.

    \b
    Examples:
      depthd logs --level warning --since 1d
      depthd logs --photo cam1/IMG_1.jpg
      depthd logs --event 'worker.*' --follow
    """
    for event in events:
        _check_event(event)
    wanted = Wanted.of(photos, events, level, _since(since))
    folder = configured.config().folder("log")
    follower = Follower(folder) if follow else None
    limit = lines or (_SHOWN_BEFORE if follow else None)
    open_file = follower.file if follower else None
    past: Iterable[Entry] = entries(folder, wanted.since, without=open_file)
    if follower:
        past = chain(past, follower.new())
    past = _fitting(past, wanted)
    if limit is not None:
        past = deque(past, maxlen=limit)
    colour = sys.stdout.isatty()
    for entry in past:
        _print(entry, as_json=as_json, colour=colour)
    if follower is not None:
        sys.stdout.flush()
        for entry in _fitting(follower, wanted):
            _print(entry, as_json=as_json, colour=colour)
            sys.stdout.flush()
    return ExitCode.OK


def _fitting(found: Iterable[Entry], wanted: Wanted) -> Iterator[Entry]:
    return (entry for entry in found if wanted.fits(entry))


def _print(entry: Entry, *, as_json: bool, colour: bool) -> None:
    click.echo(encode(entry) if as_json else for_people(entry, with_colour=colour))


def _check_event(event: str) -> None:
    if not any(fnmatchcase(known, event) for known in Event):
        raise UsageError(
            f"no event is called {event!r}", "they are listed in depthd/docs/operating.md"
        )


def _since(text: str | None) -> float:
    """Seconds since the epoch."""
    if text is None:
        return 0.0
    try:
        return time.time() - parse_duration(text.removesuffix(" ago"))
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"--since {text!r} is no time", "give a length such as 2h, or 2026-11-27T06:45 (UTC)"
        ) from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
