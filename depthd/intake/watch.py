"""Native events: watchdog, held so that it cannot hurt.

Callbacks only put a note into a bounded queue and wake the loop; what a note means is decided
elsewhere. Three of watchdog's ways are changed here:

* renames out of the inbox are not asked for: each would hold back the events behind it for half
  a second, and every claimed photo is one;
* writes, reads and attributes are not asked for either: a look at settling time shows them;
* the kernel's queue overflow and the end of the inbox are reported.
"""

from __future__ import annotations

import logging
import os
import threading
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any

from watchdog.events import (
    DirCreatedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers.inotify import InotifyFullEmitter, InotifyObserver, InotifyWatchGroup
from watchdog.observers.inotify_c import InotifyConstants, Mask

if TYPE_CHECKING:
    from watchdog.observers.inotify_c import InotifyEvent, WatchDescriptor

MAX_NOTES = 20_000
_SILENT = logging.NullHandler()


class Kind(Enum):
    WHOLE = "a file was closed by its writer, or moved to its name"
    FOLDER = "a folder was made or moved here; what is in it may have come unseen"
    OVERFLOW = "events were lost"
    LOST = "the watched folder is gone"
    BROKEN = "watchdog lost track of its folders"
    BLIND = "not every folder can be watched"


@dataclass(frozen=True, slots=True)
class Note:
    kind: Kind
    name: str = ""  # inside the inbox


class Notes:
    """What was reported and not yet looked at; the only thing that threads share."""

    def __init__(self, wake: Callable[[], None], limit: int = MAX_NOTES) -> None:
        self._wake = wake
        self._limit = limit
        self._queue: deque[Note] = deque()
        self._overflowed = False

    def __len__(self) -> int:
        return len(self._queue) + self._overflowed

    def add(self, note: Note) -> None:
        """Called on watchdog's threads: never blocks, never raises."""
        if note.kind is Kind.OVERFLOW or len(self._queue) >= self._limit:
            is_first = not self._overflowed
            self._overflowed = True
        else:
            self._queue.append(note)
            is_first = len(self._queue) == 1
        if is_first:
            with suppress(OSError):
                self._wake()

    def __iter__(self) -> Iterator[Note]:
        """Take notes out, one after the other, until there is none."""
        while True:
            if self._overflowed:
                self._overflowed = False
                yield Note(Kind.OVERFLOW)
            elif self._queue:
                yield self._queue.popleft()
            else:
                return


class Watcher:
    """Watches one folder from its creation on until `stop`.

    Args:
        folder: absolute path without a symlink in its last part.
        recursive: also watch sub-folders.
        notes: where reports go.

    Raises:
        OSError: ENOSPC or EMFILE at the kernel's limits, or the folder cannot be watched.
    """

    def __init__(self, folder: str, *, recursive: bool, notes: Notes) -> None:
        logging.getLogger("watchdog").addHandler(_SILENT)  # what matters is reported as a note
        # A folder renamed inside the inbox is watched again under its new name, as it should be.
        warnings.filterwarnings("ignore", "Callback with id", RuntimeWarning)
        self._observer = _Observer(notes)
        try:
            self._observer.schedule(
                _Handler(folder, notes),
                folder,
                recursive=recursive,
                event_filter=[FileClosedEvent, FileMovedEvent, DirCreatedEvent, DirMovedEvent],
            )
            self._observer.start()
        except Exception:
            self.stop()
            raise

    @property
    def is_alive(self) -> bool:
        """Whether every thread that a report passes through is there."""
        return self._observer.is_whole()

    def stop(self, patience: float = 2.0) -> None:
        """End all threads; those that do not end in time are left behind as daemons.

        Args:
            patience: seconds to wait for them; watchdog's own joins have no deadline.
        """
        stopping = threading.Thread(target=self._end, daemon=True)
        stopping.start()
        stopping.join(patience)

    def _end(self) -> None:
        self._observer.stop()
        if self._observer.is_alive():
            self._observer.join()


class _Handler(FileSystemEventHandler):
    def __init__(self, folder: str, notes: Notes) -> None:
        self._skip = len(folder.rstrip("/")) + 1
        self._notes = notes

    def dispatch(self, event: FileSystemEvent) -> None:
        path = os.fsdecode(event.dest_path or event.src_path)
        kind = Kind.FOLDER if event.is_directory else Kind.WHOLE
        self._notes.add(Note(kind, path[self._skip :]))


class _Observer(InotifyObserver):
    def __init__(self, notes: Notes) -> None:
        super().__init__()
        self._emitter_class = _Emitter
        self._emitter_kwargs["notes"] = notes

    def is_whole(self) -> bool:
        return (
            self.is_alive()
            and self._inotify_fd.is_alive()
            and bool(self.emitters)
            and all(emitter.is_alive() for emitter in self.emitters)
        )


class _Emitter(InotifyFullEmitter):
    """Reports a move to a name as a move even when it came from outside."""

    def __init__(self, *args: Any, notes: Notes, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._notes = notes

    def on_thread_start(self) -> None:
        self._inotify = _Group(
            self._inotify_fd,
            os.fsencode(self.watch.path),
            Mask(self.get_event_mask_from_filter() & ~InotifyConstants.IN_MOVED_FROM),
            self.watch.is_recursive,
            notes=self._notes,
        )


@dataclass
class _Group(InotifyWatchGroup):
    """The kernel's watches of the folder and all below it."""

    notes: Notes = field(kw_only=True)
    is_blind: bool = field(default=False, init=False)  # and said so

    def on_event(self, event: InotifyEvent) -> None:
        if event.is_create and not event.is_directory:  # a new file is not a whole one
            return
        with self._reporting():
            super().on_event(event)

    def on_watch_deleted(self, wd: WatchDescriptor) -> None:
        if self._active_callbacks_by_watch.get(wd) == self.path:
            self.notes.add(Note(Kind.LOST))
        with self._reporting():
            super().on_watch_deleted(wd)

    def on_queue_overflow(self) -> None:
        with self._reporting():
            super().on_queue_overflow()  # watches of new folders come before the scan of them
        self.notes.add(Note(Kind.OVERFLOW))

    def _add_callback(self, path: bytes) -> None:
        super()._add_callback(path)  # which keeps quiet when the kernel's limit is reached
        is_watched = path in self._active_callbacks_by_path
        if not is_watched and not self.is_blind and os.path.isdir(path):
            self.is_blind = True
            self.notes.add(Note(Kind.BLIND))

    @contextmanager
    def _reporting(self) -> Iterator[None]:
        """An error here would end the only thread that reads events."""
        try:
            yield
        except Exception:  # noqa: BLE001 - say, a folder that was moved out and made again
            self.notes.add(Note(Kind.BROKEN))
