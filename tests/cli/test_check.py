"""`depthd check`: would it work?"""

from __future__ import annotations

import os
import pwd
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from unprivileged import NOBODY, as_nobody, needs_root

from depthd import cli
from depthd.cli import check_engine, check_folders, checks
from depthd.cli.finding import Finding
from depthd.config.load import load
from depthd.intake.notes import Notes
from depthd.system.cage import offered

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
    assert "the worker will be shut in by" in lines["cage"] or offered().lacking
    assert "MB with one of 12 megapixels, worker.max_memory 4GB" in lines["memory"]
    assert re.search(r"a photo of 12 megapixels: (48|49|5\d)(\.\d+)? MB fits", lines["results"])
    assert not any(line.endswith(" ") for line in result.stdout.splitlines())
    assert str(random_weights) in lines["weights"]
    assert not any(" FAILED " in line or " warning " in line for line in lines.values())
    assert contents(root) == before


@pytest.mark.parametrize(("a_day", "verdict"), [(0.0, "ok"), (1.0, "ok"), (1e9, "warning")])
def test_what_a_photo_takes_and_how_long_the_disk_lasts(
    a_day: float, verdict: str, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check_engine, "photos_a_day", lambda _: a_day)
    monkeypatch.setattr(check_engine, "free", lambda _: 10**9)
    config = load(None, {}, ("folders.cam1.size=model",), root).config
    trial = check_engine.Trial(sizes={"": 50 * 10**6, "cam1": 200_000})
    finding = check_engine._results(trial, config)
    assert finding.verdict == verdict
    assert "50 MB fits 20 times" in finding.detail
    assert "cam1/ 0.2 MB fits 5,000 times" in finding.detail
    assert ("full in 20 d 0 h; " in finding.detail) == (a_day == 1.0)


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


@pytest.fixture
def open_root() -> Iterator[Path]:
    """A root that users without rights can reach, unlike the test's own folder."""
    with tempfile.TemporaryDirectory(prefix="depthd-test-", dir="/var/tmp") as folder:
        os.chmod(folder, 0o755)
        for name in ("inbox", "outbox", "work", "log", "state"):
            Path(folder, name).mkdir()
            os.chown(Path(folder, name), NOBODY, NOBODY)
        yield Path(folder)


def as_its_user(root: Path) -> dict[str, list[str]]:
    """Verdicts on folders as nobody sees them."""
    config = load(None, {}, [], root).config

    def look() -> dict[str, list[str]]:
        found = check_folders.check_folders(config)
        return {finding.what: [finding.verdict, finding.detail] for finding in found}

    look()
    return as_nobody(look)


@needs_root
def test_a_folder_without_rights_fails(open_root: Path) -> None:
    (open_root / "done").mkdir()
    found = as_its_user(open_root)
    assert found["done"] == ["FAILED", f"{open_root}/done: Permission denied, as user nobody"]
    verdict, detail = found["failed"]
    assert (verdict, detail.endswith(f"cannot be created in {open_root}, as user nobody")) == (
        "FAILED",
        True,
    )
    assert found["inbox"][0] == "ok"


@needs_root
def test_a_forbidden_folder_above_is_told_in_words(open_root: Path) -> None:
    (open_root / "closed").mkdir(mode=0o700)
    found = as_its_user(open_root / "closed/root")
    assert found["inbox"][0] == "FAILED"
    assert "closed" in found["inbox"][1]


@needs_root
def test_what_an_earlier_run_as_root_left_fails(open_root: Path) -> None:
    for name in ("done", "failed"):
        (open_root / name).mkdir()
        os.chown(open_root / name, NOBODY, NOBODY)
    assert as_its_user(open_root)["leftovers"][0] == "ok"
    log = open_root / "log/depthd.jsonl"
    log.touch(0o640)
    (open_root / "work/.lock").touch(0o600)
    (open_root / "work/job").mkdir(mode=0o700)
    verdict, detail = as_its_user(open_root)["leftovers"]
    assert verdict == "FAILED"
    for left in (log, open_root / "work/.lock", open_root / "work/job"):
        assert f"{left} of root" in detail
    assert detail.endswith("give them to nobody (chown)")


@needs_root
def test_models_of_another_user_are_a_matter_of_rights(open_root: Path) -> None:
    (open_root / "state/models").mkdir(mode=0o700)
    config = load(None, {}, [], open_root).config
    check_engine._no_place(config)
    trouble = as_nobody(lambda: check_engine._no_place(config))
    assert trouble.startswith(f"{open_root}/state/models of root cannot be written as user nobody")
    os.chown(open_root / "state/models", NOBODY, NOBODY)
    assert as_nobody(lambda: check_engine._no_place(config)) == ""


