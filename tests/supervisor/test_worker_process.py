"""A real process at the other end of the line."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from depthd.channel.messages import LARGEST_PACKET
from depthd.config import Config
from depthd.supervisor import worker_process
from depthd.supervisor.worker_process import WorkerProcess

_READ_SETUP = """
import socket, sys
from depthd.channel.line import Line
from depthd.worker.main import _read_setup
_read_setup(Line(socket.socket(fileno=int(sys.argv[1]))))
"""


def test_settings_of_any_number_of_cameras_reach_the_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corners = [[100, 100, 2.5], [900, 100, 3.5], [100, 900, 4.5], [900, 900, 5.5]]
    cameras = {f"camera{number}": {"references": corners} for number in range(2000)}
    config = Config.model_validate({"root": tmp_path, "folders": cameras})
    assert len(config.model_dump_json()) > LARGEST_PACKET
    monkeypatch.setattr(worker_process, "module", lambda _: [sys.executable, "-c", _READ_SETUP])
    worker = WorkerProcess(config, is_busy=False)
    try:
        assert worker._process.wait(60) == 0
    finally:
        worker.kill()
        worker.close()
