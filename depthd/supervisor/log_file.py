"""log/depthd.jsonl: lines appended to a file that is rotated, removed, or on a full disk.

Nothing that happens to the file reaches the caller: lines that cannot be written are counted.
"""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path

from depthd.contract.errors import words_of
from depthd.contract.events import Event
from depthd.supervisor.log_line import Entry, entry_of

_FILE_MODE = 0o640
_LOOK_EVERY = 1.0  # seconds between two looks whether the file was moved, or can be had again


class LogFile:
    """Followed when it is moved away, tried again when it cannot be written."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = -1
        self._next_look = 0.0
        self._lost = 0
        self._is_torn = False  # the disk filled up in the middle of a line

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = -1
        self._next_look = 0.0

    def write(self, line: str) -> Entry | None:
        """Append one line; returns what standard error must hear when the luck changes."""
        news = None
        try:
            self._follow()
            if self._lost:
                news = entry_of(Event.LOG_FOUND, file=str(self._path), lost=self._lost)
                self._append(news.line)
                self._lost = 0
            self._append(line)
        except OSError as error:
            self._lost += 1
            if self._lost == 1:
                reason = words_of(error)
                return entry_of(Event.LOG_LOST, file=str(self._path), reason=reason)
            return None
        return news

    def _append(self, line: str) -> None:
        data = (("\n" if self._is_torn else "") + line + "\n").encode()
        written = os.write(self._descriptor, data)
        self._is_torn = written < len(data)
        if self._is_torn:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _follow(self) -> None:
        """Once in a while make sure that the path still leads to the open file."""
        now = time.monotonic()
        if now >= self._next_look:
            self._next_look = now + _LOOK_EVERY
            if self._descriptor >= 0 and not self._is_in_place():
                self.close()
            if self._descriptor < 0:
                self._descriptor = _open(self._path)
                self._is_torn = False
        if self._descriptor < 0:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))

    def _is_in_place(self) -> bool:
        try:
            return os.path.samestat(self._path.stat(), os.fstat(self._descriptor))
        except OSError:
            return False


def _open(path: Path) -> int:
    """Descriptor to append to `path`; a new file gets its mode whatever the umask is."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK  # a FIFO must not stop the daemon
    try:
        return os.open(path, flags)
    except FileNotFoundError:
        path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        descriptor = os.open(path, flags | os.O_CREAT, _FILE_MODE)
        os.fchmod(descriptor, _FILE_MODE)
        return descriptor
