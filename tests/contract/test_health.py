"""Is the service well? Every cause by itself, with the exit code of `depthd status`."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from statuses import quiet_status

from depthd import cli
from depthd.contract import status
from depthd.contract.health import CAUSES, EXIT_CODES, Cause, Health, judge
from depthd.supervisor.status_file import StatusFile

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
HOUR = 3600.0


def make(**changes: Any) -> status.Status:
    started = NOW - timedelta(hours=30)
    return quiet_status(NOW, **{"started": started, "model": model(fallback=False), **changes})


def model(*, fallback: bool) -> status.Model:
    return status.Model(
        name="builtin", sha256="a" * 64, fallback=fallback, engine="openvino", precision="f32"
    )


def worker(**changes: Any) -> status.Worker:
    return status.Worker(pid=None, ready=False, restarts=9).model_copy(update=changes)


def disk(days_left: float | None) -> status.Disk:
    return status.Disk(free=10**9, min_free=0, bytes_a_day=10**9, days_left=days_left)


def waiting(since: timedelta) -> status.Queue:
    return status.Queue(waiting=1, in_work=0, oldest_waiting=NOW - since)


def refusing(minutes: int) -> status.HookTrouble:
    return status.HookTrouble(since=NOW - timedelta(minutes=minutes), reason="refused")


def gone() -> int:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


# What the status holds, and the words that its sentence must have.
EACH: dict[Cause, tuple[dict[str, Any], str]] = {
    Cause.STOPPED: ({"state": "stopped"}, "was stopped at 2026-11-27T12:00:00Z"),
    Cause.GONE: ({"pid": gone()}, "was not stopped in order"),
    Cause.SILENT: ({"updated": NOW - timedelta(seconds=31)}, "since 2026-11-27T11:59:29Z"),
    Cause.PAUSED: ({"state": "paused", "why": "/out: No space"}, "/out: No space."),
    Cause.NO_INBOX: ({"inbox": "No such file"}, "No such file."),
    Cause.WORKER_DYING: ({"worker": worker(trouble="killed by SIGSEGV")}, "by SIGSEGV."),
    Cause.FALLBACK: ({"model": model(fallback=True)}, "no weights were found"),
    Cause.DISK_FILLS: ({"disk": disk(0.5)}, "full in 12.0 hours"),
    Cause.WAITS_LONG: ({"queue": waiting(timedelta(minutes=61))}, "for 1 h 1 min"),
    Cause.FOLDER_HELD: ({"held_folders": {"cam1": "read-only", "b": "x"}}, "cam1/ cannot"),
    Cause.HOOK_BEHIND: ({"hooks": {"webhook": refusing(10)}}, "webhook of hooks takes nothing"),
}


@pytest.mark.parametrize("cause", Cause)
def test_each_cause_is_found_by_itself_and_says_what_to_do(cause: Cause) -> None:
    changes, words = EACH[cause]
    judged = judge(make(**changes), NOW, HOUR)
    (reason,) = judged.reasons
    assert reason.cause is cause
    assert words in reason.sentence
    assert reason.sentence.endswith(".")
    assert reason.hint == CAUSES[cause].hint
    assert judged.health is CAUSES[cause].health is not Health.WELL


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"state": "starting", "worker": worker(), "model": None},  # it loads, nothing failed yet
        {"worker": worker(ready=True, deaths=5)},  # one killer photo
        {"worker": worker(ready=True, trouble="an old one")},
        {"disk": disk(1.0)},
        {"disk": disk(None)},
        {"queue": waiting(timedelta(minutes=60))},
        {"hooks": {"webhook": refusing(9)}},
    ],
)
def test_what_is_well(changes: dict[str, Any]) -> None:
    assert judge(make(**changes), NOW, HOUR).health is Health.WELL


def test_a_worker_that_dies_again_and_again_is_no_good_sign_although_one_serves() -> None:
    (reason,) = judge(make(worker=worker(ready=True, deaths=6)), NOW, HOUR).reasons
    assert "died 6 times" in reason.sentence


def test_no_limit_on_waiting() -> None:
    assert not judge(make(queue=waiting(timedelta(days=9))), NOW, 0.0).reasons


def test_a_claimed_photo_waits_as_well() -> None:
    long_ago = status.Queue(waiting=0, in_work=1, oldest=NOW - timedelta(days=2, hours=1))
    (reason,) = judge(make(queue=long_ago), NOW, HOUR).reasons
    assert "for 2 d 1 h" in reason.sentence


def test_the_worst_counts_and_all_are_said() -> None:
    judged = judge(make(state="stopped", queue=waiting(timedelta(days=1))), NOW, HOUR)
    assert judged.health is Health.DOWN
    assert [reason.cause for reason in judged.reasons] == [Cause.STOPPED, Cause.WAITS_LONG]


def test_every_cause_and_every_health_is_declared_in_full() -> None:
    assert list(CAUSES) == list(Cause) == list(EACH)
    assert list(EXIT_CODES) == list(Health)


# the folders alone ------------------------------------------------------------------------------


@pytest.mark.parametrize("is_hung", [False, True])
def test_a_daemon_that_is_away_has_its_queue_and_disk_counted_in_the_folders(
    is_hung: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder in ("state", "inbox/cam1/.hidden", "work/one", "outbox"):
        (tmp_path / folder).mkdir(parents=True)
    for photo in ("inbox/a.jpg", "inbox/cam1/b.JPG", "work/one/original"):
        (tmp_path / photo).touch()
    for other in ("inbox/notes.txt", "inbox/c.jpg.part", "inbox/cam1/.hidden/d.jpg"):
        (tmp_path / other).touch()
    (tmp_path / "inbox/link.jpg").symlink_to("/etc/passwd")
    stale = datetime.now(UTC) - timedelta(hours=2)
    last = make(
        pid=os.getpid() if is_hung else gone(),
        updated=stale,
        queue=status.Queue(waiting=4711, in_work=99, oldest=stale),
        disk=disk(1.0),
    )
    StatusFile(tmp_path / "state").write(last)
    root = ["--root", str(tmp_path), "--set", "disk.min_free=1GB"]
    assert cli.main(["status", *root]) == 2
    out, err = capsys.readouterr()
    assert "2 waiting in the inbox, 1 in work" in out
    assert "4711" not in out
    assert "not of now" in err
    place = os.statvfs(tmp_path)
    days = max(0, place.f_bavail * place.f_frsize - 10**9) / 10**9
    if days > 2:
        assert f"full in {int(days)} d" in out

    assert cli.main(["status", *root, "--set", "status.max_wait=1ms"]) == 2
    assert "A photo has waited for" in capsys.readouterr().out
