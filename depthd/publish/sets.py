"""Published sets: read, and removed as a whole.

For programs beside the daemon, which may run or not. Only what is the daemon's own is believed or
removed: who removes runs as its user, who reads may be another (`Place.owned_like`). Knows names,
places and files; no configuration.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from depthd.contract.formats import FORMATS, Format
from depthd.contract.names import SetName, readable
from depthd.publish.places import Place, Places, safe_forms
from depthd.publish.reading import about_plain, listed_hashes, read_ours
from depthd.system import files


@dataclass(frozen=True)
class SetFile:
    """One result of a set, `size` in bytes; it lies beside the manifest."""

    format: Format
    name: str
    size: int
    inode: int


@dataclass(frozen=True)
class Set:
    """A published set.

    Attributes:
        name: as the outbox has it, which may be the portable form.
        manifest: what it says; one of another version may say more or less than today's.
        files: those that it lists and that are there.
        size: bytes of all, the manifest too.
    """

    name: SetName
    manifest: Mapping[str, Any]
    files: tuple[SetFile, ...]
    size: int


def read_set(places: Places, name: SetName) -> Set | None:
    """The set of a name, or of the portable form of it; None where none of ours is published.

    Raises:
        OSError: the outbox cannot be read now.
    """
    with _published(places.outbox, name) as (found, _):
        return found


def remove_set(places: Places, name: SetName) -> bool:
    """Remove a set's results; False where there is no such set. The original stays in done/.

    The manifest goes first, so that none ever lists a file that is gone.

    Raises:
        OSError: not all could be removed.
    """
    with _published(places.outbox, name) as (found, folder):
        if found is None:
            return False
        os.unlink(found.name.manifest, dir_fd=folder)
        os.fsync(folder)
        for file in found.files:  # once the name is free, another set may get it
            about = about_plain(file.name, folder)
            if about is not None and about.st_ino == file.inode:
                files.unlink_if_exists(file.name, folder)
    return True


def remove_leftovers(places: Places, name: SetName, *, is_dry: bool = False) -> int:
    """Remove what a set without a manifest has left: it was taken away, or its removal cut short.

    Args:
        places: where.
        name: of a set whose original is in done/, so that no other can be about to get it.
        is_dry: only look.

    Returns:
        bytes.
    """
    owner, size = places.outbox.owner(), 0
    for form in safe_forms(name):
        with places.outbox.folder(form) as folder:
            if folder is None or files.exists(form.manifest, folder):
                continue
            for kind in FORMATS:
                about = about_plain(form.result(kind), folder)
                if about is not None and about.st_uid == owner:
                    size += about.st_size
                    if not is_dry:
                        files.unlink_if_exists(form.result(kind), folder)
    return size


@contextmanager
def _published(outbox: Place, name: SetName) -> Iterator[tuple[Set | None, int]]:
    """A set, and the handle of its folder."""
    owner = outbox.owner()
    for form in safe_forms(name):
        with outbox.folder(form) as folder:
            if folder is None:
                continue
            manifest = read_ours(form.manifest, folder, owner, "manifest")
            if manifest is None:
                continue
            listed = listed_hashes(manifest)
            names = {kind: form.result(kind) for kind in FORMATS}
            found = tuple(
                SetFile(kind, base, about.st_size, about.st_ino)
                for kind, base in names.items()  # never a name that only the manifest knows
                if readable(base) in listed
                and (about := about_plain(base, folder)) is not None
                and about.st_uid == owner
            )
            about = about_plain(form.manifest, folder)
            size = sum(file.size for file in found) + (about.st_size if about else 0)
            yield Set(form, manifest, found, size), folder
            return
    yield None, -1
