"""What lies in done, outbox, failed and log, and since when. Changes nothing.

People share these folders. Nothing counts but ordinary files under names that depthd gives, in
folders that are its own, reached by handles without following a link; and of when a photo was
finished its manifest tells, which only depthd can write, before the file times of its owner.
Memory is bounded by the folders inside one folder, however many files there are.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from depthd.contract.events import LOG_FILE
from depthd.contract.formats import ERROR_SUFFIX, MANIFEST_SUFFIX, SKIPPED_SUFFIX
from depthd.contract.names import MAX_DEPTH, SetName
from depthd.intake.patterns import Names
from depthd.publish.places import Place, Places, forms
from depthd.retention.items import Identity, Item, Kind
from depthd.system import files

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_MOST_FOLDERS = 100_000  # inside one; the others are found when these are gone
_MOST_UNREAD = 20
_EMPTY_FOR = 86_400.0  # seconds after which an empty folder goes

Folders = tuple[str, ...]


@dataclass
class Survey:
    """One look at everything.

    Args:
        places: outbox, done and failed.
        log: the folder log/.
        names: which names are photos, and which are passed over.
        tidies: whether folders that have long been empty are removed.

    Attributes:
        sizes, counts: bytes and number of what there is, by kind.
        unread: why something cannot be looked at, which holds up nothing else; the first of them.
    """

    places: Places
    log: Path
    names: Names
    tidies: bool = False
    sizes: dict[Kind, int] = field(default_factory=lambda: dict.fromkeys(Kind, 0))
    counts: dict[Kind, int] = field(default_factory=lambda: dict.fromkeys(Kind, 0))
    unread: list[OSError] = field(default_factory=list)

    def items(self) -> Iterator[Item]:
        """Everything, in no order; `sizes` and `counts` grow on the way."""
        yield from self._done()
        yield from self._results()
        yield from self._failed()
        yield from self._logs()

    def _done(self) -> Iterator[Item]:
        """Originals in done/, each with its manifest if that is still there."""
        if self.places.done is None:
            return
        owner = self.places.outbox.owner()
        with _Beside(self.places.outbox.root) as outbox:
            for folders, handle, entry in self._walk(self.places.done, ours_only=True):
                about = _stat(entry.name, handle)
                if about is None:
                    continue
                if entry.name.endswith(SKIPPED_SUFFIX):
                    if about.st_uid == owner:
                        self.sizes[Kind.DONE] += about.st_size
                        base = entry.name.removesuffix(SKIPPED_SUFFIX)
                        if base and _stat(base, handle) is None:  # its photo was taken away
                            yield Item(about.st_mtime, Kind.DONE, SetName(folders, base))
                    continue
                name = SetName(folders, entry.name)
                since = None
                for form in forms(name):
                    manifest = outbox.stat(form.folders, form.manifest)
                    if manifest is not None and manifest.st_uid == owner:
                        since = manifest.st_mtime
                        break
                if since is None and not self.names.wants(name.path):
                    continue  # somebody's, as far as anybody can tell
                self._count(Kind.DONE, about.st_size)
                yield Item(
                    about.st_ctime if since is None else since, Kind.DONE, name, Identity.of(about)
                )

    def _results(self) -> Iterator[Item]:
        """Sets in the outbox whose original is not in done/ any more."""
        owner = self.places.outbox.owner()
        done = self.places.done
        with _Beside(done.root if done else None) as originals:
            for folders, handle, entry in self._walk(self.places.outbox, ours_only=False):
                about = _stat(entry.name, handle)
                if about is None or about.st_uid != owner:
                    continue
                self.sizes[Kind.DONE] += about.st_size
                base = entry.name.removesuffix(MANIFEST_SUFFIX)
                if base == entry.name or not base:
                    continue
                if originals.stat(folders, base) is None:
                    self.counts[Kind.DONE] += 1
                    yield Item(about.st_mtime, Kind.DONE, SetName(folders, base))

    def _failed(self) -> Iterator[Item]:
        """Reasons of ours, with the photo if it is still there."""
        failed = self.places.failed
        if failed is None:
            return
        owner = failed.owner()
        for folders, handle, entry in self._walk(failed, ours_only=True):
            base = entry.name.removesuffix(ERROR_SUFFIX)
            if base == entry.name or not base:
                continue
            note = _stat(entry.name, handle)
            if note is None or note.st_uid != owner:
                continue
            photo = _stat(base, handle)
            self._count(Kind.FAILED, note.st_size + (photo.st_size if photo else 0))
            identity = Identity.of(photo) if photo else None
            yield Item(note.st_mtime, Kind.FAILED, SetName(folders, base), identity)

    def _logs(self) -> Iterator[Item]:
        """What logrotate and its like have made of the log; never the log itself."""
        try:
            with files.directory(self.log) as handle:
                for name in os.listdir(handle):
                    if not name.startswith((f"{LOG_FILE}.", f"{LOG_FILE}-")):
                        continue
                    about = _stat(name, handle)
                    if about is not None:
                        self._count(Kind.LOG, about.st_size)
                        yield Item(about.st_mtime, Kind.LOG, SetName((), name), Identity.of(about))
        except OSError as error:
            self._note(error, str(self.log))

    def _count(self, kind: Kind, size: int) -> None:
        self.sizes[kind] += size
        self.counts[kind] += 1

    # folders ---------------------------------------------------------------------------------

    def _walk(
        self, place: Place, *, ours_only: bool
    ) -> Iterator[tuple[Folders, int, os.DirEntry[str]]]:
        """Ordinary files below a place, each with the handle of its folder."""
        try:
            top = os.open(place.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            self._note(error, str(place.root))
            return
        try:
            owners = {0, os.fstat(top).st_uid, place.owner()}
            yield from self._walk_from(top, (), owners if ours_only else None, owners)
        finally:
            os.close(top)

    def _walk_from(
        self, folder: int, folders: Folders, wanted: set[int] | None, owners: set[int]
    ) -> Iterator[tuple[Folders, int, os.DirEntry[str]]]:
        inner: list[str] = []
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if self.names.skips("/".join((*folders, entry.name))):
                        continue
                    if entry.is_file(follow_symlinks=False):
                        yield folders, folder, entry
                    elif entry.is_dir(follow_symlinks=False) and len(inner) < _MOST_FOLDERS:
                        inner.append(entry.name)
        except OSError as error:
            self._note(error, _path(folder))
        for name in inner if len(folders) < MAX_DEPTH else ():
            with self._entered(name, folder, owners) as (handle, owner):
                if handle is not None and (wanted is None or owner in wanted):
                    yield from self._walk_from(handle, (*folders, name), wanted, owners)

    @contextmanager
    def _entered(
        self, name: str, folder: int, owners: set[int]
    ) -> Iterator[tuple[int | None, int]]:
        """Handle of an inner folder, and whose it is; it goes if it has long been empty."""
        try:
            handle = os.open(name, _FOLDER, dir_fd=folder)
        except OSError as error:
            self._note(error, os.path.join(_path(folder), name))
            yield None, -1
            return
        try:
            about = os.fstat(handle)
            yield handle, about.st_uid
        finally:
            os.close(handle)
        if self.tidies and about.st_uid in owners and _is_old(about):
            with suppress(OSError):  # it is not empty, or not ours to remove
                os.rmdir(name, dir_fd=folder)

    def _note(self, error: OSError, path: str) -> None:
        if not isinstance(error, files.GONE) and len(self.unread) < _MOST_UNREAD:
            error.filename = path
            self.unread.append(error)


class _Beside:
    """The folder of the same name in another place: the last one stays open."""

    def __init__(self, root: Path | None) -> None:
        self._root = root
        self._folders: Folders | None = None
        self._handle: int | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def stat(self, folders: Folders, base: str) -> os.stat_result | None:
        """What an ordinary file of a name is; None of anything else."""
        if folders != self._folders:
            self._close()
            self._folders = folders
            if self._root is not None:
                with suppress(OSError):
                    self._handle = files.open_beneath(self._root, folders)
        return None if self._handle is None else _stat(base, self._handle)

    def _close(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
        self._handle = self._folders = None


def _stat(name: str, folder: int) -> os.stat_result | None:
    try:
        about = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except OSError:
        return None
    return about if stat.S_ISREG(about.st_mode) else None


def _path(folder: int) -> str:
    return os.readlink(f"/proc/self/fd/{folder}")


def _is_old(about: os.stat_result) -> bool:
    return about.st_mtime < time.time() - _EMPTY_FOR
