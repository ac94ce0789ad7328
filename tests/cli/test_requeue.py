"""`depthd requeue` on a root as the daemon leaves it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from spool.parts import Parts, claimed, look, publish, visible
from unprivileged import NOBODY, needs_root

from depthd import cli
from depthd.contract.errors import ExitCode

NAME = "cam/a.jpg"
RESULTS = {f"{NAME}{suffix}" for suffix in (".json", ".heatmap.png", ".depth.npy")}


def do(root: Path, name: str = NAME) -> str:
    """A photo on its whole way, once it lies in the inbox. Returns its set's name."""
    with Parts.open(root) as parts:
        job = parts.spool.claim(look(root, name))
        target = publish(parts.publisher, claimed(job))
        parts.spool.finish(job, target)
        return target.path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "inbox/cam").mkdir(parents=True)
    (root / "inbox" / NAME).write_bytes(b"photo")
    assert do(root) == NAME
    return root


def requeue(root: Path, *arguments: str | Path) -> int:
    return cli.main(["requeue", "--root", str(root), *map(str, arguments)])


def test_new_results_come_to_lie_beside_the_old_ones(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {name: (root / "outbox" / name).read_bytes() for name in RESULTS}
    assert requeue(root, NAME) == ExitCode.OK
    assert capsys.readouterr().out == f"{NAME}: back in the inbox\n"
    assert visible(root / "inbox") == {NAME}
    assert visible(root / "done") == set()
    again = do(root)
    assert again != NAME
    assert visible(root / "done") == {again}
    assert {name: (root / "outbox" / name).read_bytes() for name in RESULTS} == before
    assert len(visible(root / "outbox")) == 2 * len(RESULTS)


def test_results_that_were_taken_away_leave_their_name(root: Path) -> None:
    for name in RESULTS:
        (root / "outbox" / name).unlink()
    assert requeue(root, root / "done" / NAME) == ExitCode.OK
    assert do(root) == NAME
    assert visible(root / "done") == {NAME}


def test_what_is_not_there_or_taken_is_said(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "inbox" / NAME).write_bytes(b"newer")
    assert requeue(root, NAME, "b.jpg", "../inbox/cam/a.jpg") == ExitCode.FAILURE
    assert capsys.readouterr().err.splitlines() == [
        f"{NAME}: the inbox has a file of this name",
        "b.jpg: done/ has no photo of this name",
        "../inbox/cam/a.jpg: done/ has no photo of this name",
    ]
    assert (root / "inbox" / NAME).read_bytes() == b"newer"
    assert visible(root / "done") == {NAME}


def test_without_a_name_it_is_a_usage_error(root: Path) -> None:
    assert requeue(root) == ExitCode.USAGE


@needs_root
def test_root_becomes_the_daemons_user(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs: list[tuple[str, ...]] = []
    monkeypatch.setattr(
        "depthd.cli.identity.User.run", lambda _, *arguments: runs.append(arguments) or 0
    )
    os.chown(root / "state", NOBODY, NOBODY)
    assert requeue(root, NAME) == 0
    assert runs == [("requeue", "--root", str(root), "--", NAME)]
