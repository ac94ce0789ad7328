"""What `depthd backfill` says when it cannot begin."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from unittest.mock import patch

import pytest

from depthd import cli

from .conftest import DEADLINE, needs


def test_what_is_missing_is_named_with_what_brings_it(capsys: pytest.CaptureFixture[str]) -> None:
    real = importlib.util.find_spec

    def without_ray(name: str) -> object:
        return None if name == "ray" else real(name)

    with patch("importlib.util.find_spec", without_ray):
        assert cli.main(["backfill", "/a", "/b"]) == 69
    assert "needs ray" in (said := capsys.readouterr().err)
    assert "Run \"pip install 'depthd[cluster]'" in said


@pytest.mark.parametrize(
    ("source", "target", "code", "words"),
    [
        ("photos", "photos/depth", 64, "lie inside each other"),
        ("nothing", "depth", 66, "cannot be listed"),
        ("empty", "depth", 66, "there is no photo"),
        ("s3:///x", "depth", 64, "is no address"),
        ("photos", "empty", 73, "holds something else"),
        ("photos", "depth --address=127.0.0.1:1", 69, "no Ray cluster at 127.0.0.1:1"),
    ],
)
def test_mistakes_are_told_in_words(
    tmp_path: Path, source: str, target: str, code: int, words: str
) -> None:
    """Before Ray is imported, which takes seconds."""
    needs("pyarrow", "pandas", "boto3")
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules/ray.py").write_text("raise ImportError('too early')")
    for name in ("photos/a.jpg", "empty/notes.txt"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text("x")
    command = [sys.executable, "-P", "-m", "depthd", "backfill", source, *target.split()]
    run = subprocess.run(
        [*command, "--set", "model.name=builtin"], cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "modules")},
        capture_output=True, text=True, timeout=DEADLINE, check=False,
    )  # fmt: skip
    assert run.returncode == code, run.stderr
    assert words in run.stderr
    assert "Traceback" not in run.stderr
