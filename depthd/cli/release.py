"""`depthd release`: photos are taken again."""

from __future__ import annotations

import click

from depthd.cli.holding import Asked, shown
from depthd.cli.options import Configured, configured
from depthd.cli.report import report
from depthd.contract.errors import ExitCode
from depthd.spool.holds import Holds


@click.command("release")
@configured
@click.argument("names", nargs=-1, metavar="[FOLDER...]")
def command(configured: Configured, names: tuple[str, ...]) -> int:
    """Take photos again after hold, from some folders or all.

    Exit code 1 if a folder that is given was not held by its name. The daemon need not run. Root is
    given the rights of the user who owns the daemon's folder.

    \b
    Examples:
      depthd release
      depthd release cam1
    """
    asked = Asked(configured, names)
    if (user := asked.user) is not None:
        return user.run("release", *asked.arguments)
    before: Holds = {}

    def released(held: Holds) -> Holds:
        nonlocal before
        before = held
        wanted = asked.folders or tuple(held)
        return {folder: since for folder, since in held.items() if folder not in wanted}

    after = asked.change(released)
    for folder in sorted(before.keys() - after.keys()):
        click.echo(f"{shown(folder)}: released")
    unknown = [folder for folder in asked.folders if folder not in before]
    for folder in unknown:
        report(f"{shown(folder)}: was not held by this name")
    for folder in after:
        click.echo(f"{shown(folder)}: still held")
    if not (before or unknown):
        click.echo("nothing was held")
    code = asked.wait_for_daemon(after)
    return ExitCode.FAILURE if unknown else code
