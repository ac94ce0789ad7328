"""What the daemon has published or failed, looked at and never written.

A name from outside leads nowhere by itself: it is looked up step by step through the handles of
folders, no link is followed, and only what belongs to a set or a failure of the daemon's own is
opened. Knows places and names; nothing of requests.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from depthd.config import Config
from depthd.contract.formats import ERROR_SUFFIX, Format
from depthd.contract.names import SetName
from depthd.publish.places import Place, Places, safe_forms
from depthd.publish.reading import about_plain, read_ours
from depthd.publish.sets import Set, read_set
from depthd.system import files

_REMEMBERED = 10_000  # hashes
_PIECE = 1 << 20


@dataclass(frozen=True)
class Opened:
    """A file that is open for reading; whoever gets it closes it."""

    handle: int
    size: int
    modified: int  # nanoseconds
    name: str  # without folders

    @property
    def tag(self) -> str:
        """Another one for other content."""
        return f'"{self.modified:x}-{self.size:x}"'


@dataclass(frozen=True)
class Failure:
    """A photo in failed/ and what its reason says."""

    name: SetName
    note: Mapping[str, Any]


class Results:
    """Outbox, done and failed of one daemon."""

    def __init__(self, config: Config) -> None:
        state = config.folder("state")
        self.places = Places(
            *(config.folder(name) for name in ("outbox", "done", "failed")), owned_like=state
        )
        self._hashes: dict[tuple[int, ...], str] = {}  # of originals, as they were looked at

    def set(self, name: SetName) -> Set | None:
        """A published set.

        Raises:
            OSError: the outbox cannot be read now.
        """
        return read_set(self.places, name)

    def open_result(self, found: Set, kind: Format) -> Opened | None:
        """One of its files."""
        listed = next((file for file in found.files if file.format is kind), None)
        if listed is None:
            return None
        outbox = self.places.outbox
        owner = outbox.owner()
        return _open(outbox, found.name, listed.name, lambda about: about.st_uid == owner)

    def open_manifest(self, found: Set) -> Opened | None:
        outbox = self.places.outbox
        owner = outbox.owner()
        return _open(outbox, found.name, found.name.manifest, lambda about: about.st_uid == owner)

    def open_original(self, found: Set) -> Opened | None:
        """The photo of a set in done/; None where it was taken away.

        It lies under the set's name, in whichever form that disk takes, or in the top folder where
        somebody else owns its own. It belongs to whoever has sent it, so only its hash tells that
        it is the one.
        """
        source = found.manifest.get("source")
        if self.places.done is None or not isinstance(source, Mapping):
            return None
        size, sha256 = source.get("size"), source.get("sha256")
        names = [found.name, SetName((), found.name.base), SetName.of(str(source.get("name")))]
        for name in names:
            for form in safe_forms(name):
                opened = _open(
                    self.places.done, form, form.base, lambda about: about.st_size == size
                )
                if opened is None:
                    continue
                with ExitStack() as stack:
                    stack.callback(os.close, opened.handle)
                    if self._hash(opened) == sha256:
                        stack.pop_all()
                        return opened
        return None

    def _hash(self, opened: Opened) -> str:
        about = os.fstat(opened.handle)
        mark = (about.st_dev, about.st_ino, about.st_size, about.st_ctime_ns)
        if (known := self._hashes.get(mark)) is None:
            if len(self._hashes) >= _REMEMBERED:
                self._hashes.clear()
            known = self._hashes[mark] = _sha256(opened)
        return known

    def failure(self, name: SetName) -> Failure | None:
        """A photo in failed/ with a reason of the daemon's beside it.

        Raises:
            OSError: failed/ cannot be read now.
        """
        failed = self._failed()
        owner = failed.owner()
        for form in safe_forms(name):
            if form.base.endswith(ERROR_SUFFIX):
                continue
            with failed.folder(form) as folder:
                if folder is None or about_plain(form.base, folder) is None:
                    continue
                note = read_ours(form.error_note, folder, owner, "error")
                if note is not None:
                    return Failure(form, note)
        return None

    def open_failed(self, failure: Failure) -> Opened | None:
        return _open(self._failed(), failure.name, failure.name.base, lambda _: True)

    def may_take(self, failure: Failure) -> bool:
        """Whether this process may move a photo out of failed/, as far as rights tell."""
        with self._failed().folder(failure.name) as folder:
            if folder is None:
                return False
            about, photo = os.fstat(folder), about_plain(failure.name.base, folder)
            if photo is None or not os.access(
                ".", os.W_OK | os.X_OK, dir_fd=folder, effective_ids=True
            ):
                return False
            is_sticky = bool(about.st_mode & stat.S_ISVTX)
            return not is_sticky or os.geteuid() in {0, about.st_uid, photo.st_uid}

    def _failed(self) -> Place:
        if self.places.failed is None:
            raise ValueError("there is a failed/")
        return self.places.failed


def _open(
    place: Place, name: SetName, base: str, is_it: Callable[[os.stat_result], bool]
) -> Opened | None:
    try:
        with place.folder(name) as folder:
            if folder is None:
                return None
            handle = files.open_regular(base, folder)
    except OSError:  # gone, not readable, exchanged for something else
        return None
    about = os.fstat(handle)
    if not is_it(about):
        os.close(handle)
        return None
    return Opened(handle, about.st_size, about.st_mtime_ns, base)


def _sha256(opened: Opened) -> str:
    digest, position = hashlib.sha256(), 0
    while piece := os.pread(opened.handle, min(_PIECE, opened.size - position), position):
        digest.update(piece)
        position += len(piece)
    return digest.hexdigest()


@contextmanager
def closing(opened: Opened) -> Iterator[Opened]:
    """Close it at the end."""
    try:
        yield opened
    finally:
        os.close(opened.handle)
