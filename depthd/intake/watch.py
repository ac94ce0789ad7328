"""Native events: which of the inbox's folders are watched, and what their events mean.

watchdog's reading thread only puts notes into a bounded queue and wakes the loop; everything else
happens on the loop. watchdog's own recursion is not used: it walks the whole tree at once, and
takes all watches that the kernel has. Here each scan brings the folders that it enters, and

* a folder below the inbox gets so many watches and no more; the rest of it is to be polled;
* a folder is watched by its handle, never through a symlink;
* both ends of a rename are asked for: a photo that comes from a partial name or from elsewhere is
  whole, one that merely changes its name need not be;
* writes, reads and attributes are not asked for: a look at settling time shows them.
"""

from __future__ import annotations

import errno
import logging
import os
import threading
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import suppress
from enum import Enum
from pathlib import Path
from typing import NamedTuple

from watchdog.observers.inotify_c import (
    CallbackId,
    InotifyConstants,
    InotifyFD,
    Mask,
    WatchDescriptor,
)

from depthd.intake.candidate import top_of
from depthd.intake.notes import (
    CLOSE,
    CREATE,
    ENDED,
    FROM,
    IS_FOLDER,
    OPEN,
    OVERFLOW,
    TO,
    Ears,
    Note,
    Notes,
)
from depthd.intake.rights import Folder
from depthd.intake.watched import Node, Tree

WATCHES_PER_TOP = 2048  # for each folder just below the inbox, with all that is in it
_WATCHES = 32_768  # in all; half of them only for folders just below the inbox
_BLIND = 1000  # folders below the inbox that are polled one by one
_RENAMES = 64  # whose other half may still come
_SILENT = logging.NullHandler()

_MASK = Mask(
    CLOSE
    | FROM
    | TO
    | CREATE
    | InotifyConstants.IN_DELETE_SELF
    | InotifyConstants.IN_ONLYDIR
    | InotifyConstants.IN_EXCL_UNLINK
)


class Kind(Enum):
    CLOSED = "a file was closed by its writer, or only changed its name"
    DONE = "a file got its name from a writer that was done"
    NAMED = "a file got a name: a new file, or a hard link"
    FOLDER = "a folder was made or moved here; what is in it may have come unseen"
    OVERFLOW = "events were lost"
    LOST = "the watched folder is gone"
    PROBE = "the probe was reported: events work here"


class Happening(NamedTuple):
    kind: Kind
    name: str = ""  # inside the inbox


