"""A folder that nobody can write to, not even root: the attribute that `chattr +i` sets."""

from __future__ import annotations

import fcntl
import os
import struct
from pathlib import Path

_GET_FLAGS, _SET_FLAGS = 0x80086601, 0x40086602  # FS_IOC_GETFLAGS, FS_IOC_SETFLAGS
_IMMUTABLE = 0x10


def close(folder: Path) -> None:
    """Nothing in it can be made, changed or removed.

    Raises:
        OSError: no right to do that, or the file system has no such attribute.
    """
    _set(folder, is_immutable=True)


def open_again(folder: Path) -> None:
    """An ordinary folder, whatever it was."""
    _set(folder, is_immutable=False)


def is_possible(folder: Path) -> bool:
    """Whether folders inside this one can be closed."""
    probe = folder / "immutable"
    probe.mkdir()
    try:
        close(probe)
        open_again(probe)
    except OSError:
        return False
    finally:
        probe.rmdir()
    return True


def open_all(top: Path) -> None:
    """So that they can be removed."""
    for folder, _, _ in os.walk(top):
        try:
            open_again(Path(folder))
        except OSError:
            return


def _set(folder: Path, *, is_immutable: bool) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        (flags,) = struct.unpack("L", fcntl.ioctl(handle, _GET_FLAGS, bytes(8)))
        wanted = flags | _IMMUTABLE if is_immutable else flags & ~_IMMUTABLE
        if wanted != flags:
            fcntl.ioctl(handle, _SET_FLAGS, struct.pack("L", wanted))
    finally:
        os.close(handle)
