"""Tables for people, safe for every name: no markup, no control characters.

Into a pipe they go as plain lines, without blanks at their ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from depthd.contract.names import printable

_UNLIMITED = 10_000  # columns, where no terminal cuts the lines


def show(
    rows: Iterable[Sequence[object]],
    *,
    head: Sequence[str] = (),
    styles: dict[str, str] | None = None,
) -> None:
    """Print a table on standard output.

    Args:
        rows: cells; None is an empty one.
        head: titles of the columns.
        styles: colours of cells that hold exactly these words, where the terminal has colours.
    """
    console = Console()
    if not console.is_terminal:
        console.width = _UNLIMITED
    table = tabled(rows, head=head, styles=styles)
    if console.is_terminal:
        console.print(table)
        return
    with console.capture() as captured:
        console.print(table)
    for line in captured.get().splitlines():
        click.echo(line.rstrip())


def tabled(
    rows: Iterable[Sequence[object]],
    *,
    head: Sequence[str] = (),
    styles: dict[str, str] | None = None,
) -> Table:
    """The same, to be printed with others."""
    cells = [[_cell(value) for value in row] for row in rows]
    table = Table(box=None, show_header=bool(head), pad_edge=False, header_style="bold")
    for index in range(max((len(row) for row in cells), default=len(head))):
        table.add_column(Text(head[index] if index < len(head) else ""), overflow="fold")
    for row in cells:
        # Text, not str: in which rich would look for markup.
        table.add_row(*(Text(text, style=(styles or {}).get(text, "")) for text in row))
    return table


def _cell(value: object) -> str:
    return "" if value is None else printable(str(value))
