"""Whose folders these are: made where they are missing, work/ owned by one daemon at a time."""

from __future__ import annotations

import fcntl
import os
import secrets
import time
from pathlib import Path

from depthd.config import Config
from depthd.contract.errors import OutputError, TemporaryError

_FOLDER_MODES = {
    "inbox": 0o775,
    "work": 0o700,
    "outbox": 0o775,
    "done": 0o775,
    "failed": 0o775,
    "log": 0o750,
    "state": 0o750,
}
_PRIVATE = ("work", "state")
_LOCK_PATIENCE = 1.0  # seconds; a predecessor that was killed just now may not be gone yet


def make_folders(config: Config) -> None:
    """Create what is missing of the configured folders.

    Raises:
        OutputError: one of them cannot be created, or is not a folder, or work/ or state/ belong
            to another user.
    """
    for name, mode in _FOLDER_MODES.items():
        path = config.folder(name)
        try:
            path.mkdir(mode=mode, parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(
                f"paths.{name}: cannot create {path}: {error.strerror}",
                "create it for the user that runs depthd, or set another path",
            ) from error
    for name in _PRIVATE:
        _keep_private(name, config.folder(name), _FOLDER_MODES[name])


def _keep_private(name: str, path: Path, mode: int) -> None:
    """What lies in these folders is believed, so nobody else may write to them."""
    about = path.stat()
    if about.st_uid != os.geteuid():
        raise OutputError(
            f"paths.{name} ({path}) belongs to another user (number {about.st_uid})",
            f"give it to the user that runs depthd: chown {os.geteuid()} {path}",
        )
    if about.st_mode & 0o777 & ~mode:
        path.chmod(about.st_mode & mode)


def lock(path: Path) -> int:
    """Own work/ until this process is gone.

    Raises:
        TemporaryError: another daemon owns it.
        OutputError: it cannot be written.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        handle = os.open(path, flags, 0o600)
    except OSError as error:
        raise OutputError(
            f"paths.work ({path.parent}) cannot be written: {error.strerror}",
            "make room there, or correct the folder's rights",
        ) from error
    deadline = time.monotonic() + _LOCK_PATIENCE
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                os.close(handle)
                raise TemporaryError(
                    f"another depthd works in {path.parent}",
                    "stop it, or give this one a root (or paths.work) of its own",
                ) from None
            time.sleep(0.05)
        else:
            return handle


def instance(lock: int) -> str:
    """Eight hex digits that name this spool for ever; they are kept in the lock file."""
    known = os.pread(lock, 8, 0).decode(errors="replace")
    if len(known) == 8 and all(char in "0123456789abcdef" for char in known):
        return known
    fresh = secrets.token_hex(4)
    os.pwrite(lock, fresh.encode(), 0)
    os.fsync(lock)
    return fresh
