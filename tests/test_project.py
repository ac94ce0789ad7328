"""The project as a whole: lint, format, types, and a wheel that works where it is installed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

PROJECT = Path(__file__).parent.parent
SAMPLES = PROJECT / "depthd/samples"
# Loaded into the supervisor, any of these would cost it more memory than all the rest.
HEAVY = {"torch", "torchvision", "timm", "cv2", "numpy", "openvino"}


def run(*command: str, folder: Path = PROJECT, **environment: str) -> str:
    """Standard output of a command that must succeed."""
    finished = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished.stdout


def test_lint() -> None:
    run(sys.executable, "-m", "ruff", "check", ".")


def test_format() -> None:
    run(sys.executable, "-m", "ruff", "format", "--check", ".")


def test_types() -> None:
    run(sys.executable, "-m", "mypy")


def test_the_supervisor_imports_nothing_heavy_and_stays_small() -> None:
    code = (
        "import re, sys, depthd.supervisor.loop, depthd.cli, depthd.cli.run\n"
        "print(' '.join({name.partition('.')[0] for name in sys.modules}))\n"
        "print(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1])"
    )
    modules, kilobytes = run(sys.executable, "-c", code).splitlines()
    assert not HEAVY & set(modules.split())
    assert int(kilobytes) < 80_000


def test_the_worker_imports_nothing_of_the_supervisors() -> None:
    code = (
        "import sys, depthd.worker.main, depthd.worker.pipeline, depthd.model.engine_openvino\n"
        "print(' '.join({name.partition('.')[0] for name in sys.modules}))"
    )
    modules = set(run(sys.executable, "-c", code).split())
    assert not {"watchdog", "click", "rich", "torch", "timm"} & modules


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(
        sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps",
        "--wheel-dir", str(folder), str(PROJECT),
    )  # fmt: skip
    (wheel,) = folder.glob("*.whl")
    return wheel


def test_the_wheel_holds_what_the_package_needs(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {
        "depthd/py.typed",
        "depthd/contract/manifest.schema.json",
        "depthd/model/data/builtin.safetensors",
        "depthd/model/data/builtin.card.md",
        "depthd/samples/CREDITS.md",
        "depthd/page/words.json",
        "depthd/page/static/page.css",
        "depthd/page/templates/base.html",
        "depthd/docs/operating.md",
        "depthd/docs/temple.jpg",
    } <= names
    assert not [name for name in names if name.startswith(("tests/", "build/"))]


def test_the_installed_wheel_turns_a_photo_into_depth(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    run(
        sys.executable, "-m", "pip", "install", "--quiet", "--no-deps",
        "--target", str(site), str(wheel),
    )  # fmt: skip
    photo = min(SAMPLES.glob("*.jpg"))
    command = ["-m", "depthd", "process", str(photo), "-o", str(tmp_path / "out")]
    settings = ["--set", "model.name=builtin", "--root", str(tmp_path / "root")]
    run(sys.executable, *command, *settings, folder=tmp_path, PYTHONPATH=str(site))
    manifest = json.loads((tmp_path / f"out/{photo.name}.json").read_bytes())
    assert manifest["model"]["name"] == "builtin"
    depth = np.load(tmp_path / f"out/{photo.name}.depth.npy")
    assert depth.shape == (manifest["depth"]["height"], manifest["depth"]["width"])
    assert np.isfinite(depth).all()
    assert depth.max() > depth.min()
