"""The environment of the README's first command: it serves, and torch is not in reach.

Run by name in that environment, with pytest added: `pytest tests/installation/small.py`.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from random_weights import save_random_weights

PHOTO = min((Path(__file__).parents[2] / "depthd/samples").glob("*.jpg"))


def depthd(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "depthd", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("package", ["torch", "torchvision", "timm"])
def test_torch_is_not_in_reach(package: str) -> None:
    assert importlib.util.find_spec(package) is None


@pytest.mark.parametrize("model", ["builtin", "midas_small"])
def test_both_networks_serve(model: str, tmp_path: Path) -> None:
    settings = ["--set", f"model.name={model}", "--root", tmp_path / "root"]
    if model == "midas_small":
        weights = save_random_weights(tmp_path / "weights.safetensors")
        settings += ["--set", f"model.weights={weights}"]
    run = depthd("process", PHOTO, "-o", tmp_path / "out", *settings)
    assert run.returncode == 0, run.stderr
    manifest = json.loads((tmp_path / f"out/{PHOTO.name}.json").read_bytes())
    assert (manifest["model"]["name"], manifest["model"]["engine"]) == (model, "openvino")
    assert np.ptp(np.load(tmp_path / f"out/{PHOTO.name}.depth.npy")) > 0


def test_a_missing_engine_is_said_with_the_command_that_brings_it(tmp_path: Path) -> None:
    settings = ["--set", "model.name=builtin", "--set", "model.engine=torch"]
    run = depthd("process", PHOTO, "-o", tmp_path / "out", "--root", tmp_path, *settings)
    assert run.returncode == 69
    assert "model.engine is torch, which is not installed" in run.stderr
    assert "pip install 'depthd[torch]'" in run.stderr


def test_that_command_asks_for_what_is_missing_alone() -> None:
    pip = [sys.executable, "-m", "pip", "install", "--dry-run", "--no-deps", "depthd[torch]"]
    run = subprocess.run(pip, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr  # depthd itself is here: no index is asked for it
    assert "Would install" not in run.stdout
