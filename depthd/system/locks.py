"""Lock files between processes of one machine. The kernel gives a lock back when a process dies."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def locked(path: Path, *, waits: bool = True) -> Iterator[None]:
    """Be the only one inside; the file is made where it is missing.

    Args:
        path: of the lock file.
        waits: until whoever is inside has left.

    Raises:
        BlockingIOError: somebody is inside, and this one does not wait.
        OSError: the file cannot be opened.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    handle = os.open(path, flags, 0o600)
    try:
        lock(handle, waits=waits)
        yield
    finally:
        os.close(handle)


def lock(handle: int, *, waits: bool = True) -> None:
    """Lock an open file until it is closed.

    Raises:
        BlockingIOError: somebody has it, and this one does not wait.
        OSError: its file system knows no locks.
    """
    fcntl.flock(handle, fcntl.LOCK_EX | (0 if waits else fcntl.LOCK_NB))
