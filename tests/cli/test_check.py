"""`depthd check`: would it work?"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from depthd import cli
from depthd.cli import checks
from depthd.config.load import load
from depthd.intake.notes import Notes

from .conftest import Depthd


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("inbox", "outbox", "work"):
        (tmp_path / "root" / name).mkdir(parents=True)
    return tmp_path / "root"


def verdicts(root: Path, *settings: str) -> dict[str, tuple[str, str]]:
    """Findings about everything but the model."""
    config = load(None, {}, settings, root).config
    found = {}
    for finding in checks.check(config):
        if finding.what == "weights":
            break
        found[finding.what] = (finding.verdict, finding.detail)
    return found


def contents(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


def test_a_whole_box_passes_and_nothing_is_left_behind(
    root: Path, prepared_state: Path, random_weights: Path, depthd: Depthd
) -> None:
    before = contents(root)
    result = depthd(
        "check",
        "--root", root,
        "--set", f"paths.state={prepared_state}",
        "--set", f"model.weights={random_weights}",
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stderr == ""
    lines = {line.split()[0]: line for line in result.stdout.splitlines()}
    assert "openvino" in lines["engine"]
    assert "(prepared)" in lines["engine"]
    assert "MB without a photo" in lines["memory"]
    assert str(random_weights) in lines["weights"]
    assert not any(" FAILED " in line or " warning " in line for line in lines.values())
    assert contents(root) == before


def test_missing_weights_and_a_broken_engine_fail(root: Path, depthd: Depthd) -> None:
    result = depthd("check", "--root", root, "--set", "model.weights=/none.pt")
    assert result.returncode == 1
    assert result.stderr == "It would not work: weights, engine.\n"
    assert result.stdout.count("/none.pt is not there") == 2


def test_a_file_in_a_folders_place_fails(root: Path) -> None:
    (root / "done").touch()
    found = verdicts(root)
    assert found["done"] == ("FAILED", f"{root}/done is not a folder")
    assert found["failed"] == ("ok", f"{root}/failed (will be created)")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_rights_fails(root: Path) -> None:
    (root / "outbox").chmod(0o500)
    assert verdicts(root)["outbox"][0] == "FAILED"


def test_folders_that_cannot_be_created_fail(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    verdict, detail = verdicts(tmp_path / "file" / "root")["inbox"]
    assert verdict == "FAILED"
    assert f"cannot be created in {tmp_path}/file" in detail


def test_work_on_another_file_system_fails(root: Path) -> None:
    if Path("/dev/shm").stat().st_dev == root.stat().st_dev:
        pytest.skip("there is only one file system here")
    assert verdicts(root, "paths.work=/dev/shm/none")["file systems"][0] == "FAILED"
    verdict, detail = verdicts(root, "paths.done=/dev/shm/none")["file systems"]
    assert (verdict, detail.startswith("done on another one")) == ("ok", True)


def test_too_little_room_fails(root: Path) -> None:
    assert verdicts(root)["disk"][0] == "ok"
    assert verdicts(root, "disk.min_free=900000000GB")["disk"][0] == "FAILED"


def test_events_are_tried(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert verdicts(root)["events"] == ("ok", "the inbox reports new files by itself")
    assert verdicts(root, "intake.watch=polling")["events"][1].startswith("not used: polling")
    monkeypatch.setattr(checks, "_EVENT_DEADLINE", 0.01)
    monkeypatch.setattr(Notes, "add", lambda *_: None)  # a share that reports nothing
    assert verdicts(root)["events"][0] == "warning"
    assert verdicts(root, "intake.watch=native")["events"][0] == "FAILED"
    assert list((root / "inbox").iterdir()) == []


def test_no_hard_links_is_only_a_warning(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    assert verdicts(root)["hard links"][0] == "warning"
    assert list((root / "outbox").iterdir()) == []


def test_the_fallback_is_a_warning(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(root / "hub"))
    config = load(None, {}, [], root).config
    assert checks._weights(config).verdict == "warning"
    strict = load(None, {}, ["model.fallback=none"], root).config
    assert checks._weights(strict).verdict == "FAILED"


def test_a_trial_that_dies_is_told(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    (finding,) = checks._engine(load(None, {}, [], root).config)
    assert (finding.verdict, finding.detail) == ("FAILED", "exit 1")


def test_failures_make_the_exit_code(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for verdict, code in (("ok", 0), ("warning", 0), ("FAILED", 1)):
        found = checks.Finding("it", verdict, "[bold]x\x1b[0m")
        monkeypatch.setattr(checks, "check", lambda _, found=found: iter([found]))
        assert cli.main(["check", "--root", str(root)]) == code
        assert r"[bold]x\x1b[0m" in capsys.readouterr().out
