"""`depthd explain`: all that is known of one photo."""

from __future__ import annotations

from collections.abc import Callable

import click

from depthd.cli.options import Configured, configured
from depthd.contract.errors import ExitCode, NoInputError
from depthd.contract.names import printable
from depthd.history.present import Present, now
from depthd.history.story import Story, names_of, tell


@click.command("explain")
@configured
@click.argument("photo", metavar="NAME")
def command(configured: Configured, photo: str) -> ExitCode:
    """Tell a photo's story, where it is, and what to do next.

    NAME is that of the photo inside the inbox, or a path that leads to it or to one of its results.
    Read from the log with its rotated files, the manifest, the reason beside a failed photo, and
    the folders; the daemon need not run. Exit code 66 where nothing is known of it.

    \b
    Examples:
      depthd explain cam1/IMG_1.jpg
      depthd explain ~/depth/outbox/cam1/IMG_1.jpg.heatmap.png --root ~/depth
    """
    config = configured.config()
    story, present = Story(photo), list[Present]()
    for name in names_of(config, photo):
        story = tell(config, name)
        present = now(config, story)
        if story.happened or any(each.is_known for each in present):
            break
    else:
        why = story.log or "neither the log nor a folder has it"
        raise NoInputError(
            f"nothing is known of {printable(photo)}: {why}",
            "give its name inside the inbox, such as cam1/a.jpg, and the daemon's -c or --root",
        )
    _print(story, present, configured.in_hint)
    return ExitCode.OK


def _print(story: Story, present: list[Present], in_hint: Callable[[str], str]) -> None:
    from depthd.cli.tables import show  # noqa: PLC0415 - slow to import

    if story.left_out:
        click.echo(f"{story.left_out} earlier entries are left out.")
    if story.log:
        click.echo(f"There is no log to read: {printable(story.log)}.")
    if story.happened:
        show(
            [(one.at, one.source, one.text) for one in story.happened],
            head=("when", "what", "in words"),
        )
    for each in present:
        click.echo()
        click.echo(printable(each.sentence))
        click.echo(f"Next: {printable(in_hint(each.hint))}")
