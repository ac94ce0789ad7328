"""Outbox, done and failed as one: which names are free there, and which a disk does not take.

The set of a photo has one name in all three. Knows folders and names, nothing of contents.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

from depthd.contract.formats import ERROR_SUFFIX, MANIFEST_SUFFIX
from depthd.contract.names import SetName
from depthd.publish.reading import read_ours
from depthd.system import files
from depthd.system.private import PrivateFolder

_T = TypeVar("_T")
_NO_FOLDER = frozenset({errno.ENOENT, *files.NOT_FOLLOWED, *files.REFUSED_NAME})


class Place:
    """One of the three folders.

    Args:
        root: its path.
        owned_like: a folder of the daemon's own, for a process that only looks, as whatever user:
            nothing is made here.

    Attributes:
        root: its path.
        private: our own folder in it, for files that have no name yet.
    """

    def __init__(self, root: Path, *, owned_like: Path | None = None) -> None:
        self.root = root
        self.private = PrivateFolder(root)
        self._owned_like = owned_like

    @contextmanager
    def make_folder(self, name: SetName, *, ours_only: bool = False) -> Iterator[int]:
        """Handle of a set's folder, made where it is missing with the rights of the root.

        Args:
            name: of the set.
            ours_only: folders that somebody else has made will not do.

        Raises:
            OSError: ENOTDIR where it is somebody else's; else as of `files.open_beneath`.
        """
        mode = files.folder_mode(self.root)
        owners = self._owners(name) if ours_only else None
        with files.beneath(self.root, name.folders, create_mode=mode, owners=owners) as folder:
            yield folder

    @contextmanager
    def folder(self, name: SetName, *, ours_only: bool = False) -> Iterator[int | None]:
        """Handle of a set's folder, or None where there is no such folder."""
        owners = self._owners(name) if ours_only else None
        try:
            handle = files.open_beneath(self.root, name.folders, owners=owners)
        except OSError as error:
            if error.errno not in _NO_FOLDER:
                raise
            yield None
            return
        try:
            yield handle
        finally:
            os.close(handle)

    def _owners(self, name: SetName) -> set[int]:
        """User ids of whoever may have made a folder of ours here."""
        return {0, os.stat(self.root).st_uid, self.owner()} if name.folders else set()

    def holds(self, name: SetName, *suffixes: str) -> bool:
        """Whether one of the set's names is taken here."""
        with self.folder(name) as folder:
            return folder is not None and any(
                files.exists(name.base + suffix, folder) for suffix in suffixes
            )

    def path(self, name: SetName) -> str:
        """Where a set's files would lie, without their suffix."""
        return f"{self.root}/{name.path}"

    def owner(self) -> int:
        """The user id that the daemon's own files have here.

        Raises:
            OSError: the folder cannot be written; of one who only looks, the daemon's own folder
                is not there.
        """
        if self._owned_like is not None:
            return self._owner_by_looks(os.stat(self._owned_like).st_uid)
        with self.private.open() as handle:
            return os.fstat(handle).st_uid

    def _owner_by_looks(self, daemon: int) -> int:
        """The daemon's user id, or that which its files have where a disk knows no owners.

        There the private folder has the same owner as everything else.
        """
        try:
            owner = os.stat(self.root / self.private.name, follow_symlinks=False).st_uid
        except OSError:
            return daemon
        return owner if owner == os.stat(self.root).st_uid else daemon

    def probe(self, size: int) -> None:
        """Write, sync and remove a file of so many bytes.

        Raises:
            OSError: the folder as a whole cannot be used now.
        """
        with self.private.open() as handle:
            files.probe(handle, size)


