"""Hard links: may a file be taken by a name that somebody else may have given it?

Knows the operating system, nothing of photos.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

_SETTING = Path("/proc/sys/fs/protected_hardlinks")


def are_guarded() -> bool:
    """Whether the kernel lets people link only to files that they may write."""
    with suppress(OSError):
        return _SETTING.read_text(encoding="ascii").strip() == "1"
    return False


def is_givers_own(file: os.stat_result, owner: int, group: int) -> bool:
    """Whether who may write a folder may write a file in it as well.

    Where links are not guarded, anybody can give somebody else's file a name in there.

    Args:
        file: what a look at it showed.
        owner: of the folder, a user id.
        group: of the folder.
    """
    if file.st_uid == owner:
        return True
    return file.st_gid == group and bool(file.st_mode & stat.S_IWGRP)
