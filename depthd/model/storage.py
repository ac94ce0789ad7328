"""Files under state/ that are whole or not there. Knows the file system, nothing of models."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from depthd.system.files import fsync_directory


def user_cache() -> Path:
    """The user's own cache folder; the daemon's state/ belongs to somebody else."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()


def sha256_file(path: Path) -> str:
    """SHA-256 of a file's content, 64 hexadecimal digits; reads it piece by piece.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def exclusive(folder: Path, report: Callable[[str], None]) -> Iterator[None]:
    """Be the only process that writes into `folder`, which is made if it is missing.

    The kernel gives the lock back when a process dies.

    Raises:
        OSError: the folder cannot be made or written.
    """
    # Private whatever the umask is: whoever may drop photos may not change what makes the depth.
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report(f"waiting for another process that writes to {folder}")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def publish(temporary: Path, target: Path) -> None:
    """Give a finished file or folder on the same file system its final name, durably."""
    contents = list(temporary.iterdir()) if temporary.is_dir() else []
    for path in [*contents, temporary]:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    temporary.rename(target)
    fsync_directory(target.parent)
