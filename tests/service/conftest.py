"""What the tests with a whole daemon share."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest


@pytest.fixture
def root(tmp_path: Path, prepared_state: Path) -> Path:
    """A root whose state/ is ready for a quick start."""
    root = tmp_path / "root"
    root.mkdir()
    shutil.move(prepared_state, root / "state")
    return root


@pytest.fixture
def settings(random_weights: Path) -> tuple[str, ...]:
    """What makes a daemon quick to test."""
    return (
        f"model.weights={random_weights}",
        "intake.settle=0s",
        "worker.max_attempts=2",
        "disk.min_free=0",
    )
