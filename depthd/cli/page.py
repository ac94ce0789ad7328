"""`depthd page`: the web page, a process of its own."""

from __future__ import annotations

import importlib.util

import click

from depthd.cli.check_folders import nearest
from depthd.cli.identity import daemons_user
from depthd.cli.options import Configured, configured
from depthd.cli.report import report
from depthd.contract.errors import ExitCode, UnavailableError

_NEEDS = ("starlette", "uvicorn", "jinja2")


@click.command("page")
@configured
@click.option(
    "--port", type=click.IntRange(0, 65535), metavar="N", help="Where it listens; else page.port."
)
def command(configured: Configured, port: int | None) -> ExitCode:
    """Show photos and depth in a browser, and take photos from there.

    The daemon runs beside it, or does not. It answers this machine only; for others set
    page.address, and it demands a password. Ends on SIGTERM or Ctrl-C.

    \b
    Examples:
      depthd page --root ~/depth
      depthd page --root ~/depth --set page.address=0.0.0.0
    """
    demand_extra()
    if port is not None:
        configured = configured.with_setting("page.port", str(port))
    config = configured.config()
    if (user := daemons_user(nearest(config.folder("state")))) is not None:
        return ExitCode(user.run("page", *configured.arguments()))

    from depthd.page.server import serve  # noqa: PLC0415 - an extra

    serve(config, report, in_hint=configured.in_hint)
    return ExitCode.OK


def demand_extra() -> None:
    """Raise UnavailableError where the page's extra is not installed."""
    lacking = [name for name in _NEEDS if importlib.util.find_spec(name) is None]
    if lacking:
        raise UnavailableError(
            f"the page needs {', '.join(lacking)}",
            "run \"pip install 'depthd[page]'\" in depthd's environment",
        )
