"""How many CPUs this process may really use. Knows Linux's affinity and control groups."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath


def usable_cpus(root: Path = Path("/")) -> int:
    """Whole CPUs within the affinity mask and the tightest CPU quota of all enclosing groups.

    A quota of 1.5 CPUs counts as 1: two threads would be stopped for a part of each period, and
    decoding and writing use the rest.

    Args:
        root: where proc/ and sys/ are found.
    """
    quotas = [quota for folder in _groups(root) if (quota := _quota(folder)) is not None]
    return max(1, min([len(os.sched_getaffinity(0)), *(int(quota) for quota in quotas)]))


def _groups(root: Path) -> list[Path]:
    """Folders of our CPU control group and of those around it, in versions 1 and 2."""
    folders = []
    for line in (_read(root / "proc/self/cgroup") or "").splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0" and not controllers:
            mount = root / "sys/fs/cgroup"
        elif "cpu" in controllers.split(","):
            mount = root / "sys/fs/cgroup" / controllers
        else:
            continue
        inside = PurePosixPath(path.lstrip("/"))
        folders += [mount / part for part in (inside, *inside.parents)]
    return folders


def _quota(folder: Path) -> float | None:
    """CPUs that a group may use; None where it has no limit."""
    text = _read(folder / "cpu.max")
    if text is None:
        quota, period = _read(folder / "cpu.cfs_quota_us"), _read(folder / "cpu.cfs_period_us")
        text = f"{quota} {period}"
    try:
        used, period_of = (float(word) for word in text.split())
    except ValueError:  # "max 100000", or no such files
        return None
    return used / period_of if used > 0 and period_of > 0 else None


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return None
