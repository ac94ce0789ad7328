"""`depthd prune`: what `retention` says is removed now."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime

import click

from depthd.cli.check_folders import nearest
from depthd.cli.identity import daemons_user
from depthd.cli.options import Configured, configured
from depthd.cli.report import report
from depthd.cli.returning import folders
from depthd.config import Config
from depthd.contract.errors import ExitCode, TemporaryError
from depthd.contract.events import LOG_FILE, Event
from depthd.contract.names import printable
from depthd.retention.items import Kind, Removed
from depthd.retention.main import describe
from depthd.retention.passing import Busy, one_pass, only_pass
from depthd.supervisor.log_file import LogFile
from depthd.supervisor.log_line import entry_of

_MEANT = {Kind.DONE: "done, with its results", Kind.FAILED: "failed", Kind.LOG: "a rotated log"}


@click.command("prune")
@configured
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
def command(configured: Configured, *, dry_run: bool) -> int:
    """Remove what retention says, now.

    The daemon need not run. Photos that wait or are at work are never touched. Exit code 1 if
    something could not be removed. Root is given the rights of the user who owns the daemon's
    folder.

    \b
    Examples:
      depthd prune --dry-run
      depthd prune --dry-run --set retention.done=30d
      depthd prune
    """
    config = configured.config()
    (state, *_) = folders(config, "state", "work")
    if (user := daemons_user(nearest(state))) is not None:
        chosen = ("--dry-run",) if dry_run else ()
        return user.run("prune", *configured.arguments(), *chosen)
    if not config.removes:
        click.echo("retention asks for nothing: give an age, a size or min_free, see its keys")
        return ExitCode.OK
    log = LogFile(config.folder("log") / LOG_FILE) if config.log.file and not dry_run else None
    try:
        with only_pass(state):
            return _prune(config, log, is_dry=dry_run)
    except Busy as error:
        raise TemporaryError(
            "the daemon, or another prune, is at it", "look into the log, or try again later"
        ) from error
    finally:
        if log is not None:
            log.close()


def _prune(config: Config, log: LogFile | None, *, is_dry: bool) -> ExitCode:
    def told(gone: Removed) -> None:
        since = datetime.fromtimestamp(gone.item.since, UTC)
        click.echo(
            f"{printable(gone.item.name.path)}: {_MEANT[gone.item.kind]}, "
            f"{since:%Y-%m-%dT%H:%M:%SZ}, {gone.size / 1e6:.1f} MB, for its {gone.why}"
        )
        if log is not None:
            event = Event.LOG_REMOVED if gone.item.kind is Kind.LOG else Event.PHOTO_REMOVED
            log.write(entry_of(event, **describe(gone, time.time())).line)

    removed, size, troubles = 0, 0, 0
    after: Mapping[Kind, float] | None = None
    while True:
        outcome = one_pass(config, told, is_dry=is_dry, after=after)
        removed, size, after = removed + outcome.removed, size + outcome.size, outcome.until
        troubles += len(outcome.troubles)
        for trouble in outcome.troubles:
            report(trouble)
        if after is None or is_dry:
            break
    verb = "would go" if is_dry else "removed"
    more = ", and perhaps more" if after is not None else ""
    click.echo(f"{verb}: {removed}, {size / 1e6:.1f} MB{more}")
    return ExitCode.FAILURE if troubles else ExitCode.OK
