"""`depthd reload` beside a real daemon: what it says, and that what it says is so."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from daemon import Daemon, drop
from photos import photo

from depthd import cli
from depthd.contract.errors import ExitCode


def test_the_answer_says_what_has_changed(
    root: Path, settings: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "config.yaml"
    told = tmp_path / "told"
    file.write_text(f"root: {root}\n")

    def reload() -> int:
        return cli.main(["reload", "-c", str(file)])

    with Daemon(root, *settings, arguments=["-c", str(file)]) as daemon:
        daemon.ready()
        assert reload() == ExitCode.OK
        assert capsys.readouterr().out == "nothing has changed\n"
        file.write_text(
            f"root: {root}\n"
            f"hooks: {{command: [/usr/bin/tee, {told}]}}\n"
            "retention: {failed: 1d, interval: 1s}\n"
            "folders: {cam: {policy: latest}}\n"
        )
        assert reload() == ExitCode.OK
        lines = capsys.readouterr().out.splitlines()
        assert lines.pop(2).startswith('hooks.command: empty -> ["/usr/bin/tee", "')
        assert lines == [
            "retention.failed: empty -> 1d, at once",
            "retention.interval: 15m -> 1s, at once",
            "folders.cam.policy: not set -> latest, for photos that are taken from now on",
        ]
        [reloaded] = daemon.logged("service.reloaded", changed=["folders", "retention", "hooks"])
        assert len(reloaded["settings"]) == 4
        note = root / "failed/old.jpg.error.json"
        note.write_text('{"schema": "depthd.error/1", "job": "j"}')
        note.with_name("old.jpg").write_bytes(b"photo")
        os.utime(note, (1, 1))
        drop(root, "a.jpg", photo(1))
        daemon.wait_for("photo.done", name="a.jpg")
        daemon.wait_until(told.exists, "news")
        daemon.wait_for("photo.removed", name="old.jpg", why="age")
        daemon.wait_for("retention.over")
        assert not note.exists()
        file.write_text(f"root: {root}\nhoks: 1\n")
        assert reload() == ExitCode.CONFIGURATION  # it is not even asked
        assert daemon.stop() == 0
    assert reload() == ExitCode.CONFIGURATION
    file.write_text(f"root: {root}\n")
    assert reload() == ExitCode.NO_INPUT


def test_without_a_status_the_former_state_may_be_meant(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = ("--root", str(root), "--set", f"paths.state={root}/elsewhere")
    assert cli.main(["reload", *settings]) == ExitCode.NO_INPUT
    assert "--set paths.state=THE FORMER ONE" in capsys.readouterr().err