class Places:
    """The three folders together.

    Args:
        outbox: results.
        done: originals that were processed; None where there is no such folder.
        failed: originals that were not.
        owned_like: as of `Place`.
    """

    def __init__(
        self,
        outbox: Path,
        done: Path | None = None,
        failed: Path | None = None,
        *,
        owned_like: Path | None = None,
    ) -> None:
        self.outbox = Place(outbox, owned_like=owned_like)
        self.done = Place(done, owned_like=owned_like) if done else None
        self.failed = Place(failed, owned_like=owned_like) if failed else None

    @property
    def all(self) -> tuple[Place, ...]:
        return tuple(place for place in (self.outbox, self.done, self.failed) if place)

    def is_taken(self, name: SetName) -> bool:
        """Whether another photo's set has this name, in whichever form a disk takes."""
        return any(self._may_be_taken(form) and self._is_taken(form) for form in forms(name))

    def _may_be_taken(self, name: SetName) -> bool:
        """A quick look, which may follow a symlink: where it finds nothing, there is nothing."""
        suffixes = {
            self.outbox: (MANIFEST_SUFFIX,),
            self.done: ("",),
            self.failed: ("", ERROR_SUFFIX),
        }
        return any(
            os.path.lexists(place.path(name) + suffix)
            for place in self.all
            for suffix in suffixes[place]
        )

    def _is_taken(self, form: SetName) -> bool:
        return (
            self.outbox.holds(form, MANIFEST_SUFFIX)
            or (self.done is not None and self.done.holds(form, ""))
            or self.is_taken_by_failure(form)
        )

    def is_taken_by_failure(self, name: SetName) -> bool:
        """Whether failed/ has a photo of exactly this name.

        A reason without its photo is left of one that was put back into the inbox.
        """
        return self.failed is not None and self.is_taken_beside_note(
            self.failed, name, ERROR_SUFFIX, "error"
        )

    @staticmethod
    def is_taken_beside_note(place: Place, name: SetName, suffix: str, kind: str) -> bool:
        """Whether a place has a photo of exactly this name, or under its note's name another file.

        Args:
            place: done or failed.
            name: of the photo.
            suffix: of its note.
            kind: of its note.
        """
        with place.folder(name) as folder:
            if folder is None:
                return False
            if files.exists(name.base, folder):
                return True
            return files.exists(name.base + suffix, folder) and not _has_note_only(
                place, name, folder, suffix, kind
            )

    def forget_failure(self, name: SetName) -> None:
        """Remove the reason of an earlier failure of a photo that is done now."""
        if self.failed is None:
            return
        for form in forms(name):
            if not os.path.lexists(self.failed.path(form) + ERROR_SUFFIX):
                continue
            with self.failed.folder(form) as folder:
                if folder is not None and _has_note_only(
                    self.failed, form, folder, ERROR_SUFFIX, "error"
                ):
                    files.unlink_if_exists(form.error_note, folder)


def _has_note_only(place: Place, name: SetName, folder: int, suffix: str, kind: str) -> bool:
    note = read_ours(name.base + suffix, folder, place.owner(), kind)
    return note is not None and not files.exists(name.base, folder)


@lru_cache(maxsize=256)
def forms(name: SetName) -> tuple[SetName, ...]:
    """A name as it is, and where that differs the form that every file system takes."""
    portable = name.portable()
    return (name,) if portable == name else (name, portable)


def safe_forms(name: SetName) -> tuple[SetName, ...]:
    """`forms` of a name that somebody gives; none of a hidden one or one that leads elsewhere."""
    parts = (*name.folders, name.base)
    if any(not part or part.startswith(".") or {"/", "\0"} & set(part) for part in parts):
        return ()
    try:
        os.fsencode(name.path)
    except UnicodeEncodeError:  # no file has such a name
        return ()
    return forms(name)


def under_accepted_name(name: SetName, action: Callable[[SetName], _T]) -> _T:
    """Do something under a name, or where the file system refuses it under its portable form."""
    for form in forms(name)[:-1]:
        try:
            return action(form)
        except OSError as error:
            if error.errno not in files.REFUSED_NAME:
                raise
    return action(forms(name)[-1])
