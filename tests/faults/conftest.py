"""Roots for fault runs, and a second file system where there is one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp

import pytest
from faults import immutable
from faults.sweep import Lanes, Layout, Trials
from service.conftest import root, settings

__all__ = ["lanes", "root", "settings", "trials"]

_SHARED_MEMORY = Path("/dev/shm")


@pytest.fixture(scope="module")
def lanes() -> Iterator[Lanes]:
    with Lanes() as lanes:
        yield lanes


@pytest.fixture
def trials(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Trials]:
    if shutil.which("strace") is None:
        pytest.skip("needs strace")
    other_disk = _other_disk(tmp_path)
    layout = (
        request.node.callspec.params.get("layout") if hasattr(request.node, "callspec") else None
    )
    if isinstance(layout, Layout) and layout.elsewhere and other_disk is None:
        pytest.skip(f"needs a second file system at {_SHARED_MEMORY}")
    if isinstance(layout, Layout) and layout.closed and not immutable.is_possible(tmp_path):
        pytest.skip("needs root and a file system with immutable folders")
    yield Trials(tmp_path, other_disk or tmp_path)
    immutable.open_all(tmp_path)
    if other_disk:
        shutil.rmtree(other_disk)


def _other_disk(folder: Path) -> Path | None:
    if (
        not os.access(_SHARED_MEMORY, os.W_OK)
        or _SHARED_MEMORY.stat().st_dev == folder.stat().st_dev
    ):
        return None
    return Path(mkdtemp(prefix="depthd-test-", dir=_SHARED_MEMORY))
