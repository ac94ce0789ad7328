"""What the kernel reports, from watchdog's thread to the loop.

Callbacks only put a note into a bounded queue and wake the loop; what a note means is decided in
`watch`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import NamedTuple

from watchdog.observers.inotify_c import (
    InotifyConstants,
    InotifyEvent,
    WatchCallback,
    WatchDescriptor,
)

MAX_NOTES = 20_000

OPEN = InotifyConstants.IN_OPEN
FROM, TO = InotifyConstants.IN_MOVED_FROM, InotifyConstants.IN_MOVED_TO
CREATE, CLOSE = InotifyConstants.IN_CREATE, InotifyConstants.IN_CLOSE_WRITE
IS_FOLDER, ENDED = InotifyConstants.IN_ISDIR, InotifyConstants.IN_IGNORED
OVERFLOW = InotifyConstants.IN_Q_OVERFLOW


class Note(NamedTuple):
    """An event as the kernel tells it."""

    watch: int
    mask: int
    cookie: int = 0
    name: bytes = b""


class Notes:
    """What was reported and not yet looked at; the only thing that threads share."""

    def __init__(self, wake: Callable[[], None], limit: int = MAX_NOTES) -> None:
        self._wake = wake
        self._limit = limit
        self._queue: deque[Note] = deque()
        self._overflowed = False
        self._is_awake = False

    def __len__(self) -> int:
        return len(self._queue) + self._overflowed

    def add(self, note: Note) -> None:
        """Called on watchdog's thread: never blocks, never raises."""
        if note.mask & OVERFLOW or len(self._queue) >= self._limit:
            self._overflowed = True
        else:
            self._queue.append(note)
        # A photo that leaves, as each claimed one does, can wait for the next occasion.
        if not self._is_awake and not (note.mask & FROM and not note.mask & IS_FOLDER):
            self._is_awake = True
            with suppress(OSError):
                self._wake()

    def __iter__(self) -> Iterator[Note]:
        """Take notes out, one after the other, until there is none."""
        self._is_awake = False  # before the first is taken out, so that no later one is missed
        while True:
            if self._overflowed:
                self._overflowed = False
                yield Note(-1, OVERFLOW)
            elif self._queue:
                yield self._queue.popleft()
            else:
                return


class Ears(WatchCallback):
    """What watchdog's thread calls."""

    def __init__(self, notes: Notes) -> None:
        self._notes = notes
        self.is_deaf = False

    def on_event(self, event: InotifyEvent) -> None:
        if not self.is_deaf:
            self._notes.add(Note(event.wd, event.mask, event.cookie, event.name))

    def on_watch_deleted(self, wd: WatchDescriptor) -> None:
        if not self.is_deaf:
            self._notes.add(Note(wd, ENDED))

    def on_queue_overflow(self) -> None:
        self._notes.add(Note(-1, OVERFLOW))
