"""The supervisor's stage as a fixture."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from stage import Stage


@pytest.fixture
def set_stage(tmp_path: Path) -> Iterator[Callable[..., Stage]]:
    """Makes stages; `settings` are sections of the configuration."""
    stages: list[Stage] = []

    def make(*, once: bool = False, **settings: object) -> Stage:
        stages.append(Stage(tmp_path, once=once, **settings))
        return stages[-1]

    yield make
    for stage in stages:
        stage.close()


@pytest.fixture
def stage(set_stage: Callable[..., Stage]) -> Stage:
    """One with a worker that is ready."""
    stage = set_stage()
    stage.ready()
    return stage
