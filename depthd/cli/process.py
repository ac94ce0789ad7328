"""`depthd process`: the worker's pipeline over files that stay where they are."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from depthd.cli.options import Configured, configured, path_option
from depthd.config import Config
from depthd.contract.errors import ExitCode, NoInputError, OutputError
from depthd.intake.patterns import Names, is_partial
from depthd.model.storage import user_cache


@dataclass(frozen=True)
class Photo:
    """A file to process."""

    path: Path
    name: str  # inside the output folder


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
def command(configured: Configured, photos: tuple[Path, ...], folder: Path) -> ExitCode:
    r"""Turn PHOTOs into depth without the daemon; folders are walked.

    The photos stay where they are. Exit code 0 if all are done, 1 if some failed.

    \b
    Examples:
      depthd process holiday/*.jpg -o depth
      depthd process holiday/ -o depth --set output.formats=[npy,preview]
    """
    loaded = configured.load()
    chosen = _collect(photos, loaded.config, folder)
    _make(folder)
    is_chosen = any(loaded.sources[key] != "default" for key in ("root", "paths.state"))
    state = loaded.config.folder("state") if is_chosen else user_cache() / "depthd"
    from depthd.cli.batch import process  # noqa: PLC0415 - numpy, OpenCV, rich

    return process(chosen, loaded.config, state, folder)


def _collect(photos: tuple[Path, ...], config: Config, output: Path) -> list[Photo]:
    """Files as they were given; of folders what the intake section would take."""
    chosen: list[Photo] = []
    for path in photos:
        if path.is_dir():
            chosen += sorted(_walk(path, config, output), key=lambda photo: photo.name)
        elif path.is_file():
            chosen.append(Photo(path, path.name))
        else:
            raise NoInputError(f"{path} is not there, or neither a file nor a folder")
    if not chosen:
        raise NoInputError("there is no photo in the given folders", "see intake.include")
    return chosen


def _walk(top: Path, config: Config, output: Path) -> Iterator[Photo]:
    names = Names(config.intake.include, config.intake.exclude)
    for folder, inner, files in os.walk(top):
        here = Path(folder)
        inner[:] = [
            name
            for name in inner
            if config.intake.recursive
            and not name.startswith(".")
            and (here / name).resolve() != output.resolve()
        ]
        for base in files:
            name = (here / base).relative_to(top).as_posix()
            path = here / base
            if not is_partial(base) and names.wants(name) and not path.is_symlink():
                yield Photo(path, name)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot create {folder}: {error.strerror}") from error
