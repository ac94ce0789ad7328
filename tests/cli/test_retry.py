"""`depthd retry` on a root as the daemon leaves it, run as a user does."""

from __future__ import annotations

import json
import os
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from spool.parts import Parts, visible
from unprivileged import NOBODY, as_nobody, needs_root

from depthd import cli
from depthd.contract.errors import ExitCode, FaultCode
from depthd.spool import Verdict

CODES = {
    "cam/a.jpg": FaultCode.EMPTY,
    "cam/b.jpg": FaultCode.WORKER_TIMEOUT,
    "c\nd.jpg": FaultCode.WORKER_TIMEOUT,
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    fill(root)
    return root


def fill(root: Path) -> None:
    """Three photos have failed."""
    with Parts.open(root) as parts:
        for name, code in CODES.items():
            parts.spool.fail(parts.claim(name), Verdict(code))


def retry(root: Path, *arguments: str | Path) -> int:
    return cli.main(["retry", "--root", str(root), *map(str, arguments)])


def failed(root: Path) -> set[str]:
    return {name for name in visible(root / "failed") if not name.endswith(".error.json")}


def test_named_photos_go_back(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert retry(root, "cam/b.jpg", "c\nd.jpg") == ExitCode.OK
    out, err = capsys.readouterr()
    assert out.splitlines() == ["cam/b.jpg: back in the inbox", r"c\nd.jpg: back in the inbox"]
    assert err == ""
    assert visible(root / "inbox") == {"cam/b.jpg", "c\nd.jpg"}
    assert failed(root) == {"cam/a.jpg"}


def test_paths_into_failed_are_names_too_and_a_reason_stands_for_its_photo(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = sorted((root / "failed/cam").iterdir())
    assert len(paths) == 4
    monkeypatch.chdir(root / "failed")
    assert retry(root, *paths[:2], *(path.relative_to(Path.cwd()) for path in paths[2:])) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2
    assert visible(root / "inbox") == {"cam/a.jpg", "cam/b.jpg"}


def test_all_that_failed_for_one_reason_go_back(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert retry(root, "--all", "--code", "worker_timeout") == ExitCode.OK
    assert failed(root) == {"cam/a.jpg"}
    assert retry(root, "--all") == ExitCode.OK
    assert failed(root) == set()
    assert visible(root / "inbox") == set(CODES)
    assert len(capsys.readouterr().out.splitlines()) == 3
    assert retry(root, "--all") == ExitCode.OK
    assert capsys.readouterr().out == "no photo in failed/ to put back\n"


def test_waste_bins_keep_what_is_in_them(root: Path) -> None:
    os.rename(root / "failed/cam", root / "failed/#recycle")
    assert retry(root, "--all") == ExitCode.OK
    assert visible(root / "inbox") == {"c\nd.jpg"}


def test_a_name_that_is_taken_is_said_and_left_alone(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "inbox/cam/a.jpg").write_bytes(b"newer")
    assert retry(root, "--all") == ExitCode.FAILURE
    assert capsys.readouterr().err == "cam/a.jpg: the inbox has a file of this name\n"
    assert failed(root) == {"cam/a.jpg"}
    assert (root / "inbox/cam/a.jpg").read_bytes() == b"newer"
    assert visible(root / "inbox") == set(CODES)


def test_a_photo_that_is_not_there_is_said_and_the_others_go(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert retry(root, "no\n.jpg", "../done/a.jpg", "cam/a.jpg") == ExitCode.FAILURE
    out, err = capsys.readouterr()
    assert out == "cam/a.jpg: back in the inbox\n"
    words = "failed/ has no photo of this name"
    assert err.splitlines() == [rf"no\n.jpg: {words}", f"../done/a.jpg: {words}"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "names of photos, or --all"),
        (["--all", "a.jpg"], "names of photos, or --all"),
        (["--code", "empty", "a.jpg"], "--code goes with --all"),
        (["--all", "--code", "emtpy"], "emtpy"),
    ],
)
def test_what_makes_no_sense_is_a_usage_error(
    root: Path, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert retry(root, *arguments) == ExitCode.USAGE
    assert words in capsys.readouterr().err
    assert failed(root) == set(CODES)


def test_a_wrong_root_is_said_and_nothing_is_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert retry(tmp_path, "--all") == ExitCode.NO_INPUT
    assert f"there is no folder {tmp_path}/failed" in capsys.readouterr().err
    assert not os.listdir(tmp_path)


@needs_root
def test_another_user_cannot_take_all_and_leaves_nothing() -> None:
    """Who may write to failed/, as droppers may, and does not own the daemon's things."""
    with TemporaryDirectory() as place:  # where everybody can come
        root = Path(place)
        fill(root)
        for folder in (root, root / "failed", root / "inbox"):
            folder.chmod(0o1777)
        before = sorted(os.listdir(root / "failed"))
        assert as_nobody(lambda: retry(root, "--all")) == ExitCode.NO_INPUT
        assert sorted(os.listdir(root / "failed")) == before
        assert failed(root) == set(CODES)


@needs_root
def test_root_becomes_the_daemons_user(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is made in the inbox then belongs to the daemon."""
    runs: list[tuple[int, tuple[str, ...]]] = []
    monkeypatch.setattr(
        "depthd.cli.identity.User.run",
        lambda user, *arguments: runs.append((user.uid, arguments)) or 1,
    )
    os.chown(root / "state", NOBODY, NOBODY)
    assert retry(root, "--all", "--code", "empty") == 1
    assert retry(root, "--", "-a.jpg") == 1
    options = ("retry", "--root", str(root))
    assert runs == [
        (NOBODY, (*options, "--all", "--code", "empty")),
        (NOBODY, (*options, "--", "-a.jpg")),
    ]
    assert failed(root) == set(CODES)


def test_a_reason_stays_until_the_photo_succeeds(root: Path) -> None:
    assert retry(root, "cam/a.jpg") == ExitCode.OK
    note = json.loads((root / "failed/cam/a.jpg.error.json").read_bytes())
    assert note["code"] == "empty"
