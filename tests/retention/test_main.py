"""Retention in a real process, as the daemon and `depthd prune` have it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from spool.parts import Parts, claimed, publish, visible

from depthd import cli
from depthd.config import Config
from depthd.config.retention import Retention
from depthd.contract.errors import ExitCode
from depthd.contract.events import Event
from depthd.retention.passing import only_pass
from depthd.supervisor import cleaner
from depthd.supervisor.cleaner import Cleaner
from depthd.supervisor.filework import FileWork

_DEADLINE = 60.0
_OLD = (1_000_000, 1_000_000)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """One photo from long ago, one of today."""
    with Parts.open(tmp_path) as parts:
        for name in ("cam/old.jpg", "new.jpg"):
            job = parts.claim(name)
            parts.spool.finish(job, publish(parts.publisher, claimed(job)))
    os.utime(tmp_path / "outbox/cam/old.jpg.json", _OLD)
    return tmp_path


class Beside:
    """A cleaner, and what it has said."""

    def __init__(self, root: Path, **asked: Any) -> None:
        self.said: list[tuple[Event, dict[str, Any]]] = []
        self.now = 0.0
        self.config = Config.model_validate({"root": root, "retention": asked})
        self.filework = FileWork(0, lambda: None)
        self.cleaner = Cleaner(self.config, self.filework, self.emit)

    def emit(self, event: Event, /, **fields: Any) -> None:
        self.said.append((event, fields))

    def events(self) -> list[Event]:
        return [event for event, _ in self.said]

    def turn(self) -> float:
        self.filework.deliver()
        return self.cleaner.turn(self.now)

    def turn_until(self, is_so: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _DEADLINE
        while not is_so():
            assert time.monotonic() < deadline, self.said
            self.turn()
            time.sleep(0.01)


Start = Callable[..., Beside]


@pytest.fixture
def start(root: Path) -> Iterator[Start]:
    """Cleaners of this root; what they have started ends with the test."""
    begun: list[Beside] = []

    def started(**asked: Any) -> Beside:
        begun.append(Beside(root, **asked))
        return begun[-1]

    yield started
    for beside in begun:
        beside.cleaner.stop()


def test_the_daemon_removes_and_says_so(root: Path, start: Start) -> None:
    size = (root / "done/cam/old.jpg").stat().st_size
    beside = start(done="7d")
    assert beside.turn() == 60.0
    assert beside.cleaner.sources() == set()
    beside.now = 60.0
    beside.turn_until(lambda: Event.RETENTION_OVER in beside.events())
    ((_, fields), _) = beside.said
    assert beside.events() == [Event.PHOTO_REMOVED, Event.RETENTION_OVER]
    assert fields["name"] == "cam/old.jpg"
    assert fields["kind"] == "done"
    assert fields["why"] == "age"
    assert fields["job"]
    assert fields["bytes"] - fields["results"] == size
    beside.turn_until(lambda: not beside.cleaner.sources())
    assert visible(root / "done") == {"new.jpg"}
    assert beside.turn() == 60.0 + 900.0


def test_it_never_starts_unless_it_is_asked_for(root: Path, start: Start) -> None:
    beside = start()
    beside.now = 1e9
    assert beside.turn() == float("inf")
    assert not beside.filework.pending
    beside.cleaner.take_up(Config.model_validate({"root": root, "retention": {"failed": "1d"}}))
    assert beside.turn() == 1e9 + 60


def test_a_disk_that_fills_up_is_looked_at_soon(start: Start) -> None:
    beside = start(min_free="1GB")
    beside.turn()
    beside.now = 60.0
    beside.turn_until(lambda: bool(beside.cleaner.sources()))
    beside.turn_until(lambda: not beside.cleaner.sources())
    assert beside.turn() == 960.0
    beside.now = 70.0
    beside.cleaner.note_free(10**9, 70.0)
    assert beside.turn() == 960.0
    beside.cleaner.note_free(10**9 - 1, 70.0)
    assert beside.turn() == 120.0


def test_one_that_says_nothing_for_hours_is_ended_and_said(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = [sys.executable, "-c", "import time; time.sleep(1000)"]
    monkeypatch.setattr(cleaner, "module", lambda _: silent)
    beside = start(done="7d", interval="1d")
    beside.turn()
    beside.now = 60.0
    beside.turn_until(lambda: bool(beside.cleaner.sources()))
    beside.now = 60.0 + 6 * 3600 - 1
    assert beside.turn() == 60.0 + 6 * 3600
    assert beside.cleaner.sources()
    beside.now += 1
    beside.turn()
    assert not beside.cleaner.sources()
    reason = "it has said nothing for six hours"
    assert beside.said == [(Event.RETENTION_TROUBLE, {"reason": reason})]


def test_other_limits_are_heeded_soon_whatever_the_interval_was(start: Start) -> None:
    beside = start(done="7d", interval="1d")
    beside.turn()
    beside.now = 60.0
    assert beside.turn() == 60 + 86_400
    beside.turn_until(lambda: Event.RETENTION_OVER in beside.events())
    beside.turn_until(lambda: not beside.cleaner.sources())
    beside.cleaner.take_up(beside.config)
    assert beside.turn() == 60 + 86_400
    other = beside.config.model_copy(update={"retention": Retention(done=3600.0)})
    beside.cleaner.take_up(other)
    assert beside.turn() == 120


def test_a_process_that_dies_is_said_and_followed_by_another(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cleaner, "module", lambda _: ["sh", "-c", "exit 3"])
    beside = start(done="7d")
    beside.turn()
    beside.now = 60.0
    beside.turn_until(lambda: bool(beside.said))
    assert beside.said == [(Event.RETENTION_TROUBLE, {"reason": "it ended with code 3"})]
    monkeypatch.undo()
    beside.now = 960.0
    beside.turn_until(lambda: Event.RETENTION_OVER in beside.events())


def test_one_that_runs_ends_with_the_daemon(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cleaner, "module", lambda _: ["sleep", "1000"])
    started: list[subprocess.Popen[bytes]] = []
    popen = subprocess.Popen
    monkeypatch.setattr(
        cleaner.subprocess, "Popen", lambda *a, **k: started.append(popen(*a, **k)) or started[-1]
    )
    beside = start(done="7d")
    beside.turn()
    beside.now = 60.0
    beside.turn_until(lambda: bool(beside.cleaner.sources()))
    beside.cleaner.stop()
    assert started[0].returncode == -9
    assert beside.said == []


def test_one_that_a_disk_keeps_does_not_keep_the_daemon(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cleaner, "module", lambda _: ["sleep", "1000"])
    monkeypatch.setattr(cleaner, "_PATIENCE", 0.01)
    beside = start(done="7d")
    beside.turn()
    beside.now = 60.0
    beside.turn_until(lambda: bool(beside.cleaner.sources()))
    assert beside.cleaner._running is not None
    process = beside.cleaner._running.process
    with monkeypatch.context() as undying:
        undying.setattr(process, "kill", lambda: None)
        beside.cleaner.stop()
        assert process.poll() is None
    process.kill()
    process.wait()


# depthd prune --------------------------------------------------------------------------------


def prune(root: Path, *arguments: str) -> int:
    return cli.main(["prune", "--root", str(root), *arguments])


def test_prune_says_what_goes_and_then_removes_it(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert prune(root, "--dry-run", "--set", "retention.done=7d") == ExitCode.OK
    first, last = capsys.readouterr().out.splitlines()
    assert first.startswith("cam/old.jpg: done, with its results, 1970-01-12T13:46:40Z, ")
    assert first.endswith("for its age")
    assert last.startswith("would go: 1, ")
    assert visible(root / "done") == {"cam/old.jpg", "new.jpg"}
    assert not (root / "log/depthd.jsonl").exists()
    assert prune(root, "--set", "retention.done=7d") == ExitCode.OK
    assert capsys.readouterr().out.splitlines()[0] == first
    assert visible(root / "done") == {"new.jpg"}
    (line,) = (root / "log/depthd.jsonl").read_text().splitlines()
    entry = json.loads(line)
    assert (entry["event"], entry["name"]) == ("photo.removed", "cam/old.jpg")


def test_prune_without_limits_says_so(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert prune(root) == ExitCode.OK
    assert "retention asks for nothing" in capsys.readouterr().out
    assert visible(root / "done") == {"cam/old.jpg", "new.jpg"}


def test_only_one_prunes_at_a_time(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with only_pass(root / "state"):
        assert prune(root, "--set", "retention.done=7d") == ExitCode.TEMPORARY
    assert "is at it" in capsys.readouterr().err
    assert visible(root / "done") == {"cam/old.jpg", "new.jpg"}


def test_room_that_is_less_than_the_pause_asks_for_is_refused(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert prune(root, "--set", "retention.min_free=100MB") == ExitCode.CONFIGURATION
    assert "retention.min_free: 100MB is not more than disk.min_free" in capsys.readouterr().err