@needs_root
def test_root_checks_as_the_user_who_owns_the_folder(
    open_root: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    program = open_root / "python"
    program.write_text('#!/bin/sh\nid -u\necho "$HOME $@"\nexit 78\n')
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    arguments = ["--root", str(open_root), "--set", "log.level=debug"]
    assert cli.main(["check", *arguments]) == 78
    home = pwd.getpwuid(NOBODY).pw_dir
    assert capfd.readouterr().out.splitlines() == [
        str(NOBODY),
        f"{home} -P -m depthd check {' '.join(arguments)}",
    ]
    program.chmod(0o700)
    assert cli.main(["check", *arguments]) == 1
    assert f"nobody, who owns {open_root}/state, may not run {program}" in capfd.readouterr().out


def test_a_name_that_is_too_long_fails(tmp_path: Path) -> None:
    verdict, detail = verdicts(tmp_path / ("x" * 300))["inbox"]
    assert verdict == "FAILED"
    assert "File name too long" in detail


@pytest.mark.parametrize("limit", ["100MB", "230MB"])
def test_too_little_memory_is_called_memory(
    limit: str, root: Path, prepared_state: Path, random_weights: Path
) -> None:
    settings = [f"paths.state={prepared_state}", f"model.weights={random_weights}"]
    config = load(None, {}, [*settings, f"worker.max_memory={limit}"], root).config
    engine, memory, results = check_engine.check_engine(config)
    assert engine.verdict == "ok"
    assert (memory.what, memory.verdict) == ("memory", "FAILED")
    assert memory.detail.endswith(f"worker.max_memory {limit}")
    assert results.what == "results"


def test_only_the_configuration(root: Path, tmp_path: Path, depthd: Depthd) -> None:
    file = tmp_path / "depthd.yaml"
    file.write_text("output:\n  formats: [npy, npy]\n")
    for options, code in (([], 0), (["-c", file], 78), (["--set", f"paths.done={root}/inbox"], 78)):
        result = depthd("check", "--configuration-only", "--root", root, *options)
        assert (result.returncode, result.stdout) == (code, "")
        assert bool(result.stderr) is (code != 0)


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


def test_who_cannot_be_told_is_a_warning(root: Path, tmp_path: Path) -> None:
    program, figures = tmp_path / "told", tmp_path / "figures"
    settings = (f"hooks.command=[{program}]", f"metrics.textfile={figures}/depthd.prom")
    found = verdicts(root, *settings)
    assert found["hook"] == ("warning", f"{program} is no program that this user can run")
    assert found["metrics"][0] == "warning"
    program.write_text("#!/bin/sh\n")
    assert verdicts(root, *settings)["hook"][0] == "warning"
    program.chmod(0o755)
    figures.mkdir()
    found = verdicts(root, *settings)
    assert found["hook"] == ("ok", str(program))
    assert found["metrics"] == ("ok", f"{figures}/depthd.prom")
    assert not {"hook", "metrics"} & verdicts(root).keys()
    queue = root / "state/hooks/webhook"
    queue.mkdir(parents=True)
    (queue / "1.done").touch()
    verdict, detail = verdicts(root)["hook"]
    assert verdict == "warning"
    assert detail.startswith(f"news waits in {queue} (pieces: 1), and nobody is told of it")
    assert "hook" not in verdicts(root, "hooks.webhook=http://box/")


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
    config = load(None, {}, [], root).config
    (finding,) = check_engine.check_engine(config)
    assert (finding.verdict, finding.detail) == ("FAILED", "exit 1")
    killed = root / "killed"
    killed.write_text("#!/bin/sh\nkill -9 $$\n")
    killed.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(killed))
    (finding,) = check_engine.check_engine(config)
    assert finding.detail == "killed by SIGKILL, perhaps for lack of memory"


def test_failures_make_the_exit_code(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for verdict, code in (("ok", 0), ("warning", 0), ("FAILED", 1)):
        found = Finding("it", verdict, "[bold]x\x1b[0m")
        monkeypatch.setattr(checks, "check", lambda _, found=found: iter([found]))
        assert cli.main(["check", "--root", str(root)]) == code
        assert r"[bold]x\x1b[0m" in capsys.readouterr().out
