"""The work goes on in the cage: every kind of picture, both engines, the same bytes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from depthd.system import cage

DEADLINE = 300.0  # seconds; the first conversion is in it
CHILD = Path(__file__).with_name("caged_work.py")
CORPUS = sorted((Path(__file__).parents[1] / "decode/corpus").iterdir())
OFFERED = cage.offered()


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("caged")


def results(engine: str, state: Path, *, caged: bool) -> dict[str, str]:
    child = subprocess.run(
        [sys.executable, "-P", CHILD, engine, state, str(int(caged)), *CORPUS],
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert child.returncode == 0, child.stderr
    said: dict[str, str] = json.loads(child.stdout)
    return said


@pytest.mark.skipif(not OFFERED.seccomp, reason=str(OFFERED))
@pytest.mark.parametrize("engine", ["openvino", "torch"])
def test_every_picture_comes_out_the_same_in_the_cage(engine: str, state: Path) -> None:
    outside, inside = (results(engine, state, caged=caged) for caged in (False, True))
    assert (outside.pop("cage"), inside.pop("cage")) == ("none", str(OFFERED))
    assert inside == outside
    assert len(set(inside.values())) > len(CORPUS) / 2  # not all refused
