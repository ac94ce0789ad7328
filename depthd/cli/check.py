"""`depthd check`: would it work?"""

from __future__ import annotations

import sys

import click

from depthd.cli.options import Configured, configured
from depthd.contract.errors import ExitCode


@click.command("check")
@configured
@click.option(
    "--configuration-only", is_flag=True, help="Look at nothing else; silent when it is right."
)
def command(configured: Configured, *, configuration_only: bool) -> ExitCode:
    """Check whether the daemon would work here.

    Looks at configuration, folders, rights, events, disk, hook, metrics, weights, engine and
    memory. Nothing is created or downloaded. Exit code 1 if the daemon would not work, 78 if the
    configuration is wrong. Root is given the rights of the user who owns the daemon's folder.

    \b
    Examples:
      depthd check --root ~/depth
      sudo depthd check
      depthd check --configuration-only -c new.yaml
    """
    loaded = configured.load_for_service()
    if configuration_only:
        return ExitCode.OK

    from depthd.cli.check_folders import nearest  # noqa: PLC0415 - watcher and model, for this only
    from depthd.cli.checks import check  # noqa: PLC0415
    from depthd.cli.finding import Finding  # noqa: PLC0415
    from depthd.cli.identity import daemons_user, user_name  # noqa: PLC0415
    from depthd.cli.tables import show  # noqa: PLC0415 - only for people

    own = nearest(loaded.config.folder("state"))
    changed = sum(source != "default" for source in loaded.sources.values())
    findings = [Finding("configuration", "ok", f"valid, {changed} keys set")]
    if (user := daemons_user(own)) is None:
        findings.append(Finding("user", "ok", user_name()))
        findings += check(loaded.config)
    else:
        try:
            return ExitCode(user.run("check", *configured.arguments()))
        except OSError as error:
            detail = (
                f"{user.name}, who owns {own}, may not run {sys.executable}: {error.strerror}; "
                "install depthd where everybody may read, not below /root or /home"
            )
            findings.append(Finding("user", "FAILED", detail))
    in_hint = configured.in_hint
    rows = [(finding.what, finding.verdict, in_hint(finding.detail)) for finding in findings]
    show(rows, styles={"ok": "green", "warning": "yellow", "FAILED": "bold red"})
    failed = [finding.what for finding in findings if finding.verdict == "FAILED"]
    if failed:
        click.echo(f"It would not work: {', '.join(failed)}.", err=True)
        return ExitCode.FAILURE
    return ExitCode.OK
