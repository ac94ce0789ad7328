"""`depthd hold`: no more photos are taken."""

from __future__ import annotations

import time

import click

from depthd.cli.holding import Asked, shown
from depthd.cli.options import Configured, configured
from depthd.spool.holds import EVERYTHING

_NOT_THERE = "; the inbox has no folder of this name now"


@click.command("hold")
@configured
@click.argument("names", nargs=-1, metavar="[FOLDER...]")
def command(configured: Configured, names: tuple[str, ...]) -> int:
    """Take no more photos, from some folders or at all.

    FOLDER is a folder's name inside the inbox, or a path that leads there; its sub-folders belong
    to it. Photos at work are finished, those in the inbox wait. It lasts until `depthd release`,
    over restarts too. The daemon need not run. Root is given the rights of the user who owns the
    daemon's folder.

    \b
    Examples:
      depthd hold
      depthd hold cam1 yard/cam2
    """
    asked = Asked(configured, names)
    if (user := asked.user) is not None:
        return user.run("hold", *asked.arguments)
    wanted = dict.fromkeys(asked.folders or (EVERYTHING,), time.time())
    held = asked.change(lambda before: {**wanted, **before})
    for folder in wanted:
        click.echo(f"{shown(folder)}: held{'' if asked.is_there(folder) else _NOT_THERE}")
    return asked.wait_for_daemon(held)
