"""`depthd run --once` as a batch job uses it: its exit code says whether all went well."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from .conftest import Depthd


@pytest.mark.parametrize(("is_good", "code"), [(True, 0), (False, 1)])
def test_once_drains_the_inbox_and_says_how_it_went(
    is_good: bool,
    code: int,
    tmp_path: Path,
    depthd: Depthd,
    prepared_state: Path,
    random_weights: Path,
) -> None:
    root = tmp_path / "root"
    (root / "inbox").mkdir(parents=True)
    Image.radial_gradient("L").save(root / "inbox/moon.jpg")
    if not is_good:
        (root / "inbox/empty.jpg").touch()
    settings = {
        "paths.state": prepared_state,
        "model.weights": random_weights,
        "intake.settle": "0s",
    }
    options = [part for item in settings.items() for part in ("--set", "{}={}".format(*item))]
    result = depthd("run", "--once", "--root", root, *options)
    assert result.returncode == code, result.stderr
    assert result.stdout == ""
    entries = [json.loads(line) for line in result.stderr.splitlines() if line.startswith("{")]
    assert entries[-1]["event"] == "service.stopped"
    assert (root / "done/moon.jpg").is_file()
    assert (root / "failed/empty.jpg.error.json").is_file() is not is_good
