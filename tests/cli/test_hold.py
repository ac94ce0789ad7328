"""`depthd hold` and `release` without a daemon; beside one: tests/service/test_hold.py."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from spool.parts import Parts
from unprivileged import NOBODY, needs_root

from depthd import cli
from depthd.contract.errors import ExitCode
from depthd.spool.holds import HoldsFile

_NO_DAEMON = "no daemon runs here; the next one takes it up"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    with Parts.open(tmp_path):
        return tmp_path


def call(root: Path, command: str, *arguments: str | Path) -> int:
    return cli.main([command, "--root", str(root), *map(str, arguments)])


def held(root: Path) -> set[str]:
    return set(HoldsFile(root / "state").read())


def test_everything_is_held_until_it_is_released(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(root, "hold") == ExitCode.OK
    assert held(root) == {""}
    assert capsys.readouterr().out.splitlines() == [".: held", _NO_DAEMON]
    assert call(root, "release") == ExitCode.OK
    assert held(root) == set()
    assert capsys.readouterr().out.splitlines() == [".: released", _NO_DAEMON]
    assert call(root, "release") == ExitCode.OK
    assert capsys.readouterr().out.splitlines() == ["nothing was held", _NO_DAEMON]


def test_folders_are_held_by_name_or_path_and_keep_their_time(root: Path) -> None:
    assert call(root, "hold", "cam1", root / "inbox/yard/cam 2", "cam1/") == ExitCode.OK
    assert held(root) == {"cam1", "yard/cam 2"}
    since = HoldsFile(root / "state").read()["cam1"]
    assert call(root, "hold", "cam1") == ExitCode.OK
    assert HoldsFile(root / "state").read()["cam1"] == since
    assert call(root, "release", "cam1") == ExitCode.OK
    assert held(root) == {"yard/cam 2"}


def test_a_name_that_the_inbox_does_not_have_is_held_and_said(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "inbox/cam1").mkdir()
    assert call(root, "hold", "cam1", "cma1") == ExitCode.OK
    assert capsys.readouterr().out.splitlines() == [
        "cam1: held",
        "cma1: held; the inbox has no folder of this name now",
        _NO_DAEMON,
    ]
    assert held(root) == {"cam1", "cma1"}


def test_a_folder_that_is_held_with_another_is_not_released_by_its_name(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call(root, "hold")
    capsys.readouterr()
    assert call(root, "release", "cam1") == ExitCode.FAILURE
    out, err = capsys.readouterr()
    assert err == "cam1: was not held by this name\n"
    assert out.splitlines() == [".: still held", _NO_DAEMON]
    assert held(root) == {""}
    assert call(root, "release", ".") == ExitCode.OK
    assert held(root) == set()


@pytest.mark.parametrize("name", ["../done", "/elsewhere"])
def test_a_folder_elsewhere_is_a_usage_error(
    root: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(root, "hold", name) == ExitCode.USAGE
    assert f"{name} is no folder inside {root}/inbox" in capsys.readouterr().err
    assert held(root) == set()


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[1]", b'{"schema": "depthd.holds/9"}', b'{"schema": "depthd.holds/1"}']
)
def test_a_file_that_makes_no_sense_is_said_and_kept(
    root: Path, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    file = root / "state/holds.json"
    file.write_bytes(content)
    assert call(root, "hold") == ExitCode.NO_INPUT
    assert "holds.json" in capsys.readouterr().err
    assert file.read_bytes() == content


def test_without_a_root_it_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(tmp_path, "hold") == ExitCode.NO_INPUT
    assert f"there is no folder {tmp_path}/state" in capsys.readouterr().err


@needs_root
def test_root_becomes_the_daemons_user(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs: list[tuple[str, ...]] = []
    monkeypatch.setattr(
        "depthd.cli.identity.User.run", lambda _, *arguments: runs.append(arguments) or 0
    )
    (root / "state").chmod(0o700)
    os.chown(root / "state", NOBODY, NOBODY)
    assert call(root, "hold", ".", "cam1") == 0
    assert call(root, "release") == 0
    assert runs == [
        ("hold", "--root", str(root), "--", ".", "cam1"),
        ("release", "--root", str(root), "--"),
    ]
