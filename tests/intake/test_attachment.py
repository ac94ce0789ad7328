"""An inbox that goes away and comes back, and watchers that fail: found and said, once."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from inbox_loop import DEADLINE, Loop, Start
from inbox_users import nobody

from depthd.contract.events import Event
from depthd.intake import attachment, watch
from depthd.intake.mounts import shared_type, type_of
from depthd.intake.notes import Notes
from depthd.intake.rights import Refusal

TOLD = (Event.INBOX_LOST, Event.INBOX_FOUND, Event.WATCH_LOST, Event.WATCH_DEGRADED)


def told(loop: Loop) -> list[Event]:
    return [event for event, _ in loop.events if event in TOLD]


def drop(loop: Loop, name: str) -> None:
    (loop.inbox / name).write_bytes(b"x")


@pytest.fixture(params=["auto", "polling"])
def loop(request: pytest.FixtureRequest, start: Start) -> Loop:
    started = start(watch=request.param, poll_interval="100ms", rescan_interval="60s")
    drop(started, "before.jpg")
    started.until_taken("before.jpg")
    return started


def comes_back(loop: Loop) -> None:
    drop(loop, "after.jpg")
    loop.until_taken("before.jpg", "after.jpg")
    assert told(loop) == [Event.INBOX_LOST, Event.INBOX_FOUND]
    drop(loop, "later.jpg")  # and it is watched again
    loop.until_taken("before.jpg", "after.jpg", "later.jpg")


def test_deleted_and_made_again(loop: Loop) -> None:
    loop.inbox.rmdir()
    loop.until(lambda: told(loop) == [Event.INBOX_LOST])
    assert not loop.intake.drained
    loop.inbox.mkdir()
    comes_back(loop)


def test_renamed_and_made_again(loop: Loop) -> None:
    loop.inbox.rename(loop.root / "elsewhere")
    loop.until(lambda: told(loop) == [Event.INBOX_LOST])
    (loop.root / "elsewhere" / "not ours.jpg").write_bytes(b"x")
    loop.inbox.mkdir()
    comes_back(loop)


def test_replaced_between_two_looks(loop: Loop) -> None:
    (loop.root / "new").mkdir()
    (loop.root / "new" / "after.jpg").write_bytes(b"x")
    loop.inbox.rename(loop.root / "old")
    (loop.root / "new").rename(loop.inbox)
    comes_back(loop)


def test_made_again_at_once_with_the_same_inode(start: Start) -> None:
    loop = start(watch="native")
    loop.until_drained()
    loop.inbox.rmdir()
    loop.inbox.mkdir()
    drop(loop, "after.jpg")
    loop.until_taken("after.jpg")
    assert told(loop) == [Event.INBOX_LOST, Event.INBOX_FOUND]


def test_missing_at_the_start(tmp_path: Path) -> None:
    loop = Loop(tmp_path, settle="0s")
    try:
        loop.inbox.rmdir()
        loop.start()
        loop.until(lambda: told(loop) == [Event.INBOX_LOST])
        assert loop.intake.take(5) == []
        loop.inbox.mkdir()
        drop(loop, "a.jpg")
        loop.until_taken("a.jpg")
    finally:
        loop.close()


@pytest.mark.parametrize("watch", ["auto", "polling"])
def test_without_rights_and_back(watch: str) -> None:
    with nobody() as root:
        loop = Loop(root, settle="0s", watch=watch, poll_interval="100ms")
        try:
            loop.start()
            drop(loop, "before.jpg")
            loop.until_taken("before.jpg")
            loop.inbox.chmod(0)
            loop.until(lambda: told(loop) == [Event.INBOX_LOST])
            loop.inbox.chmod(0o755)
            comes_back(loop)
        finally:
            loop.inbox.chmod(0o755)
            loop.close()


def test_files_and_folders_without_rights_are_left_and_taken_when_they_have_them() -> None:
    with nobody() as root:
        loop = Loop(root, settle="0s", watch="polling", poll_interval="100ms")
        try:
            drop(loop, "secret.jpg")
            drop(loop, "open.jpg")
            (loop.inbox / "locked").mkdir()
            drop(loop, "locked/deep.jpg")
            (loop.inbox / "secret.jpg").chmod(0)
            (loop.inbox / "locked").chmod(0)
            loop.start()
            loop.until_drained()
            assert loop.names == ["open.jpg"]
            loop.until_rescanned()
            assert set(loop.ignored()) == {"secret.jpg", "locked"}
            (loop.inbox / "secret.jpg").chmod(0o600)
            (loop.inbox / "locked").chmod(0o700)
            loop.until_taken("open.jpg", "secret.jpg", "locked/deep.jpg")
        finally:
            (loop.inbox / "locked").chmod(0o700)
            loop.close()


def test_an_inbox_that_cannot_be_written_is_watched_all_the_same() -> None:
    with nobody() as root:
        loop = Loop(root, watch="auto")
        try:
            drop(loop, "a.jpg")
            loop.inbox.chmod(0o555)
            loop.start()
            loop.until(lambda: loop.modes() == ["native"])
            loop.until_drained()
            assert loop.ignored() == {".": Refusal.FIXED_FOLDER}
            loop.inbox.chmod(0o755)
            loop.until_rescanned()
            loop.until_taken("a.jpg")
        finally:
            loop.inbox.chmod(0o755)
            loop.close()


# The watcher ----------------------------------------------------------------------------------


def test_native_events_prove_themselves_and_leave_no_trace(start: Start) -> None:
    loop = start(watch="auto")
    loop.until(lambda: loop.modes() == ["native"])
    assert list(loop.inbox.iterdir()) == []


def test_a_folder_without_events_is_polled(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attachment, "_PROBE_PATIENCE", 0.1)
    monkeypatch.setattr(attachment, "_CHECK_EVERY", 0.1)
    monkeypatch.setattr(Notes, "add", lambda *_: None)  # every event is lost
    loop = start(watch="auto", poll_interval="100ms")
    loop.until(lambda: loop.modes() == ["polling"])
    drop(loop, "a.jpg")
    loop.until_taken("a.jpg")
    assert told(loop) == [Event.WATCH_DEGRADED]


def test_a_watcher_that_dies_is_replaced(start: Start) -> None:
    loop = start(watch="auto")
    loop.until(lambda: loop.modes() == ["native"])
    loop.intake._attachment.watcher._reader.stop()
    drop(loop, "a.jpg")
    loop.until_taken("a.jpg")
    loop.until(lambda: told(loop) == [Event.WATCH_LOST])
    drop(loop, "b.jpg")
    loop.until_taken("a.jpg", "b.jpg")


def test_a_watcher_that_dies_again_and_again_is_left_alone_for_a_while(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attachment, "_CHECK_EVERY", 0.01)
    loop = start(watch="native", poll_interval="100ms")

    def kill() -> bool:
        watcher = loop.intake._attachment.watcher
        if watcher is not None:
            watcher._reader.stop()
        return Event.WATCH_DEGRADED in told(loop)

    loop.until(kill)
    assert told(loop) == [Event.WATCH_LOST] * 3 + [Event.WATCH_DEGRADED]
    drop(loop, "a.jpg")
    loop.until_taken("a.jpg")


def test_whatever_ails_the_watcher_photos_are_found(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise TypeError("another version of watchdog")

    monkeypatch.setattr(attachment, "Watcher", broken)
    monkeypatch.setattr(attachment, "_RETRY_AFTER", 0.1)
    loop = start(watch="native", poll_interval="100ms")
    drop(loop, "a.jpg")
    loop.until_taken("a.jpg")
    assert told(loop) == [Event.WATCH_DEGRADED]
    monkeypatch.undo()
    loop.intake._attachment._retry_at = 0.0
    loop.until(lambda: loop.modes() == ["polling", "native"])


def test_a_flood_of_events_ends_in_one_scan(start: Start) -> None:
    loop = start(watch="native")
    loop.until_drained()
    loop.intake._attachment.watcher.notes._limit = 10
    names = [f"{number:03}.jpg" for number in range(300)]
    for name in names:
        drop(loop, name)
    loop.until_taken(*names)
    assert loop.fields_of(Event.WATCH_OVERFLOW)
    loop.until_drained()


# What only a namespace of one's own can show --------------------------------------------------

CHILD = """
import json, os, subprocess, sys
from pathlib import Path
from inbox_loop import Loop

