"""`depthd requeue`: photos that are done back into the inbox."""

from __future__ import annotations

import click

from depthd.cli.check_folders import nearest
from depthd.cli.identity import daemons_user
from depthd.cli.options import Configured, configured
from depthd.cli.returning import folders, names_inside, put_all_back
from depthd.contract.names import SetName
from depthd.publish.places import Place
from depthd.retention.removal import alone


@click.command("requeue")
@configured
@click.argument("photos", nargs=-1, metavar="NAME...", required=True)
def command(configured: Configured, photos: tuple[str, ...]) -> int:
    """Move photos that are done back to the inbox, for new results.

    NAME is that of the photo inside done/, or a path that leads there. Its results stay where they
    are; the new ones get another name beside them, IMG_1~20261123T064500.123Z.jpg. Nothing in the
    inbox is replaced. Exit code 1 if a photo could not be moved. Root is given the rights of the
    user who owns the daemon's folder.

    \b
    Examples:
      depthd requeue cam1/IMG_1.jpg
      depthd requeue ~/depth/done/cam1/*.jpg --root ~/depth
    """
    config = configured.config()
    done, inbox = folders(config, "done", "inbox")
    names = names_inside(done, photos)
    if (user := daemons_user(nearest(config.folder("state")))) is not None:
        return user.run("requeue", *configured.arguments(), "--", *names)
    with alone(config.folder("state")):
        return put_all_back(map(SetName.of, names), Place(done), inbox)
