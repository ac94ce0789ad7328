"""What `depthd hold` and `depthd release` share."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import click

from depthd.cli.check_folders import nearest
from depthd.cli.identity import User, daemons_user
from depthd.cli.options import Configured
from depthd.cli.returning import folders
from depthd.contract.errors import ExitCode, NoInputError, OutputError, TemporaryError, UsageError
from depthd.contract.names import printable
from depthd.contract.status import Status, read
from depthd.spool.holds import Holds, HoldsFile, HoldsUnclear

_PATIENCE = 10.0  # seconds until a daemon that runs has heeded it
_LOOK_EVERY = 0.1


class Asked:
    """What an operator wants to be held or released, and where that is written down."""

    def __init__(self, configured: Configured, names: tuple[str, ...]) -> None:
        config = configured.config()
        (self._state,) = folders(config, "state")
        self._inbox = config.folder("inbox")
        self._arguments = configured.arguments()
        self.folders = tuple(dict.fromkeys(_inside(self._inbox, name) for name in names))

    @property
    def user(self) -> User | None:
        """Whose rights to take, where root asks."""
        return daemons_user(nearest(self._state))

    @property
    def arguments(self) -> tuple[str, ...]:
        """The same on a command line."""
        return *self._arguments, "--", *(folder or "." for folder in self.folders)

    def is_there(self, folder: str) -> bool:
        """Whether the inbox has it now; it may be still to come, or mistyped."""
        return (self._inbox / folder).is_dir()

    def change(self, to: Callable[[Holds], Holds]) -> Holds:
        """Put other holds in the place of these.

        Raises:
            OutputError: state/ cannot be written.
            NoInputError: the file makes no sense.
        """
        try:
            return HoldsFile(self._state).change(to)
        except HoldsUnclear as error:
            hint = f"remove it from {self._state}: then nothing is held"
            raise NoInputError(str(error), hint) from error
        except OSError as error:
            raise OutputError(
                f"{self._state} cannot be written: {error.strerror}",
                "run it as the user who owns that folder, and look at its disk",
            ) from error

    def wait_for_daemon(self, held: Holds) -> ExitCode:
        """Wait until a daemon that runs has taken it up, and say what it has at work.

        Raises:
            TemporaryError: it does not answer.
        """
        names = {shown(folder) for folder in held}
        deadline = time.monotonic() + _PATIENCE
        while (status := self._status()) is not None:
            if status.held_by_operator.keys() == names:
                click.echo(f"photos at work: {status.queue.in_work}")
                return ExitCode.OK
            if time.monotonic() > deadline:
                raise TemporaryError(
                    "it is written down, and the daemon has not said that it has taken it up",
                    "'depthd status' shows what the daemon does",
                )
            time.sleep(_LOOK_EVERY)
        click.echo("no daemon runs here; the next one takes it up")
        return ExitCode.OK

    def _status(self) -> Status | None:
        try:
            status = read(self._state)
        except NoInputError:
            return None
        return None if status.absence(datetime.now(UTC)) else status


def shown(folder: str) -> str:
    """A folder of the inbox for people; the inbox itself is a dot."""
    return printable(folder) or "."


def _inside(inbox: Path, name: str) -> str:
    path = Path(name)
    if path.is_absolute() and path.is_relative_to(inbox):
        path = path.relative_to(inbox)
    if path.is_absolute() or ".." in path.parts:
        raise UsageError(f"{printable(name)} is no folder inside {inbox}", "give its name in there")
    return "/".join(path.parts)
