"""The command line: arguments in, words and exit codes out.

The only package that prints. One module for each command, imported when it is asked for, so
that `depthd run` stays small. `main` is the one place that turns exceptions into words.
"""

from __future__ import annotations

import errno
import io
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from importlib import import_module

import click

from depthd import __version__
from depthd.cli.report import report
from depthd.contract.errors import DepthdError, ExitCode

COMMANDS = (
    *("run", "demo", "process", "check", "camera", "status", "retry", "requeue", "hold", "release"),
    *("reload", "prune", "explain", "logs", "page", "backfill", "bench", "model", "config"),
    "service",
)
DEBUG_VARIABLE = "DEPTHD_DEBUG"
# What the system refuses to whoever started the command. Each place that can says more.
_REFUSALS = {
    errno.EACCES: "look at its rights and owner, and at who runs this",
    errno.EPERM: "look at its rights and owner, and at who runs this",
    errno.ENOENT: "look whether it is there",
    errno.ENOTDIR: "something in it is a file, not a folder",
    errno.ENAMETOOLONG: "give a shorter name",
    errno.ELOOP: "its links lead in a ring",
    errno.ENOSPC: "make room there",
    errno.EDQUOT: "make room there, or raise the quota",
    errno.EROFS: "give a place that can be written",
}
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
_INTERRUPTED = 128 + 2
_BROKEN_PIPE = 128 + 13


class _Commands(click.Group):
    """Commands in modules of their own name."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"depthd.cli.{cmd_name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if not args[0].startswith("-") and args[0] not in COMMANDS:
            raise click.exceptions.NoSuchCommand(args[0], possibilities=COMMANDS, ctx=ctx)
        return super().resolve_command(ctx, args)


@click.command(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 96},
    epilog="First steps: depthd demo. Every command has --help with an example.",
)
@click.version_option(__version__, prog_name="depthd", message="%(prog)s %(version)s")
def depthd() -> None:
    """Photos in, depth out: turns dropped photos into depth maps on a CPU."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: without the program's name; default sys.argv.

    Returns:
        The exit code of the process.
    """
    given = sys.argv[1:] if arguments is None else arguments
    return in_words(lambda: _invoke(given))


def in_words(work: Callable[[], int]) -> int:
    """Do it; whatever goes wrong is said. Returns the exit code."""
    if isinstance(sys.stdout, io.TextIOWrapper):  # a terminal may know fewer letters than names do
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        return work()
    except (click.Abort, KeyboardInterrupt):
        return _INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what is still buffered goes nowhere
        return _BROKEN_PIPE
    except Exception as error:  # noqa: BLE001 - the last line of defence
        return _explain(error)


def _invoke(arguments: Sequence[str]) -> int:
    """Run without click's own main, which answers some exceptions with codes of its own."""
    try:
        with depthd.make_context("depthd", list(arguments)) as context:
            return int(depthd.invoke(context) or ExitCode.OK)
    except click.exceptions.Exit as end:  # --help, --version
        return end.exit_code


def _explain(error: Exception) -> int:
    """Say what went wrong in words; returns the exit code."""
    match error:
        case DepthdError():
            _say(error.message, error.hint)
            return error.exit_code
        case click.exceptions.NoArgsIsHelpError():
            click.echo(error.format_message(), err=True)
            return ExitCode.USAGE
        case click.ClickException():
            context = getattr(error, "ctx", None)
            path = context.command_path if context is not None else "depthd"
            _say(error.format_message(), f"'{path} --help' shows what it takes.")
            return ExitCode.USAGE
        case OSError() if error.errno in _REFUSALS:
            _trace(error)
            where = f"{os.fsdecode(error.filename)}: " if _is_name(error.filename) else ""
            _say(f"{where}{error.strerror}", _REFUSALS[error.errno])
            return ExitCode.CANNOT_CREATE if error.errno in _NO_ROOM else ExitCode.TEMPORARY
        case _:
            _trace(error)
            text = str(error).strip().splitlines()
            _say(
                f"unexpected {type(error).__name__}" + (f": {text[0]}" if text else ""),
                f"This is a fault of depthd; {DEBUG_VARIABLE}=1 in the environment shows where.",
            )
            return ExitCode.TEMPORARY


def _is_name(filename: object) -> bool:
    return isinstance(filename, str | bytes)  # not a descriptor


def _trace(error: Exception) -> None:
    if os.environ.get(DEBUG_VARIABLE):
        traceback.print_exception(error)


def _say(message: str, hint: str) -> None:
    text = f"depthd: {message}"
    if hint:
        text += f"\nHint: {hint[0].upper()}{hint[1:]}"
    report(text)