def show(loop):
    print(json.dumps([[event, {k: str(v) for k, v in fields.items()}]
                      for event, fields in loop.events]), flush=True)

def drop(name):
    (loop.inbox / name).write_bytes(b"x")

loop = Loop(Path(sys.argv[1]), settle="50ms", poll_interval="100ms")
"""


def in_namespace(tmp_path: Path, script: str) -> list[tuple[Event, dict[str, str]]]:
    """Run a script as root of a user and mount namespace; its last line is the events."""
    command = ["unshare", "--user", "--map-root-user", "--mount"]
    if (
        shutil.which("unshare") is None
        or subprocess.run([*command, "true"], check=False).returncode
    ):
        pytest.skip("namespaces are not permitted here")
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    done = subprocess.run(
        [*command, sys.executable, "-c", CHILD + script, str(tmp_path)],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        timeout=2 * DEADLINE,
        check=True,
    )
    return [(Event(event), fields) for event, fields in json.loads(done.stdout.splitlines()[-1])]


def test_mounted_over_and_unmounted(tmp_path: Path) -> None:
    events = in_namespace(
        tmp_path,
        """
loop.start()
drop("below.jpg")
loop.until_taken("below.jpg")
subprocess.run(["mount", "-t", "tmpfs", "none", loop.inbox], check=True)
drop("mounted.jpg")
def claim(candidate):
    os.unlink(loop.inbox / candidate.name)
    loop.taken.append(candidate)
