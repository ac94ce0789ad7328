"""Folders inside each other, deeper than Python has frames."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

DEEP = 1200  # a path of fewer than 4096 bytes


@contextmanager
def nested(top: Path, depth: int = DEEP) -> Iterator[str]:
    """The innermost, below `top`, holds x.jpg; removed at the end, which Python's own cannot."""
    folder = os.open(top, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("d", dir_fd=folder)
        inner = os.open("d", os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = inner
    os.close(os.open("x.jpg", os.O_WRONLY | os.O_CREAT, dir_fd=folder))
    os.close(folder)
    try:
        yield "/".join(["d"] * depth)
    finally:
        subprocess.run(["rm", "-rf", "--", top / "d"], check=True)
