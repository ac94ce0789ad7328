"""What systemd itself says of the unit."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from unit_files import DROP_INS, UNIT

pytestmark = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed here"
)


def analyze(*arguments: str) -> str:
    finished = subprocess.run(
        ["systemd-analyze", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "SYSTEMD_COLORS": "0", "SYSTEMD_EMOJI": "0", "LC_ALL": "C"},
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout
    return finished.stdout


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The unit as if its programs were installed, in a folder of its own."""
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\n", encoding="utf-8")
    program.chmod(0o755)
    unit = tmp_path / UNIT.name
    commands = r"^(ExecStart|ExecReload)=\S+"
    text = re.sub(commands, rf"\1={program}", UNIT.read_text("utf-8"), flags=re.MULTILINE)
    unit.write_text(text, encoding="utf-8")
    return unit


def test_the_unit_is_clean(installed: Path) -> None:
    assert not analyze("verify", "--man=no", str(installed))


@pytest.mark.parametrize("drop_in", DROP_INS, ids=lambda path: path.stem)
def test_the_drop_ins_are_clean(installed: Path, drop_in: Path) -> None:
    folder = installed.with_name(f"{installed.name}.d")
    folder.mkdir()
    suggested = re.sub(r"^#(?=\w+=)", "", drop_in.read_text("utf-8"), flags=re.MULTILINE)
    (folder / drop_in.name).write_text(suggested, encoding="utf-8")
    assert not analyze("verify", "--man=no", str(installed))


def test_the_service_may_do_little() -> None:
    report = analyze("security", "--offline=true", "--no-pager", str(UNIT))
    exposure = re.search(r"Overall exposure level for depthd.service: ([\d.]+)", report)
    assert exposure, report
    assert float(exposure[1]) <= 0.4, report
