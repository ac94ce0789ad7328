"""Manifests and notes, read where others can write.

Whatever is wrong with such a file (too large, nested too deep, no rights, a FIFO) means that it is
none of ours; nothing it says is believed unless the file is our own. Knows files, no configuration.
"""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Mapping
from typing import Any

from depthd.system import files

_LARGEST = 1 << 20  # bytes; ours have a few thousand
# Not there, a name that cannot be, or exchanged for something else between look and open.
_NOT_OURS = frozenset({errno.ENOENT, *files.REFUSED_NAME, *files.NOT_FOLLOWED})


def read_ours(name: str, folder: int, owner: int, kind: str = "") -> dict[str, Any] | None:
    """What a JSON file of our own says; None where there is none.

    Args:
        name: in the open `folder`.
        folder: its handle.
        owner: user id that our own files have there. Only root can give a file away.
        kind: manifest, error or skipped, in whatever version; where it is given anything else is
            none.

    Raises:
        OSError: it is there and ours, and cannot be read now.
    """
    try:
        about = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if not _is_plain(about, owner):
            return None
        handle = files.open_regular(name, folder)
    except OSError as error:
        if error.errno in _NOT_OURS:
            return None
        raise
    with open(handle, "rb") as file:
        if not _is_plain(os.fstat(handle), owner):
            return None
        data = file.read(_LARGEST + 1)
    try:
        content = json.loads(data)
    except (ValueError, RecursionError):
        return None
    if not isinstance(content, dict):
        return None
    is_of_kind = not kind or str(content.get("schema")).startswith(f"depthd.{kind}/")
    return content if is_of_kind else None


def about_plain(name: str, folder: int) -> os.stat_result | None:
    """What an ordinary file is; None of anything else."""
    try:
        about = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except OSError as error:
        if error.errno not in {errno.ENOENT, *files.REFUSED_NAME}:
            raise
        return None
    return about if stat.S_ISREG(about.st_mode) else None


def listed_hashes(manifest: Mapping[str, object]) -> dict[str, str]:
    """SHA-256 by name, of the files that a manifest of ours lists."""
    listed = manifest.get("files")
    entries = listed if isinstance(listed, list) else []
    return {
        str(entry.get("name")): str(entry.get("sha256"))
        for entry in entries
        if isinstance(entry, dict)
    }


def _is_plain(about: os.stat_result, owner: int) -> bool:
    return stat.S_ISREG(about.st_mode) and about.st_uid == owner and about.st_size <= _LARGEST