loop._claim = claim
loop.until_taken("below.jpg", "mounted.jpg")
loop.until(lambda: loop.modes() and loop.intake._attachment.is_native)
subprocess.run(["umount", loop.inbox], check=True)
drop("after.jpg")
loop.until_taken("below.jpg", "mounted.jpg", "after.jpg")
show(loop)
""",
    )
    happened = [event for event, _ in events if event in TOLD]
    assert happened == [Event.INBOX_LOST, Event.INBOX_FOUND] * 2


@pytest.mark.parametrize("limit", ["max_inotify_watches", "max_inotify_instances"])
def test_the_kernels_limits_mean_polling(tmp_path: Path, limit: str) -> None:
    events = in_namespace(
        tmp_path,
        f"""
Path("/proc/sys/user/{limit}").write_text("0")
loop.start()
drop("a.jpg")
loop.until_taken("a.jpg")
show(loop)
""",
    )
    (degraded,) = [fields for event, fields in events if event is Event.WATCH_DEGRADED]
    assert "limit" in degraded["reason"]


def test_folders_beyond_the_kernels_limit_are_polled_and_the_others_watched(tmp_path: Path) -> None:
    events = in_namespace(
        tmp_path,
        """
Path("/proc/sys/user/max_inotify_watches").write_text("2")
(loop.inbox / "cam1").mkdir()
(loop.inbox / "cam2").mkdir()
loop.start()
drop("cam1/a.jpg")
drop("cam2/a.jpg")
loop.until_taken("cam1/a.jpg", "cam2/a.jpg")
show(loop)
""",
    )
    (degraded,) = [fields for event, fields in events if event is Event.WATCH_DEGRADED]
    assert degraded["mode"] == "partly polling"
    assert degraded["folder"] in {"cam1", "cam2"}
    assert "limit" in degraded["reason"]


# An outbox inside the inbox ---------------------------------------------------------------------


def test_an_inbox_that_holds_the_outbox_is_not_attached(start: Start, tmp_path: Path) -> None:
    """Heatmaps of heatmaps of heatmaps."""
    (tmp_path / "real" / "results").mkdir(parents=True)
    (tmp_path / "outbox").symlink_to(tmp_path / "real" / "results")
    loop = start(watch="auto", poll_interval="100ms")
    loop.until_drained()
    loop.inbox.rename(tmp_path / "elsewhere")
    (tmp_path / "inbox").symlink_to(tmp_path / "real")
    (tmp_path / "real" / "a.jpg").write_bytes(b"x")
    loop.until(lambda: loop.fields_of(Event.INBOX_LOST))
    loop.run_for(1.5)
    assert not loop.taken
    assert len(loop.fields_of(Event.INBOX_LOST)) == 1
    (tmp_path / "outbox").unlink()
    loop.until_taken("a.jpg")


def test_the_log_says_why_such_an_inbox_is_not_attached(start: Start, tmp_path: Path) -> None:
    (tmp_path / "inbox" / "results").mkdir(parents=True)
    (tmp_path / "outbox").symlink_to(tmp_path / "inbox" / "results")
    loop = start()
    (lost,) = loop.fields_of(Event.INBOX_LOST)
    assert "paths.outbox" in lost["reason"]
    assert "lies inside paths.inbox" in lost["reason"]


# Shares ---------------------------------------------------------------------------------------

TABLE = """\
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 22 0:44 / /mnt/nas rw,relatime shared:9 master:1 - nfs4 nas:/photos rw,vers=4.2
31 22 0:45 / /mnt/with\\040space rw - fuse.sshfs user@host:/ rw
"""


def test_types_are_read_from_the_table_of_mounts(tmp_path: Path) -> None:
    assert type_of(TABLE, os.makedev(0, 44)) == "nfs4"
    assert type_of(TABLE, os.makedev(0, 45)) == "fuse.sshfs"
    assert type_of(TABLE, os.makedev(254, 0)) == "ext4"
    assert type_of(TABLE, os.makedev(9, 9)) == ""
    assert shared_type(tmp_path) == ""
    assert shared_type(tmp_path / "nowhere") == ""


def test_a_share_is_polled_without_a_probe(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attachment, "shared_type", lambda folder: "nfs4")
    loop = start(watch="auto", poll_interval="100ms")
    drop(loop, "a.jpg")
    loop.until_taken("a.jpg")
    (degraded,) = loop.fields_of(Event.WATCH_DEGRADED)
    assert "nfs4" in degraded["reason"]
    assert loop.intake._attachment.watcher is None


# Many folders -----------------------------------------------------------------------------------


def test_a_folder_of_many_folders_is_polled_and_the_others_are_watched(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "WATCHES_PER_TOP", 10)
    loop = start(watch="native", settle="50ms", poll_interval="200ms", rescan_interval="1h")
    for number in range(300):
        (loop.inbox / "greedy" / f"{number}").mkdir(parents=True)
    (loop.inbox / "cam").mkdir()
    loop.until_drained()
    for number in range(3):
        drop(loop, f"cam/{number}.jpg")
        loop.until_taken(*(f"cam/{taken}.jpg" for taken in range(number + 1)))
    drop(loop, "greedy/250/late.jpg")
    loop.until(lambda: "greedy/250/late.jpg" in loop.names)
    (degraded,) = loop.fields_of(Event.WATCH_DEGRADED)  # said once
    assert (degraded["mode"], degraded["folder"]) == ("partly polling", "greedy")


def test_a_folder_that_becomes_small_again_is_watched_again(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "WATCHES_PER_TOP", 10)
    loop = start(watch="native", poll_interval="100ms", rescan_interval="1h")
    for number in range(30):
        (loop.inbox / "greedy" / f"{number}").mkdir(parents=True)
    loop.until_drained()
    loop.until(lambda: loop.intake._rounds._polled)
    for number in range(5, 30):
        (loop.inbox / "greedy" / f"{number}").rmdir()
    loop.until(lambda: not loop.intake._rounds._polled)
    drop(loop, "greedy/4/a.jpg")
    loop.until_taken("greedy/4/a.jpg")


def test_a_huge_folder_does_not_hold_up_the_scan_of_another(start: Start) -> None:
    loop = start(watch="polling", poll_interval="1h", settle="0s")
    loop.until_drained()
    for number in range(3000):
        (loop.inbox / "huge" / f"{number}").mkdir(parents=True)
    (loop.inbox / "cam").mkdir()
    drop(loop, "cam/a.jpg")
    rounds = loop.intake._rounds
    rounds.want("huge")
    rounds.want("cam")
    loop.until(lambda: loop.intake.backlog)
    assert any(scan.top == "huge" for scan in rounds._scans)  # it is still at it
