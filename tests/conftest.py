"""Fixtures that several rooms' tests share."""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# No test fails because others are at work, or because it was stopped for a while.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")
# Tests run side by side on few processors: torch's threads shall not spin while they wait.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


@pytest.fixture(scope="session")
def random_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A `.pt` of random weights in the published layout of midas_small; safetensors without torch.

    A session that has torch writes the former, so that all engines see what the authors publish.
    """
    from random_weights import save_random_weights  # noqa: PLC0415 - numpy

    suffix = ".pt" if importlib.util.find_spec("torch") else ".safetensors"
    return save_random_weights(tmp_path_factory.mktemp("weights") / f"midas_v21_small_256{suffix}")


@pytest.fixture(scope="session")
def _prepared_once(random_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from depthd.config import Model  # noqa: PLC0415
    from depthd.model.prepare import prepare  # noqa: PLC0415
    from depthd.model.weights import find_weights  # noqa: PLC0415

    state = tmp_path_factory.mktemp("state")
    weights = find_weights(Model(weights=random_weights), state, report=print)
    prepare(weights, state, report=print)
    return state


@pytest.fixture
def prepared_state(_prepared_once: Path, tmp_path: Path) -> Path:
    """A folder state/ of one's own in which OpenVINO's form of `random_weights` lies ready.

    Its files are hard links to shared ones: replace them, never edit them in place.
    """
    state = tmp_path / "state"
    shutil.copytree(_prepared_once, state, copy_function=os.link, dirs_exist_ok=True)
    return state


@pytest.fixture(scope="session")
def upstream(random_weights: Path) -> object:
    """Upstream's network with `random_weights`; see tests/upstream.py."""
    from upstream import Upstream  # noqa: PLC0415 - torch and the test extra

    return Upstream(random_weights)
