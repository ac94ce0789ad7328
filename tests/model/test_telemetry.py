"""OpenVINO reports to its makers when it is imported; depthd's does not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TRACES = """
import sys
import {module}
telemetry = sys.modules.get("openvino_telemetry")
sys.exit("telemetry was imported" if telemetry else 0)
"""


@pytest.mark.parametrize("module", ["depthd.model.engine_openvino", "depthd.model.graph"])
def test_openvino_is_silent(module: str, tmp_path: Path) -> None:
    environment = {name: text for name, text in os.environ.items() if name != "CI"}
    run = subprocess.run(
        [sys.executable, "-c", TRACES.format(module=module)],
        env=environment | {"HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert list(tmp_path.iterdir()) == []  # it keeps a client id in ~/intel
