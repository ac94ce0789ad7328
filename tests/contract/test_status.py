"""What the daemon says of itself, and when it is no longer true."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections import deque
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jsonschema
import pytest

from depthd import cli
from depthd.contract import health, status
from depthd.contract.errors import FaultCode, NoInputError
from depthd.supervisor.status_file import StatusFile

NOW = datetime.now(UTC)
SCHEMA = Path(health.__file__).with_name("status.schema.json")
NAME = "cam1/\x1b[31mred[/red]\u202e\n\udcff.jpg"


def make(**changes: object) -> status.Status:
    made = status.Status(
        version="1.2.3",
        pid=os.getpid(),
        state="running",
        started=NOW - timedelta(hours=3, minutes=4, seconds=5),
        updated=NOW,
        queue=status.Queue(waiting=7, in_work=3, oldest=NOW - timedelta(seconds=9)),
        done=90,
        failed=2,
        rates=status.Rates(last_minute=30, last_15_minutes=12.5),
        worker=status.Worker(pid=4711, ready=True, restarts=1),
        model=status.Model(
            name="builtin", sha256="a" * 64, fallback=False, engine="openvino", precision="f32"
        ),
        disk=status.Disk(
            free=5_300_000_000,
            min_free=200_000_000,
            bytes_a_photo=48_400_000,
            bytes_a_day=2_040_000_000,
            days_left=2.5,
        ),
        last_failures=(status.Failure(name=NAME, code=FaultCode.EMPTY, at=NOW),),
    )
    return made.model_copy(update=changes)


@pytest.fixture
def gone() -> int:
    """The number of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "state").mkdir()
    return tmp_path


def write(root: Path, what: status.Status) -> None:
    StatusFile(root / "state").write(what)


def test_what_is_written_is_read(root: Path) -> None:
    write(root, make())
    assert status.read(root / "state") == make()
    assert (root / "state/status.json").stat().st_mode & 0o777 == 0o640


def test_there_is_none_or_another_file(root: Path) -> None:
    with pytest.raises(NoInputError, match="No such file"):
        status.read(root / "state")
    (root / "state/status.json").write_text('{"version": 3}')
    with pytest.raises(NoInputError, match="not a status"):
        status.read(root / "state")


def test_it_is_written_when_something_changed_or_the_heartbeat_is_due(root: Path) -> None:
    file = StatusFile(root / "state")
    updates = []
    for seconds, done in ((0, 90), (5, 90), (6, 91), (15, 91), (16, 91)):
        file.write(make(updated=NOW + timedelta(seconds=seconds), done=done))
        updates.append((status.read(root / "state").updated - NOW).total_seconds())
    assert updates == [0, 0, 6, 6, 16]