class Watcher:
    """Watches the inbox from its creation on until `stop`; its folders as `watch` is told them.

    Args:
        inbox: an open handle of the inbox; not needed any longer afterwards.
        wake: makes the loop call `happenings` soon; called from another thread.
        is_photo: whether a file of this name is a photo, and not the beginning of one.

    Raises:
        OSError: ENOSPC or EMFILE at the kernel's limits, or the folder cannot be watched.
    """

    def __init__(
        self, inbox: int, wake: Callable[[], None], is_photo: Callable[[str], bool]
    ) -> None:
        logging.getLogger("watchdog").addHandler(_SILENT)  # what matters is reported as a note
        # A folder renamed inside the inbox is watched again under its new name, as it should be.
        warnings.filterwarnings("ignore", "Callback with id", RuntimeWarning)
        self.notes = Notes(wake)
        self._is_photo = is_photo
        self._ears = Ears(self.notes)
        self._reader = InotifyFD()
        self._reader.start()
        try:
            folder = Folder.of(inbox)
            self._tree = Tree(self._add(inbox, _MASK), (folder.device, folder.inode))
        except Exception:
            self.stop()
            raise
        self._budget = _budget()
        self._is_exhausted = False
        self._sources: OrderedDict[int, str] = OrderedDict()  # renamed files by cookie: old names
        self._moving: dict[int, Node] = {}  # the same for folders
        self.blind: dict[str, str] = {}  # folders below the inbox that need polling, and why
        self.is_overwhelmed = False  # there are more of them than are remembered

    @property
    def is_alive(self) -> bool:
        """Whether the thread that every report passes through is there."""
        return self._reader.is_alive() and self._reader.should_keep_running()

    def stop(self, patience: float = 2.0) -> None:
        """End the thread and all watches.

        Args:
            patience: seconds to wait for it; with 0 it ends on its own time.
        """
        self._ears.is_deaf = True
        stopping = threading.Thread(target=self._end, daemon=True)
        stopping.start()
        if patience:
            stopping.join(patience)

    def _end(self) -> None:
        self._reader.stop()
        self._reader.join()

    def probe(self, inbox: Path) -> None:
        """Do something that must be reported: open the inbox itself. Nothing is written.

        Raises:
            OSError: the inbox cannot be opened.
        """
        handle = os.open(inbox, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self._add(handle, Mask(_MASK | OPEN))
            os.close(os.open(inbox, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
        finally:
            os.close(handle)

    def end_probe(self, inbox: Path) -> None:
        """Opening is not to be reported any more."""
        with suppress(OSError):
            handle = os.open(inbox, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                self._add(handle, _MASK)
            finally:
                os.close(handle)

    def watch(self, path: str, folder: Folder) -> None:
        """A scan enters this folder: watch it from now on, or remember that it needs polling."""
        top = top_of(path)
        if not path or top in self.blind:
            return
        if self._tree.watches(path, (folder.device, folder.inode)):
            return
        if (why := self._shortage(path, top) or self._try(path, folder)) is None:
            return
        if len(self.blind) < _BLIND:
            self.blind[top] = why
        else:
            self.is_overwhelmed = True

    def look_anew(self, top: str) -> None:
        """A folder below the inbox (or all) is about to be scanned: watch more if possible."""
        self._is_exhausted = False
        if top:
            self.blind.pop(top, None)
        else:
            self.is_overwhelmed = False

    def _shortage(self, path: str, top: str) -> str | None:
        if self._is_exhausted:
            return "the kernel gives no more watches"
        if self._tree.size_of(top) >= WATCHES_PER_TOP:
            return f"it holds more than {WATCHES_PER_TOP} folders"
        if len(self._tree) >= (self._budget if path == top else self._budget // 2):
            return f"{len(self._tree)} folders are watched already"
        return None

    def _try(self, path: str, folder: Folder) -> str | None:
        try:
            number = self._add(folder.handle, _MASK)
        except OSError as error:
            self._is_exhausted = error.errno in {errno.ENOSPC, errno.ENOMEM}
            return str(error.strerror)
        if number < 0:  # watchdog passes over EACCES
            return "it may not be watched"
        replaced = self._tree.add(path, number, (folder.device, folder.inode))
        self._forget(replaced)
        return None if number not in replaced else "the folder that holds it is not watched"

    def happenings(self) -> Iterator[Happening | None]:
        """What the notes mean, one after the other; None for a note that means nothing."""
        for note in self.notes:
            yield self._read(note)
        for node in self._moving.values():  # they left the inbox
            self._forget(self._tree.cut(node))
        self._moving.clear()

    def _read(self, note: Note) -> Happening | None:
        if note.mask & OVERFLOW:
            self._tree.doubt()
            return Happening(Kind.OVERFLOW)
        node = self._tree.get(note.watch)
        if node is None:
            return None
        if note.mask & ENDED:
            if node is self._tree.root:
                return Happening(Kind.LOST) if self.is_alive else None
            self._forget(self._tree.cut(node), but=note.watch)
        elif note.name:
            return self._read_name(note, node)
        elif note.mask & OPEN and node is self._tree.root:
            return Happening(Kind.PROBE)
        return None

    def _read_name(self, note: Note, node: Node) -> Happening | None:
        base = os.fsdecode(note.name)
        path = self._tree.path(node)
        name = f"{path}/{base}" if path else base
        if note.mask & OPEN:
            return None
        if note.mask & IS_FOLDER:
            return self._read_folder(note, node, base, name)
        return self._read_file(note, name)

    def _read_folder(self, note: Note, parent: Node, base: str, name: str) -> Happening | None:
        if note.mask & FROM:
            if (moved := parent.inner.get(base)) is not None:
                self._tree.detach(moved)
                self._moving[note.cookie] = moved
            return None
        moved = self._moving.pop(note.cookie, None) if note.mask & TO else None
        if moved is not None:
            self._forget(self._tree.move(moved, parent, base))
        return Happening(Kind.FOLDER, name)

    def _read_file(self, note: Note, name: str) -> Happening | None:
        if note.mask & FROM:
            self._sources[note.cookie] = name
            if len(self._sources) > _RENAMES:
                self._sources.popitem(last=False)
            return None
        if note.mask & TO:
            source = self._sources.pop(note.cookie, None)
            is_done = source is None or not self._is_photo(source)
            return Happening(Kind.DONE if is_done else Kind.CLOSED, name)
        if note.mask & CLOSE:
            return Happening(Kind.CLOSED, name)
        return Happening(Kind.NAMED, name) if note.mask & CREATE else None

    def _add(self, handle: int, mask: Mask) -> int:
        path = f"/proc/self/fd/{handle}".encode()
        return self._reader.add_callback(path, mask, self._ears, CallbackId(0))

    def _forget(self, watches: list[int], but: int = -1) -> None:
        """Take watches back from the kernel."""
        gone = [(WatchDescriptor(number), CallbackId(0)) for number in watches if number != but]
        with suppress(OSError):
            self._reader.remove_callbacks(gone)


def _budget() -> int:
    """Most watches that are taken; half of the kernel's are left to other programs."""
    with suppress(OSError, ValueError):
        limit = int(Path("/proc/sys/fs/inotify/max_user_watches").read_text(encoding="ascii"))
        return min(_WATCHES, max(1, limit // 2))
    return _WATCHES
