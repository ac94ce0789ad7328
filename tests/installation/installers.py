"""The wheel and the source distribution, and everything that installs them.

Run by name, since each installation takes half a minute: `pytest tests/installation/installers.py`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
PHOTO = min((PROJECT / "depthd/samples").glob("*.jpg"))


def run(*command: str | Path, folder: Path, **variables: str) -> str:
    finished = subprocess.run(
        [str(word) for word in command], cwd=folder, env={**os.environ, **variables},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished.stdout


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with build, pipx and uv; its bin/."""
    folder = tmp_path_factory.mktemp("tools")
    run(sys.executable, "-m", "venv", "venv", folder=folder)
    bin_folder = folder / "venv/bin"
    run(bin_folder / "pip", "install", "--quiet", "build", "pipx", "uv", folder=folder)
    return bin_folder


@pytest.fixture(scope="module")
def distributions(tools: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The sdist of the repository, and the wheel made from that sdist."""
    folder = tmp_path_factory.mktemp("dist")
    run(tools / "python", "-m", "build", "--outdir", folder, PROJECT, folder=folder)
    return {path.suffix: path for path in folder.iterdir()}


def test_the_wheel_holds_what_runs_on_the_box(distributions: dict[str, Path]) -> None:
    names = zipfile.ZipFile(distributions[".whl"]).namelist()
    assert "depthd/model/data/builtin.safetensors" in names
    assert not [name for name in names if "training" in name]
    assert {name.partition("/")[0].split("-")[0] for name in names} == {"depthd"}


def test_the_sdist_holds_the_rest_as_well(distributions: dict[str, Path]) -> None:
    with tarfile.open(distributions[".gz"]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    tracked = run("git", "ls-files", folder=PROJECT).split("\n")
    lacking = {name for name in tracked if name and not name.startswith(".git")} - names
    assert not lacking


def works(depthd: Path, folder: Path) -> None:
    """One photo through the built-in network."""
    command = [depthd, "process", PHOTO, "-o", folder / "out", "--root", folder / "root"]
    run(*command, "--set", "model.name=builtin", folder=folder)
    manifest = json.loads((folder / f"out/{PHOTO.name}.json").read_bytes())
    assert manifest["model"]["engine"] == "openvino"


def test_pip(distributions: dict[str, Path], tmp_path: Path) -> None:
    run(sys.executable, "-m", "venv", "venv", folder=tmp_path)
    run("venv/bin/pip", "install", "--quiet", distributions[".whl"], folder=tmp_path)
    works(tmp_path / "venv/bin/depthd", tmp_path)


def test_pipx(distributions: dict[str, Path], tools: Path, tmp_path: Path) -> None:
    places = {"PIPX_HOME": str(tmp_path / "home"), "PIPX_BIN_DIR": str(tmp_path / "bin")}
    run(tools / "pipx", "install", distributions[".whl"], folder=tmp_path, **places)
    works(tmp_path / "bin/depthd", tmp_path)


def test_uv_tool(distributions: dict[str, Path], tools: Path, tmp_path: Path) -> None:
    places = {
        "UV_TOOL_DIR": str(tmp_path / "tools"),
        "UV_TOOL_BIN_DIR": str(tmp_path / "bin"),
        "UV_CACHE_DIR": str(tmp_path / "cache"),
        "UV_PYTHON_DOWNLOADS": "never",
        "SSL_CERT_FILE": os.environ.get("PIP_CERT", os.environ.get("SSL_CERT_FILE", "")),
    }
    places = {name: value for name, value in places.items() if value}
    wheel, python = distributions[".whl"], f"{sys.version_info[0]}.{sys.version_info[1]}"
    run(tools / "uv", "tool", "install", "--python", python, wheel, folder=tmp_path, **places)
    works(tmp_path / "bin/depthd", tmp_path)