def test_no_disk_is_waited_for(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is written up to once a second, and may lie on an SD card."""

    def wait(handle: int) -> None:
        raise AssertionError("synced")

    monkeypatch.setattr(os, "fsync", wait)
    monkeypatch.setattr(os, "fdatasync", wait)
    write(root, make())
    assert status.read(root / "state") == make()


def test_readers_see_the_old_or_the_new_one(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(root, make(done=1))
    with (root / "state/status.json").open("rb") as old:
        write(root, make(done=2))
        assert status.Status.model_validate_json(old.read()).done == 1

    def full(handle: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "full")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(OSError, match="full"):
            write(root, make(done=3))
    assert status.read(root / "state").done == 2
    assert os.listdir(root / "state") == ["status.json"]
    (root / "state/.status.json.new").write_text("from a run that was killed")
    write(root, make(done=4))
    assert status.read(root / "state").done == 4


def test_trouble(gone: int) -> None:
    assert make().outdated(NOW + timedelta(seconds=30)) == ""
    assert "said nothing since" in make().outdated(NOW + timedelta(seconds=31))
    assert f"process {gone}) is gone" in make(pid=gone).outdated(NOW)
    assert "was stopped at" in make(state="stopped", pid=gone).outdated(NOW)


def test_rates_are_per_minute_of_the_time_that_is_known() -> None:
    now = 10_000.0
    assert status.rates([], now) == status.Rates(last_minute=0, last_15_minutes=0)
    one_a_second = deque(now - age for age in reversed(range(120)))
    assert status.rates(one_a_second, now).last_minute == 61
    assert status.rates(one_a_second, now).last_15_minutes == pytest.approx(60, abs=1)
    long_ago = [now - 901, now - 450, now - 30]
    assert status.rates(long_ago, now) == status.Rates(last_minute=1, last_15_minutes=0.3)


def test_the_table_says_all_and_is_safe(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    now = datetime.now(UTC)
    write(root, make(updated=now, started=now - timedelta(hours=3, minutes=4, seconds=5)))
    assert cli.main(["status", "--root", str(root)]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert all(line.isprintable() for line in out.split("\n"))
    for words in (
        "3 h 4 min",
        "7 waiting in the inbox, 3 in work",
        "90 done, 2 failed",
        "30 a minute now, 12.5 over 15 minutes",
        "process 4711, 1 restarts",
        "health    well",
        "builtin, SHA-256 aaaaaaaa",
        "5.3 GB free, 48.4 MB of results a photo, full in 2 d 12 h at today's rate",
        "openvino, f32",
        r"empty  cam1/\x1b[31mred[/red]\u202e\n\xff.jpg",
    ):
        assert words in out


def test_what_waits_is_named_with_the_reason(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(
        root,
        make(
            updated=datetime.now(UTC),
            queue=status.Queue(waiting=0, in_work=9, aside=3),
            aside=(
                status.Aside(name="cam2/a.jpg", reason="/out/cam2: Permission denied", tries=0),
                status.Aside(name=NAME, reason="no room for its results", tries=4),
            ),
            held_folders={"cam2": "/out/cam2: Permission denied"},
        ),
    )
    assert cli.main(["status", "--root", str(root)]) == 1
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "queue 0 waiting in the inbox, 9 in work, 3 of them set aside" in lines
    start = lines.index("waits in work/ tries why")
    assert lines[start + 1 : start + 4] == [
        "cam2/ /out/cam2: Permission denied",
        r"cam1/\x1b[31mred[/red]\u202e\n\xff.jpg 4 no room for its results",
        "and 1 more",
    ]


def test_json_is_for_programs(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(root, make(state="paused", why="disk full", updated=datetime.now(UTC)))
    assert cli.main(["status", "--json", "--root", str(root)]) == 1
    said = json.loads(capsys.readouterr().out)
    jsonschema.validate(said, json.loads(SCHEMA.read_text()))
    assert (said["schema"], said["health"], said["trouble"]) == ("depthd.status/1", "degraded", "")
    assert [reason["cause"] for reason in said["reasons"]] == ["paused"]
    assert status.Status.model_validate(said).why == "disk full"


def test_the_shipped_schema_is_that_of_the_code() -> None:
    """Where this fails: `python -m depthd.contract.health`."""
    assert SCHEMA.read_text(encoding="utf-8") == health.schema_text()


def test_a_status_of_the_first_version_can_be_read(root: Path) -> None:
    """Fields that came later have defaults, so that `status` outlives an upgrade."""
    old = make().model_dump(mode="json", exclude={"disk", "inbox"})
    for part, key in (("queue", "oldest_waiting"), ("worker", "deaths")):
        del old[part][key]
    (root / "state/status.json").write_text(json.dumps(old))
    assert status.read(root / "state").disk is None


def test_what_is_free_on_the_disk_is_no_news_by_itself(root: Path) -> None:
    write_to = StatusFile(root / "state")
    write_to.write(make())
    write_to.write(make(disk=None, updated=NOW + timedelta(seconds=9)))
    assert status.read(root / "state").disk is not None
    write_to.write(make(disk=None, updated=NOW + timedelta(seconds=10)))
    assert status.read(root / "state").disk is None


def test_figures_of_a_dead_daemon_are_shown_with_a_warning(
    root: Path, gone: int, capsys: pytest.CaptureFixture[str]
) -> None:
    write(root, make(pid=gone))
    for option in ([], ["--json"]):
        assert cli.main(["status", "--root", str(root), *option]) == 2
        out, err = capsys.readouterr()
        assert "running" in out
        assert "is gone" in err


def test_no_daemon_ever_ran_here(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["status", "--root", str(root)]) == 66
    assert "no status in" in capsys.readouterr().err
