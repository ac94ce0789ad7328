"""`depthd reload`: let the daemon take up its settings, and say what it made of them."""

from __future__ import annotations

import os
import signal
import time
from datetime import UTC, datetime
from pathlib import Path

import click

from depthd.cli.options import Configured, configured
from depthd.cli.report import report
from depthd.contract.errors import ExitCode, NoInputError, TemporaryError
from depthd.contract.status import Reload, read

_PATIENCE = 15.0  # seconds
_LOOK_EVERY = 0.1
_MOVED = "Where paths.state is to be another one: --set paths.state=THE FORMER ONE."


@click.command("reload")
@configured
def command(configured: Configured) -> ExitCode:
    """Let the daemon take up changed settings, and say which.

    Each key that has changed is shown with its old and new value, and when the new one counts. The
    daemon reads the file and the options that it was started with; those given here only find it,
    by its status in state/. Where another paths.state is to be taken up, name the former one. Exit
    code 1 if the daemon refuses the new settings and goes on with the old ones. The log is opened
    anew and the inbox looked through as well.

    \b
    Examples:
      depthd reload --root ~/depth
      depthd reload --set paths.state=/var/lib/depthd/state
    """
    state = configured.config().folder("state")
    try:
        before = read(state)
    except NoInputError as error:
        raise NoInputError(error.message, f"{error.hint} {_MOVED}") from error
    if absence := before.outdated(datetime.now(UTC)):
        raise NoInputError(absence, "'depthd run' starts it; it then reads its settings")
    try:
        os.kill(before.pid, signal.SIGHUP)
    except PermissionError as error:
        raise NoInputError(
            "the daemon is another user's", "run it as that user, or with sudo"
        ) from error
    return _say(_answer(state, before.reload))


def _answer(state: Path, before: Reload | None) -> Reload:
    """What the daemon says, once it has heeded the signal."""
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        time.sleep(_LOOK_EVERY)
        now = read(state).reload
        if now is not None and now != before:
            return now
    raise TemporaryError("the daemon has not answered yet", "see its log for service.reloaded")


def _say(answer: Reload) -> ExitCode:
    if answer.refused:
        report(f"refused, the old settings go on: {answer.refused}")
        return ExitCode.FAILURE
    for line in answer.changed or ("nothing has changed",):
        click.echo(line)
    return ExitCode.OK
