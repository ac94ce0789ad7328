"""`depthd process`: the worker's pipeline over files that stay where they are."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click

from depthd.cli.options import Configured, configured, path_option
from depthd.cli.photos import choose
from depthd.cli.report import report
from depthd.cli.results import Done
from depthd.config.load import Loaded
from depthd.contract.errors import ExitCode, NoInputError, OutputError
from depthd.model.storage import user_cache


@click.command("process")
@configured
@click.argument(
    "photos", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="PHOTO..."
)
@click.option(
    "-o",
    "--output",
    "folder",
    required=True,
    type=path_option,
    metavar="DIR",
    help="Folder for the results; it is made if it is missing, and nothing in it is replaced.",
)
@click.option(
    "--skip-done", is_flag=True, help="Pass over photos whose results are in DIR already."
)
@click.option(
    "--references",
    type=path_option,
    metavar="FILE",
    help="CSV file with columns x,y,metres: points of the upright photos whose distance is known.",
)
def command(
    configured: Configured,
    photos: tuple[Path, ...],
    folder: Path,
    references: Path | None,
    *,
    skip_done: bool,
) -> ExitCode:
    """Turn PHOTOs into depth without the daemon; folders are walked.

    The photos stay where they are, and results of depthd are never taken for photos. A photo is
    done if one of its name and its bytes has all formats, and was measured by reference points if
    there are some now. Exit code 0 if all are done, 1 if some failed or could not be read.

    \b
    Examples:
      depthd process holiday/*.jpg -o depth
      depthd process holiday/ -o depth --skip-done --set output.formats=[npy,preview]
      depthd process hall.jpg -o depth --references hall.csv --set output.formats=[metres,glb]
    """
    loaded = _load(configured, references)
    chosen = choose(photos, loaded.config, folder)
    for trouble in chosen.unreadable:
        report(trouble)
    if chosen.results:
        report(f"{chosen.results} results of depthd are passed over")
    if not chosen.photos:
        raise NoInputError("there is no photo that can be read")
    _make(folder)
    is_chosen = any(loaded.sources[key] != "default" for key in ("root", "paths.state"))
    state = loaded.config.folder("state") if is_chosen else user_cache() / "depthd"
    done = Done(folder, loaded.config) if skip_done else None
    from depthd.cli.batch import process  # noqa: PLC0415 - numpy, OpenCV, rich

    code = process(chosen.photos, loaded.config, state, folder, done)
    return ExitCode.FAILURE if chosen.unreadable else code


def _load(configured: Configured, references: Path | None) -> Loaded:
    """The configuration; whoever gives reference points wants metres, unless formats are chosen."""
    if references is not None:
        configured = configured.with_setting("output.references_file", str(references))
        if configured.load().sources["output.formats"] == "default":
            configured = configured.with_setting("output.formats", "[heatmap, npy, metres]")
    return configured.load()


def _make(folder: Path) -> None:
    """Make the folder and try to write there, before the network is loaded."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(prefix=".depthd-", dir=folder):
            pass
    except OSError as error:
        raise OutputError(
            f"cannot write to {folder}: {error.strerror}",
            "make room there, correct its rights, or give another folder",
        ) from error
