"""Users whom file rights bind, for tests that run as root."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NOBODY = 65534


@contextmanager
def nobody() -> Iterator[Path]:
    """Become a user whom file rights bind, in a folder of one's own."""
    if os.geteuid() != 0:
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder)
        return
    folder = tempfile.mkdtemp()
    os.chown(folder, NOBODY, NOBODY)
    os.setegid(NOBODY)
    os.seteuid(NOBODY)
    try:
        yield Path(folder)
    finally:
        os.seteuid(0)
        os.setegid(0)
        shutil.rmtree(folder)


@contextmanager
def back_as_root() -> Iterator[None]:
    """Inside of `nobody`, as root: be root again for a moment."""
    os.seteuid(0)
    os.setegid(0)
    try:
        yield
    finally:
        os.setegid(NOBODY)
        os.seteuid(NOBODY)
