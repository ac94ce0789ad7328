"""`depthd run`: the daemon."""

from __future__ import annotations

import os
import sys

import click

from depthd.cli.options import DEFAULT_FILE, Configured, configured
from depthd.cli.report import report
from depthd.config import Config
from depthd.contract.errors import ExitCode


@click.command("run")
@configured
@click.option(
    "--once", is_flag=True, help="Drain the inbox and end: 0 if every photo is done, else 1."
)
def command(configured: Configured, *, once: bool) -> ExitCode:
    """Turn photos into depth as they are dropped (the daemon).

    Ends in order on SIGTERM or Ctrl-C; SIGHUP reopens the logs and reads the configuration again.

    \b
    Example:
      depthd run --root ~/depth
      cp photo.jpg ~/depth/inbox/     # results appear in ~/depth/outbox/
    """
    from depthd.supervisor import loop, signals  # noqa: PLC0415 - only this command needs them

    loaded = configured.load_for_service()
    if set(loaded.sources.values()) == {"default"}:
        file = configured.file_in_use()
        lacks = f"{file} sets nothing" if file else f"{DEFAULT_FILE} is not there"
        report(f"{lacks}, nor is anything else set: all keys have their defaults")

    def reload() -> Config:
        return configured.load_for_service().config

    result = loop.run(loaded.config, reload=reload, once=once)
    if result.words:
        report(result.words)
    if result.begin_anew:
        signals.let_end()
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - ourselves
    return result.exit_code
