"""Photos back into the inbox: what `retry` and `requeue` share."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import click

from depthd.cli.report import report
from depthd.config import Config
from depthd.contract.errors import ExitCode, NoInputError
from depthd.contract.formats import ERROR_SUFFIX, SKIPPED_SUFFIX
from depthd.contract.names import SetName, printable
from depthd.publish.places import Place
from depthd.publish.returning import put_back


def folders(config: Config, *names: str) -> tuple[Path, ...]:
    """Some of the configured folders.

    Raises:
        NoInputError: one of them is not there.
    """
    found = tuple(config.folder(name) for name in names)
    for folder in found:
        if not folder.is_dir():
            raise NoInputError(
                f"there is no folder {folder}", "give -c or --root as the daemon has"
            )
    return found


def names_inside(home: Path, photos: Iterable[str]) -> tuple[str, ...]:
    """Names inside a folder, each once; a reason beside it stands for the photo."""
    return tuple(dict.fromkeys(_inside(home, photo) for photo in photos))


def _inside(home: Path, photo: str) -> str:
    path = os.path.abspath(photo)
    inside = os.path.relpath(path, home) if path.startswith(f"{home}/") else photo
    return inside.removesuffix(ERROR_SUFFIX).removesuffix(SKIPPED_SUFFIX)


def put_all_back(wanted: Iterable[SetName | OSError], home: Place, inbox: Path) -> ExitCode:
    """Move photos back and say so, one a line; 1 if one could not be moved."""
    result, name = ExitCode.OK, None
    for name in wanted:
        if isinstance(name, OSError):
            result = _say(str(name.filename), name)
            continue
        try:
            click.echo(f"{printable(put_back(home, inbox, name).path)}: back in the inbox")
        except OSError as error:
            result = _say(name.path, error)
    if name is None:
        click.echo(f"no photo in {home.root.name}/ to put back")
    return result


def _say(name: str, trouble: OSError) -> ExitCode:
    report(f"{printable(name)}: {trouble.strerror or trouble}")
    return ExitCode.FAILURE
