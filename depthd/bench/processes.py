"""Processor time and memory of a process and its descendants, from /proc. Linux only."""

from __future__ import annotations

import os
from pathlib import Path

_PAGE = os.sysconf("SC_PAGE_SIZE")


def tree(pid: int) -> list[int]:
    """A process and all below it."""
    found = [pid]
    for parent in found:
        for entry in _tasks(parent):
            found += [int(child) for child in _read(entry / "children").split()]
    return found


def cpu_seconds(pid: int) -> float:
    """Processor time of one process so far, of threads that still live, to the nanosecond."""
    waited = (_read(entry / "schedstat").split() for entry in _tasks(pid))
    return sum(int(words[0]) for words in waited if words) / 1e9


def resident(pid: int) -> int:
    """Bytes of memory that one process holds; pages shared with others are counted in full."""
    words = _read(Path(f"/proc/{pid}/statm")).split()
    return int(words[1]) * _PAGE if words else 0


def _tasks(pid: int) -> list[Path]:
    try:
        return list(Path(f"/proc/{pid}/task").iterdir())
    except OSError:
        return []


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except OSError:  # it has just ended
        return ""
