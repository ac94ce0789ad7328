"""The command line as a user meets it: a process, its exit code, its two streams."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Depthd = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def environment() -> dict[str, str]:
    """This process's environment without settings of depthd."""
    return {name: value for name, value in os.environ.items() if not name.startswith("DEPTHD_")}


@pytest.fixture
def depthd(tmp_path: Path, environment: dict[str, str]) -> Depthd:
    """Run `depthd` in an empty folder; keyword arguments are environment variables."""
    here = tmp_path / "here"
    here.mkdir()

    def run(*arguments: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
        result = subprocess.run(
            [sys.executable, "-m", "depthd", *map(str, arguments)],
            cwd=here,
            env={**environment, "XDG_CACHE_HOME": str(tmp_path / "cache"), **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert "Traceback" not in result.stderr + result.stdout
        return result

    return run
