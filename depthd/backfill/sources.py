"""The photos of a source one after the other, in an order that is the same in every run.

A folder, a bucket, or a list of addresses; of a bucket one page lies in memory, of a tree of
folders one folder. Knows names and addresses; reads no photo.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from functools import partial

import pyarrow as pa
from pyarrow import csv, parquet
from pyarrow import fs as arrow

from depthd.backfill.places import Entry, Place, entries, keys
from depthd.backfill.units import Photo
from depthd.config import Intake
from depthd.contract.errors import NoInputError, words_of
from depthd.contract.names import printable
from depthd.intake.patterns import Names

LISTS = (".parquet", ".csv")
_COLUMN = "address"
_ROWS = 10_000  # of a list in memory
_LONGEST_PATH = 4096  # letters
_Folder = tuple[Place, str]  # and what the names in it begin with


def photos(place: Place, intake: Intake) -> Iterator[Photo]:
    """Every photo that the section intake would take.

    Raises:
        NoInputError: there is no such source, or it cannot be listed.
    """
    try:
        if place.path.endswith(LISTS):
            yield from _listed(place)
        elif place.scheme == "s3":
            yield from _in_bucket(place, Names.of(intake))
        else:
            yield from _in_folders(place, intake)
    except (OSError, ValueError, KeyError) as error:  # PyArrow's own are kinds of these
        raise NoInputError(f"{printable(place.address)} cannot be listed: {error}") from error


def _in_bucket(place: Place, names: Names) -> Iterator[Photo]:
    for name, _ in keys(place):
        if names.wants(name) and not names.skips_beneath(name):
            trouble = "" if _name_of(name) == name else "its name leads elsewhere as a path"
            yield Photo(name, place.below(name).address, trouble=trouble)


def _in_folders(place: Place, intake: Intake) -> Iterator[Photo]:
    look = _local_entries if place.is_local else entries
    list(look(place))  # the top must be there
    inside = partial(_inside, look, Names.of(intake), intake.recursive)
    under_way = [inside(place, "")]  # calls of itself would end in a RecursionError
    while under_way:
        found = next(under_way[-1], None)
        if found is None:
            under_way.pop()
        elif isinstance(found, Photo):
            yield found
        else:
            under_way.append(inside(*found))


def _inside(
    look: Callable[[Place], Iterator[Entry]],
    names: Names,
    recursive: bool,
    folder: Place,
    prefix: str,
) -> Iterator[Photo | _Folder]:
    """Photos of one folder and the folders in it, in order."""
    try:
        if len(prefix) > _LONGEST_PATH:  # a store may have no limit, and folders without end
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))  # noqa: TRY301
        found = list(look(folder))
    except OSError as error:  # one that is closed is a failure of its own, not the end
        yield Photo(prefix, folder.address, trouble=words_of(error))
        return
    for entry in found:
        name, here = prefix + entry.name, folder.below(entry.name)
        if names.skips(name):
            continue
        if entry.is_folder:
            if recursive:
                yield here, f"{name}/"
        elif names.wants(name):
            yield Photo(name, here.address)


def _local_entries(place: Place) -> Iterator[Entry]:
    """Regular files and folders; links, pipes and devices are not followed."""
    with os.scandir(place.path) as listing:
        found = [
            (os.fsencode(each.name) + (b"/" if is_folder else b""), Entry(each.name, is_folder))
            for each in listing
            if (is_folder := each.is_dir(follow_symlinks=False))
            or each.is_file(follow_symlinks=False)
        ]
    for _, entry in sorted(found, key=lambda pair: pair[0]):
        yield entry


def _listed(place: Place) -> Iterator[Photo]:
    position = 0
    for batch in _batches(place):
        if _COLUMN not in batch.schema.names:
            held = ", ".join(batch.schema.names)
            raise NoInputError(
                f"{printable(place.address)} has no column {_COLUMN}; it has {held}",
                f"call the column with the photos' addresses {_COLUMN}",
            )
        for address in batch.column(_COLUMN).to_pylist():
            yield Photo(_name_of(str(address or "")), str(address or ""), position)
            position += 1


def _batches(place: Place) -> Iterator[pa.RecordBatch]:
    system, path = place.opened()
    if system.get_file_info(path).type != arrow.FileType.File:
        raise NoInputError(f"{printable(place.address)} is not there")
    with system.open_input_file(path) as file:
        if path.endswith(".csv"):
            types = csv.ConvertOptions(column_types={_COLUMN: pa.string()})
            yield from csv.open_csv(file, convert_options=types)
        else:
            yield from parquet.ParquetFile(file).iter_batches(_ROWS)


def _name_of(address: str) -> str:
    """What a photo of a list is called: its address as a path that leads nowhere else."""
    _, mark, rest = address.partition("://")
    parts = (rest if mark else address).split("/")
    return "/".join(part for part in parts if part not in ("", ".", ".."))
