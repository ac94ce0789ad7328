"""Which files `depthd process` is to take: arguments and folders in, photos and troubles out."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from depthd.cli.results import is_result
from depthd.config import Config
from depthd.contract.errors import NoInputError
from depthd.intake.patterns import Names
from depthd.system.walking import walk


@dataclass(frozen=True)
class Photo:
    """A file to process."""

    path: Path
    name: str  # inside the output folder


@dataclass
class Chosen:
    """What to process.

    Attributes:
        unreadable: files and folders that the system refuses, each with its reason.
        results: how many results of depthd were passed over.
    """

    photos: list[Photo] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    results: int = 0


def choose(paths: tuple[Path, ...], config: Config, output: Path) -> Chosen:
    """Files as they were given; of folders what the intake section would take.

    Args:
        paths: files and folders.
        config: the section intake is used.
        output: where results go; it is not walked if it lies in one of the folders.

    Raises:
        NoInputError: one of them is not there, or nothing is to be done.
    """
    chosen = Chosen()
    for path in paths:
        try:
            path.stat()
        except (FileNotFoundError, NotADirectoryError):
            raise NoInputError(f"{path} is not there") from None
        except OSError as error:
            chosen.unreadable.append(f"{path}: {error.strerror}")
            continue
        if path.is_dir():
            found = _walk(path, config, output, chosen)
            chosen.photos += sorted(found, key=lambda photo: photo.name)
        elif not path.is_file():
            raise NoInputError(f"{path} is neither a file nor a folder")
        elif is_result(path):
            chosen.results += 1
        else:
            chosen.photos.append(Photo(path, path.name))
    if not chosen.photos and not chosen.unreadable:
        if chosen.results:
            raise NoInputError("there are only results of depthd, and no photo")
        raise NoInputError("there is no photo in the given folders", "see intake.include")
    return chosen


def _walk(top: Path, config: Config, output: Path, chosen: Chosen) -> Iterator[Photo]:
    names = Names.of(config.intake)
    own = _identity(output)

    def refuse(error: OSError) -> None:
        chosen.unreadable.append(f"{os.fsdecode(error.filename)}: {error.strerror}")

    for folder, inner, files in walk(top, refuse):
        here = Path(folder)
        inside = "" if here == top else f"{here.relative_to(top).as_posix()}/"
        inner[:] = [
            name
            for name in inner
            if config.intake.recursive
            and not names.skips(inside + name)
            and (own is None or _identity(here / name) != own)
        ]
        for base in files:
            path, name = here / base, inside + base
            if names.skips(name) or not names.wants(name) or path.is_symlink():
                continue
            if is_result(path):
                chosen.results += 1
            else:
                yield Photo(path, name)


def _identity(folder: Path) -> tuple[int, int] | None:
    """Device and inode; None where there is nothing yet."""
    try:
        about = folder.stat()
    except OSError:
        return None
    return about.st_dev, about.st_ino
