"""Words on standard error, safe for every name."""

from __future__ import annotations

import click

from depthd.contract.names import printable


def report(text: str) -> None:
    """Say what is being done or what went wrong; each line is made safe by itself."""
    for line in text.splitlines():
        click.echo(printable(line), err=True)
