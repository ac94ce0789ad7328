"""`depthd check`: would it work?"""

from __future__ import annotations

import click

from depthd.cli.options import Configured, configured
from depthd.contract.errors import ExitCode


@click.command("check")
@configured
def command(configured: Configured) -> ExitCode:
    r"""Check configuration, folders, rights, events, disk, weights and engine.

    Nothing is created or downloaded. Exit code 1 if the daemon would not work, 78 if the
    configuration is wrong. Run it as the user that runs the daemon.

    \b
    Example:
      sudo -u depthd depthd check -c /etc/depthd/config.yaml
    """
    from depthd.cli.checks import check  # noqa: PLC0415 - watcher and model, for this only
    from depthd.cli.tables import show  # noqa: PLC0415 - only for people

    loaded = configured.load()
    changed = sum(source != "default" for source in loaded.sources.values())
    rows = [("configuration", "ok", f"valid, {changed} keys set")]
    rows += [(finding.what, finding.verdict, finding.detail) for finding in check(loaded.config)]
    show(rows, styles={"ok": "green", "warning": "yellow", "FAILED": "bold red"})
    failed = [what for what, verdict, _ in rows if verdict == "FAILED"]
    if failed:
        click.echo(f"It would not work: {', '.join(failed)}.", err=True)
        return ExitCode.FAILURE
    return ExitCode.OK
