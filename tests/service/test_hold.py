"""`depthd hold` and `release` beside a real daemon, and over its death."""

from __future__ import annotations

from pathlib import Path

import pytest
from daemon import Daemon, drop
from photos import photo

from depthd import cli
from depthd.contract.errors import ExitCode


def test_a_hold_outlasts_the_daemon(
    root: Path, settings: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    def call(*arguments: str) -> str:
        assert cli.main([arguments[0], "--root", str(root), *arguments[1:]]) == ExitCode.OK
        return capsys.readouterr().out

    with Daemon(root, *settings) as daemon:
        daemon.ready()
        assert "photos at work: 0" in call("hold", "cam1")
        drop(root, "cam1/day/a.jpg", photo(1))
        drop(root, "cam2/b.jpg", photo(2))
        daemon.wait_for("photo.done", name="cam2/b.jpg")
        assert "cam1, since" in call("status")
        daemon.kill()
    with Daemon(root, *settings) as daemon:
        daemon.wait_for("inbox.held", folder="cam1")
        drop(root, "cam2/c.jpg", photo(3))
        daemon.wait_for("photo.done", name="cam2/c.jpg")
        assert (root / "inbox/cam1/day/a.jpg").exists()
        assert "cam1: released" in call("release")
        daemon.wait_for("photo.done", name="cam1/day/a.jpg")
        assert daemon.stop() == 0
