"""`depthd retry`: failed photos back into the inbox."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import click

from depthd.cli.check_folders import nearest
from depthd.cli.identity import daemons_user, user_name
from depthd.cli.options import Configured, configured
from depthd.cli.returning import folders, names_inside, put_all_back
from depthd.contract.errors import FaultCode, NoInputError
from depthd.contract.names import SetName
from depthd.intake.patterns import Names
from depthd.publish.failures import failed_photos
from depthd.publish.places import Place
from depthd.system.private import NAME


@click.command("retry")
@configured
@click.argument("photos", nargs=-1, metavar="[NAME...]")
@click.option("--all", "take_all", is_flag=True, help="Every photo that has a reason beside it.")
@click.option(
    "--code",
    type=click.Choice([code.value for code in FaultCode]),
    metavar="CODE",
    help="With --all: only those that failed for this, such as worker_timeout.",
)
def command(
    configured: Configured, photos: tuple[str, ...], *, take_all: bool, code: str | None
) -> int:
    """Move failed photos back to the inbox, to be tried again.

    NAME is that of the photo inside failed/, or a path that leads there. Nothing in the inbox is
    replaced. Exit code 1 if a photo could not be moved. Root is given the rights of the user who
    owns the daemon's folder.

    \b
    Examples:
      depthd retry cam1/IMG_1.jpg
      depthd retry ~/depth/failed/cam1/*.jpg --root ~/depth
      depthd retry --all --code worker_timeout
    """
    if bool(photos) == take_all:
        raise click.UsageError("Give the names of photos, or --all.")
    if code and not take_all:
        raise click.UsageError("--code goes with --all.")
    config = configured.config()
    failed, inbox = folders(config, "failed", "inbox")
    names = names_inside(failed, photos)
    if (user := daemons_user(nearest(config.folder("state")))) is not None:
        chosen = ("--all", *(("--code", code) if code else ())) if take_all else ("--", *names)
        return user.run("retry", *configured.arguments(), *chosen)

    place = Place(failed)
    wanted: Iterable[SetName | OSError] = map(SetName.of, names)
    if take_all:
        _refuse_others(failed)
        wanted = _all(place, Names((), (), config.intake.litter), code)
    return put_all_back(wanted, place, inbox)


def _refuse_others(failed: Path) -> None:
    """Only its own user can tell which reasons are the daemon's."""
    private = failed / NAME
    if private.is_dir() and not os.access(private, os.R_OK | os.W_OK | os.X_OK):
        owner = user_name(private.stat().st_uid)
        raise NoInputError(
            f"the photos in {failed} are those of another user's daemon",
            f"run it as {owner} (sudo -u {owner}), or give the names of photos of yours",
        )


def _all(place: Place, names: Names, code: str | None) -> Iterator[SetName | OSError]:
    for found in failed_photos(place, names.skips):
        if isinstance(found, OSError):
            yield found
        elif code in (None, found.code):
            yield found.name
