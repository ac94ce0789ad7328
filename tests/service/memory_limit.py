"""A limit on memory like systemd's `MemoryMax=`: a control group of version 1 or 2."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_TOP = Path("/sys/fs/cgroup")


@contextmanager
def limited(megabytes: int) -> Iterator[list[str]]:
    """The beginning of a command line whose process, and all that it starts, has no more memory."""
    parent, limit, swap = _TOP / "memory", "memory.limit_in_bytes", "memory.memsw.limit_in_bytes"
    if not parent.exists():
        parent, limit, swap = _TOP, "memory.max", "memory.swap.max"
    group = parent / f"depthd-test-{os.getpid()}"
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"needs the right to make a control group: {error}")
    try:
        if not (group / limit).exists():
            pytest.skip("needs a memory controller")
        (group / limit).write_text(str(megabytes << 20))
        if (group / swap).exists():
            (group / swap).write_text("0" if swap == "memory.swap.max" else str(megabytes << 20))
        yield ["sh", "-c", f'echo $$ > {group}/cgroup.procs && exec "$@"', "sh"]
    finally:
        group.rmdir()
