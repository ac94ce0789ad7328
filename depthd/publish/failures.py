"""Photos in failed/: found.

For programs beside the daemon, which may run or not; only reasons of the user who runs them are
believed. Knows names, places and files; no configuration.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from depthd.contract.names import MAX_DEPTH, SetName, timestamp
from depthd.publish.places import Place
from depthd.publish.reading import read_ours
from depthd.system import files

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True)
class Failed:
    """A photo in failed/: its name there, the fault code, and a sentence."""

    name: SetName
    code: str
    reason: str


def failed_photos(
    failed: Place, skips: Callable[[str], bool] = lambda _: False
) -> Iterator[Failed | OSError]:
    """Every photo in failed/ that has a reason of ours beside it, in no order.

    Memory is bounded by the depth of folders, and time by what had failed when it began: a photo
    that is put back meanwhile and fails again is not told twice. Symlinks are not followed, hidden
    names are passed over. What cannot be looked at gives its error, with its name, in its place.

    Args:
        failed: the folder.
        skips: paths inside it, of files and folders, to be passed over as well.

    Raises:
        OSError: failed/ itself cannot be read.
    """
    began = timestamp(time.time())
    owner = failed.owner()
    with files.directory(failed.root) as top:
        for found in _plain_files(top, (), skips):
            if isinstance(found, OSError):
                yield found
                continue
            name, folder = found
            try:
                note = read_ours(name.error_note, folder, owner, "error")
            except OSError as error:
                yield _named(error, name)
                continue
            if note is None:
                continue
            if not began < str(note.get("failed")) <= timestamp(time.time()):  # a clock may jump
                yield Failed(name, str(note.get("code")), str(note.get("message")))


def _plain_files(
    folder: int, folders: tuple[str, ...], skips: Callable[[str], bool]
) -> Iterator[tuple[SetName, int] | OSError]:
    """Ordinary files in an open folder and all below, each with the handle of its folder."""
    with os.scandir(folder) as entries:
        for entry in entries:
            name = SetName(folders, entry.name)
            if entry.name.startswith(".") or skips(name.path):
                continue
            try:
                if entry.is_file(follow_symlinks=False):
                    yield name, folder
                elif entry.is_dir(follow_symlinks=False) and len(folders) < MAX_DEPTH:
                    inner = os.open(entry.name, _FOLDER, dir_fd=folder)
                    try:
                        yield from _plain_files(inner, (*folders, entry.name), skips)
                    finally:
                        os.close(inner)
            except files.GONE:
                continue
            except OSError as error:
                yield _named(error, name)


def _named(error: OSError, name: SetName) -> OSError:
    error.filename = name.path
    return error
