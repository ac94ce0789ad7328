"""Which names a folder of the daemon's holds, the newest first, kept in memory.

A thread of its own looks; folders that have not changed are not read again, and the time that
looking takes bounds how often it is done. Only names are believed here, not that they are sets:
that shows when one is opened. Knows files and names.
"""

from __future__ import annotations

import os
import stat
import threading
import time
from bisect import bisect_left
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from depthd.contract.formats import ERROR_SUFFIX
from depthd.contract.names import MAX_DEPTH, SetName
from depthd.publish.places import Place

_LOOK_EVERY = 1.0  # seconds
_SHARE = 0.1  # of the time, at most, is spent looking
_SETTLED = 2_000_000_000  # nanoseconds after which a folder's time tells of every change
_MOST = 500_000  # names; older ones than these are not shown
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

# When, in nanoseconds; the folder; the photo's own name. The order is that of time.
Entry = tuple[int, str, str]


def set_name(entry: Entry) -> SetName:
    """The name that an entry stands for."""
    _, folder, base = entry
    return SetName(tuple(folder.split("/")) if folder else (), base)


@dataclass(slots=True)
class _Folder:
    """What was seen of one: its time, the photos with theirs, the folders in it."""

    mark: tuple[int, int, int] = (0, 0, 0)  # device, inode, nanoseconds
    photos: dict[str, int] = field(default_factory=dict)
    inner: tuple[str, ...] = ()


@dataclass(frozen=True)
class Snapshot:
    """What there was at one time; never changed.

    Attributes:
        version: another one for other content.
        entries: the oldest first.
        folders: those that hold something, sorted; "" is the top.
        whole: whether everything has been looked at once.
    """

    version: int = 0
    entries: Sequence[Entry] = ()
    folders: tuple[str, ...] = ()
    whole: bool = False

    def choose(
        self, text: str = "", folder: str | None = None, span: tuple[int, int] | None = None
    ) -> Sequence[Entry]:
        """Entries that fit, the oldest first.

        Args:
            text: part of the name, whatever its letter case.
            folder: in it or below it; None is everywhere.
            span: first and last moment, in nanoseconds.
        """
        chosen: Sequence[Entry] = self.entries
        if span is not None:
            first, last = (bisect_left(self.entries, (moment, "", "")) for moment in span)
            chosen = chosen[first:last]
        if folder is not None:
            below = f"{folder}/"
            chosen = [e for e in chosen if e[1] == folder or e[1].startswith(below)]
        if text:
            wanted = text.casefold()
            chosen = [e for e in chosen if wanted in e[2].casefold() or wanted in e[1].casefold()]
        return chosen

    def find(self, entry: Entry) -> int | None:
        """Where it stands among the entries."""
        place = bisect_left(self.entries, entry)
        is_there = place < len(self.entries) and self.entries[place] == entry
        return place if is_there else None


class Index:
    """The names of one folder and all below.

    Args:
        place: outbox or failed.
        suffix: what follows the photo's name in the file that tells of it.
    """

    def __init__(self, place: Place, suffix: str) -> None:
        self._place = place
        self._suffix = suffix
        self._folders: dict[str, _Folder] = {}
        self._stop = threading.Event()
        self._first = threading.Event()
        self._owner = -1
        self.snapshot = Snapshot()

    def start(self) -> None:
        """Begin to look, in a thread that ends with `stop`."""
        threading.Thread(target=self._look_on, name="index", daemon=True).start()

    def stop(self) -> None:
        self._stop.set()

    def wait(self, seconds: float) -> Snapshot:
        """What is known, once all has been looked at or the time is over."""
        self._first.wait(seconds)
        return self.snapshot

    def entry(self, name: SetName) -> Entry | None:
        """The entry of a name."""
        folder = self._folders.get(name.folder)
        moment = folder.photos.get(name.base) if folder else None
        return None if moment is None else (moment, name.folder, name.base)

    def _look_on(self) -> None:
        while not self._stop.is_set():
            began = time.monotonic()
            with suppress(OSError):  # it is away; what was known stays until it is back
                self.look()
            self._first.set()
            took = time.monotonic() - began
            self._stop.wait(max(_LOOK_EVERY, took / _SHARE))

    def look(self) -> None:
        """Look once.

        Raises:
            OSError: the folder itself cannot be read.
        """
        owner = self._place.owner()
        if owner != self._owner:
            self._owner = owner
            self._folders.clear()
        seen: set[str] = set()
        top = os.open(self._place.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            changed = self._look_into(top, "", 0, seen)
        finally:
            os.close(top)
        for path in self._folders.keys() - seen:
            changed |= bool(self._folders.pop(path).photos)
        if changed or not self.snapshot.whole:
            self._publish(whole=True)

    def _look_into(self, handle: int, path: str, depth: int, seen: set[str]) -> bool:
        """Whether any photo in an open folder or below is new or gone."""
        seen.add(path)
        about = os.fstat(handle)
        mark = (about.st_dev, about.st_ino, about.st_mtime_ns)
        known = self._folders.setdefault(path, _Folder())
        changed = False
        if known.mark != mark:
            is_settled = time.time_ns() - about.st_mtime_ns > _SETTLED
            changed = self._read(handle, known)
            known.mark = mark if is_settled else (0, 0, 0)
            if changed and not self.snapshot.whole:
                self._publish(whole=False)
        for base in known.inner if depth < MAX_DEPTH else ():
            try:
                inner = os.open(base, _FOLDER, dir_fd=handle)
            except OSError:  # gone, or closed to us
                continue
            try:
                changed |= self._look_into(inner, f"{path}/{base}".lstrip("/"), depth + 1, seen)
            finally:
                os.close(inner)
        return changed

    def _read(self, handle: int, known: _Folder) -> bool:
        photos: dict[str, int] = {}
        inner: list[str] = []
        suffix, length = self._suffix, len(self._suffix)
        is_note = suffix == ERROR_SUFFIX
        with os.scandir(handle) as entries:
            for entry in entries:
                name = entry.name
                if name.startswith("."):
                    continue
                if not name.endswith(suffix) or (not is_note and name.endswith(ERROR_SUFFIX)):
                    if entry.is_dir(follow_symlinks=False):
                        inner.append(name)
                    continue
                base = name[:-length]
                # Of sets no name is taken twice; a photo that fails again has another note.
                moment = known.photos.get(base, 0) if not is_note else 0
                moment = moment or self._moment(name, handle)
                if moment:
                    photos[base] = moment
        changed = photos != known.photos
        if changed:
            known.photos = photos
        known.inner = tuple(sorted(inner))
        return changed

    def _moment(self, name: str, handle: int) -> int:
        """When a file of the daemon's own was written; 0 of any other."""
        try:
            about = os.stat(name, dir_fd=handle, follow_symlinks=False)
        except OSError:
            return 0
        is_ours = stat.S_ISREG(about.st_mode) and about.st_uid == self._owner
        return max(about.st_mtime_ns, 1) if is_ours else 0

    def _publish(self, *, whole: bool) -> None:
        entries = [
            (moment, path, base)
            for path, folder in self._folders.items()
            for base, moment in folder.photos.items()
        ]
        entries.sort()
        filled = tuple(sorted(path for path, folder in self._folders.items() if folder.photos))
        self.snapshot = Snapshot(
            self.snapshot.version + 1, entries[-_MOST:], filled, whole or self.snapshot.whole
        )
