"""One set away, as a whole. Whatever has changed since it was looked at stays.

The order: manifest, results, original; reasons go after their photos. So a pass that is cut short
leaves what the next one finds: an original in done/, or a reason in failed/.
"""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from depthd.contract.formats import SKIPPED_SUFFIX
from depthd.contract.names import SetName
from depthd.publish.places import Places
from depthd.publish.reading import about_plain, read_ours
from depthd.publish.sets import Set, read_set, remove_leftovers, remove_set
from depthd.retention.items import Identity, Item, Kind
from depthd.spool import original_path
from depthd.system import files
from depthd.system.locks import locked

_LOCK = ".retention.lock"


def alone(state: Path) -> AbstractContextManager[None]:
    """Nobody moves or removes a photo that is done meanwhile: neither a pass nor `requeue`."""
    return locked(state / _LOCK)


@dataclass(frozen=True)
class Gone:
    """What went: bytes, those in the outbox, and the job whose it was as far as that is known."""

    size: int
    results: int = 0
    job: str = ""


@dataclass(frozen=True)
class Remover:
    """Removes, or says what it would remove.

    Args:
        places: outbox, done and failed.
        work: the folder work/, in which nobody touches anything.
        log: the folder log/.
        state: the folder state/.
        is_dry: nothing is changed.
    """

    places: Places
    work: Path
    log: Path
    state: Path
    is_dry: bool = False

    def remove(self, item: Item) -> Gone | None:
        """Remove one thing; None where it is not there any more, or is another one now.

        Raises:
            OSError: it could not be removed, or not the whole of it.
        """
        match item.kind:
            case Kind.DONE:
                with alone(self.state):
                    return self._done(item)
            case Kind.FAILED:
                return self._failed(item)
            case Kind.LOG:
                with files.directory(self.log) as folder:
                    size = self._unlink(item.name.base, item.original, folder)
                    return None if size is None else Gone(size)

    def _done(self, item: Item) -> Gone | None:
        done, name = self.places.done, item.name
        if done is None:
            return None
        with done.folder(name, ours_only=True) as folder:
            about = None if folder is None else about_plain(name.base, folder)
            if (None if about is None else Identity.of(about)) != item.original:
                return None
            found = read_set(self.places, name)
            job = str(found.manifest.get("job")) if found else ""
            if self._has(job):
                return None
            size = results = self._results(item, found)
            if folder is not None:
                if item.original is not None:
                    size += self._unlink(name.base, item.original, folder) or 0
                size += self._skipped(name, folder, done.owner())
            return Gone(size, results, job) if size else None

    def _results(self, item: Item, found: Set | None) -> int:
        """Bytes of results that went."""
        if found is None:
            if item.original is None:  # another photo may be about to get this name
                return 0
            return remove_leftovers(self.places, item.name, is_dry=self.is_dry)
        if not self.is_dry:
            remove_set(self.places, item.name)
        return found.size

    def _skipped(self, name: SetName, folder: int, owner: int) -> int:
        """Bytes of a note that says why there are no results."""
        base = name.base + SKIPPED_SUFFIX
        note = read_ours(base, folder, owner, "skipped")
        about = about_plain(base, folder)
        if note is None or about is None or self._has(str(note.get("job"))):
            return 0
        return self._unlink(base, Identity.of(about), folder) or 0

    def _has(self, job: str) -> bool:
        """Whether a job is at work."""
        is_plain = job and "/" not in job and not job.startswith(".")
        return bool(is_plain) and os.path.lexists(original_path(self.work, job))

    def _failed(self, item: Item) -> Gone | None:
        failed = self.places.failed
        if failed is None:
            return None
        with failed.folder(item.name, ours_only=True) as folder:
            if folder is None:
                return None
            note = read_ours(item.name.error_note, folder, failed.owner(), "error")
            about = about_plain(item.name.base, folder)
            known = about_plain(item.name.error_note, folder)
            if note is None or known is None:
                return None
            if (None if about is None else Identity.of(about)) != item.original:
                return None
            job = str(note.get("job"))
            if self._has(job):  # the reason comes first, its photo follows
                return None
            size = 0
            if item.original is not None:
                size += self._unlink(item.name.base, item.original, folder) or 0
            size += self._unlink(item.name.error_note, Identity.of(known), folder) or 0
            return Gone(size, job=job)

    def _unlink(self, base: str, meant: Identity | None, folder: int) -> int | None:
        about = about_plain(base, folder)
        if about is None or Identity.of(about) != meant:
            return None
        # Whoever exchanges the file now must be free to take that name away himself: in these
        # folders, with their sticky bit, only the file's owner is. He loses what he has put there,
        # or one name of a file that has others, never what is somebody else's.
        if not self.is_dry:
            os.unlink(base, dir_fd=folder)
        return about.st_size
