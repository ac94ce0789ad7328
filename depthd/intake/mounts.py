"""File systems that other machines change behind the kernel's back.

inotify reports only what happens on this machine, and a probe file of our own is just that; so
shares are known by their type.
"""

from __future__ import annotations

import os
from pathlib import Path

_SHARED = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "9p", "virtiofs", "ceph", "afs", "lustre", "gfs2", "ocfs2"}
    | {"glusterfs", "vboxsf", "vmhgfs", "prl_fs", "ncpfs", "coda", "orangefs"}
)
_LOCAL_FUSE = frozenset({"fuse.fuse-overlayfs"})


def shared_type(folder: Path) -> str:
    """Type of the file system that holds `folder` if others may change it, else empty."""
    try:
        table = Path("/proc/self/mountinfo").read_text(errors="surrogateescape")
        kind = type_of(table, folder.stat().st_dev)
    except OSError:
        return ""
    is_shared = kind in _SHARED or (kind.startswith("fuse.") and kind not in _LOCAL_FUSE)
    return kind if is_shared else ""


def type_of(table: str, device: int) -> str:
    """File system type of a device in the text of /proc/self/mountinfo; empty if unknown."""
    number = f"{os.major(device)}:{os.minor(device)}"
    for line in table.splitlines():
        mount, _, source = line.partition(" - ")
        if mount.split(" ")[2:3] == [number]:
            return source.split(" ")[0]
    return ""
