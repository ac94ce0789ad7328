"""Whoever runs depthd in somebody else's folder runs none of the code that lies there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from foreign_code import ForeignCode
from PIL import Image

from depthd import cli

PROGRAM = Path(sys.executable).with_name("depthd")
WAYS = {
    "the command": [str(PROGRAM)],
    "python -m": [sys.executable, "-m", "depthd"],
}
# Arguments with which each command does its work and starts its processes.
COMMANDS: dict[str, tuple[str, ...]] = {
    "run": ("run", "--once"),
    "demo": ("demo", "--help"),  # its daemon is run's; the whole of it in test_demo
    "process": ("process", "{photo}", "-o", "{out}"),
    "check": ("check",),
    "status": ("status",),
    "bench": ("bench", "--help"),  # the whole of it in tests/bench
    "model": ("model", "prepare"),
    "config": ("config", "show"),
    "retry": ("retry", "--help"),  # moves files, starts nothing
    "requeue": ("requeue", "--help"),
    "hold": ("hold", "--help"),
    "reload": ("reload", "--help"),
    "prune": ("prune", "--help"),
    "release": ("release", "--help"),
    "explain": ("explain", "a.jpg"),
    "logs": ("logs",),
    "page": ("page", "--help"),
    "service": ("service", "--help"),
    "backfill": ("backfill", "--help"),  # Ray: the whole of it in tests/backfill
    "camera": ("camera", "--help"),  # numpy and pictures: the whole of it in test_camera
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("command", cli.COMMANDS)
def test_no_command_runs_code_of_the_working_directory(
    command: str,
    way: str,
    tmp_path: Path,
    environment: dict[str, str],
    prepared_state: Path,
    random_weights: Path,
) -> None:
    if way == "the command" and not PROGRAM.exists():
        pytest.skip("depthd is not installed beside this Python")
    photo = tmp_path / "photo.jpg"
    Image.radial_gradient("L").save(photo)
    foreign = ForeignCode(tmp_path / "inbox of others", depthd=way != "python -m")
    arguments = [text.format(photo=photo, out=tmp_path / "out") for text in COMMANDS[command]]
    environment |= {
        "DEPTHD_ROOT": str(tmp_path / "root"),
        "DEPTHD_PATHS__STATE": str(prepared_state),
        "DEPTHD_MODEL__WEIGHTS": str(random_weights),
    }
    result = subprocess.run(
        [*WAYS[way], *arguments],
        cwd=foreign.folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert foreign.was_run() == []
    expected = 66 if command in ("status", "explain", "logs") else 0  # nothing has run there yet
    assert result.returncode == expected, result.stderr


def test_the_modules_would_tell(tmp_path: Path, environment: dict[str, str]) -> None:
    foreign = ForeignCode(tmp_path / "inbox of others")
    command = [sys.executable, "-m", "depthd"]
    subprocess.run(command, cwd=foreign.folder, env=environment, capture_output=True, check=False)
    assert foreign.was_run() == ["depthd"]
