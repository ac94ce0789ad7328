"""A real process at the other end of the line."""

from __future__ import annotations

import errno
import os
import subprocess
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


def test_a_signal_without_a_name_is_a_death_like_any_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kill = "import os; os.kill(os.getpid(), 35)"
    monkeypatch.setattr(worker_process, "module", lambda _: [sys.executable, "-c", kill])
    worker = WorkerProcess(Config(root=tmp_path), is_busy=False)
    try:
        worker._process.wait(60)
        assert str(worker.death()) == "killed by signal 35"
    finally:
        worker.close()


def test_why_no_process_can_be_had_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = os.listdir("/proc/self/fd")

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr(subprocess, "Popen", refuse)
    with pytest.raises(OSError, match="temporarily unavailable"):
        WorkerProcess(Config(root=tmp_path), is_busy=False)
    assert os.listdir("/proc/self/fd") == before
