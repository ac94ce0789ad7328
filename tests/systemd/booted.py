"""depthd as a service, under a real systemd on a Debian that is booted for it.

Run by name, as root, with debootstrap and systemd-nspawn: `pytest tests/systemd/booted.py`. One
boot serves all cases; each is a test of its own, finds the service running, and leaves it so. They
run in the order of the file.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from box import PROJECT, Box, prepared, wheels

LACKING = [tool for tool in ("debootstrap", "systemd-nspawn") if not shutil.which(tool)]
pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can boot a container"),
    pytest.mark.skipif(bool(LACKING), reason=f"not installed: {', '.join(LACKING)}"),
]
DEPTHD = "/opt/depthd/.venv/bin/depthd"
ROOT = "/var/lib/depthd"
PHOTO = PROJECT / "depthd/samples/coffee.jpg"
NEXT = "0.2.0.dev1"  # the version that an upgrade brings


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """The booted box, with the package and three people, without the service."""
    for box in prepared(tmp_path_factory.mktemp("booted")):
        for person in ("ann", "ben", "collector"):
            box.run("useradd", "--create-home", person)
        shutil.copyfile(PHOTO, box.path("/opt/photo.jpg"))
        yield box


@pytest.fixture(scope="module")
def installed(bare: Box) -> Box:
    said = bare.run(DEPTHD, "service", "install")
    assert "done    depthd.service runs" in said
    bare.run("usermod", "--append", "--groups", "depthd", "ann")
    bare.run("usermod", "--append", "--groups", "depthd-collect", "collector")
    return bare


@pytest.fixture
def box(installed: Box) -> Iterator[Box]:
    """The box with its service running; what a test changes of the unit ends with it."""
    installed.until(lambda: installed.shows("ActiveState") == "active", "it does not run")
    yield installed
    drop_in = installed.path("/etc/systemd/system/depthd.service.d")
    if drop_in.exists():
        shutil.rmtree(drop_in)
        installed.run("systemctl", "daemon-reload")
        installed.run("systemctl", "restart", "depthd")


def change(box: Box, *lines: str) -> None:
    """A drop-in, and a restart with it."""
    drop_in = box.path("/etc/systemd/system/depthd.service.d/test.conf")
    drop_in.parent.mkdir()
    drop_in.write_text("\n".join(("[Service]", *lines, "")))
    box.run("systemctl", "daemon-reload")
    box.run("systemctl", "restart", "depthd")


def settings(box: Box, text: str) -> None:
    box.path("/etc/depthd/config.yaml").write_text(text)


def drop(box: Box, *names: str, user: str = "ann", root: str = ROOT) -> None:
    """Photos of somebody, each moved in when it is whole."""
    script = 'cd "$0/inbox" && for name; do cp /opt/photo.jpg ".$name" && mv ".$name" "$name"; done'
    box.run("sh", "-euc", script, root, *names, user=user)


def home(box: Box, *names: str, root: str = ROOT) -> None:
    """Wait until each is done, once and whole."""
    done = box.path(f"{root}/done")
    box.until(lambda: all((done / name).exists() for name in names), f"{names} are not done")
    for name in names:
        manifest = json.loads(box.path(f"{root}/outbox/{name}.json").read_bytes())
        for file in manifest["files"]:
            about = box.path(f"{root}/outbox/{Path(file['name']).name}").stat()
            assert about.st_size == file["bytes"]


def several(word: str, number: int) -> tuple[str, ...]:
    return tuple(f"{word}-{index}.jpg" for index in range(number))


def main_pid(box: Box) -> str:
    return box.shows("MainPID")


def worker_pid(box: Box) -> str:
    pid = main_pid(box)
    return box.run("sh", "-c", f"cat /proc/{pid}/task/*/children").split()[0]


# --- Installing ---


def test_a_dry_run_says_all_and_does_nothing(bare: Box) -> None:
    said = bare.run(DEPTHD, "service", "install", "--dry-run")
    assert "to do   /etc/systemd/system/depthd.service\n" in said
    assert "to do   depthd.service runs" in said
    assert not re.search(r"^(right|done)", said, re.MULTILINE)
    for path in ("/etc/systemd/system/depthd.service", "/etc/depthd", ROOT):
        assert not bare.path(path).exists()


def test_installing_again_finds_all_right(installed: Box) -> None:
    before = main_pid(installed)
    said = installed.run("depthd", "service", "install")
    # Without a network the weights are looked for each time.
    assert set(re.findall(r"^(\S+) ", said, re.MULTILINE)) >= {"right"}
    others = [line for line in said.splitlines() if line.startswith("done")]
    assert [line for line in others if "weights" not in line] == []
    assert main_pid(installed) == before


def test_a_half_done_installation_is_repaired(box: Box) -> None:
    before = main_pid(box)
    box.path("/etc/systemd/system/depthd.service").write_text("[Service]\nExecStart=/bin/false\n")
    box.path("/etc/tmpfiles.d/depthd.conf").unlink()
    box.run("chmod", "0700", f"{ROOT}/inbox")
    box.run("setfacl", "--remove-all", f"{ROOT}/outbox")
    box.run("systemctl", "disable", "depthd")
    said = box.run("depthd", "service", "install")
    done = [line.removeprefix("done").strip() for line in said.splitlines() if line[:4] == "done"]
    assert done[0].startswith("/etc/systemd/system/depthd.service (the one that was there is ")
    assert "/etc/tmpfiles.d/depthd.conf" in done
    assert f"folders in {ROOT}" in done
    assert "depthd.service starts with the machine" in done
    assert box.path("/etc/systemd/system/depthd.service~").exists()  # it was somebody else's
    assert "/bin/false" not in box.run("systemctl", "cat", "depthd")
    assert "group:depthd-collect:rwx" in box.run("getfacl", "-p", f"{ROOT}/outbox")
    assert box.shows("ActiveState") == "active"
    assert main_pid(box) != before  # the unit was another one
    box.path("/etc/systemd/system/depthd.service~").unlink()


def test_what_is_installed_is_clean(box: Box) -> None:
    assert not box.run("systemd-analyze", "verify", "/etc/systemd/system/depthd.service")
    assert box.run("systemctl", "--failed", "--no-legend").strip() == ""
    for page in ("depthd", "depthd.yaml"):
        text = box.run("sh", "-c", f"man --warnings -E UTF-8 {page} 2>&1 >/dev/null")
        assert text == ""
        assert "worker.max_attempts" in box.run("man", "depthd.yaml")


# --- Working ---


def test_members_drop_and_collectors_collect(box: Box) -> None:
    drop(box, "a.jpg")
    script = "umask 077; mkdir $0/cam; cp /opt/photo.jpg $0/cam/b.jpg"
    box.run("sh", "-euc", script, f"{ROOT}/inbox", user="ann")
    home(box, "a.jpg")
    box.until(lambda: box.path(f"{ROOT}/done/cam/b.jpg").exists(), "cam/b.jpg is not done")
    heatmap = f"{ROOT}/outbox/a.jpg.heatmap.png"
    box.run("cp", heatmap, "/home/ann/mine.png", user="ann")
    box.run("rm", "-f", heatmap, user="ann", code=1)
    box.run("mv", heatmap, "/home/collector/", user="collector")
    box.run("ls", f"{ROOT}/inbox", user="collector", code=2)
    for command in (("ls", f"{ROOT}/inbox"), ("cat", f"{ROOT}/outbox/a.jpg.json")):
        box.run(*command, user="ben", code=2 if command[0] == "ls" else 1)
    box.run("mv", f"{ROOT}/done/a.jpg", "/home/ann/", user="ann")


def test_the_service_is_shut_in_as_the_unit_says(box: Box) -> None:
    ready = [event for event in box.events() if event["event"] == "worker.ready"][-1]
    assert re.fullmatch(r"shut in by a filter of system calls and Landlock \d+", ready["cage"])
    about = dict(
        line.split(":\t", 1)
        for line in box.run("cat", f"/proc/{main_pid(box)}/status").splitlines()
        if ":\t" in line
    )
    assert (about["NoNewPrivs"], about["Seccomp"], int(about["CapBnd"], 16)) == ("1", "2", 0)
    inside = ("nsenter", "--target", main_pid(box), "--mount")
    script = box.path(f"{ROOT}/outbox/x.sh")
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    assert "Permission denied" in box.run(*inside, f"{ROOT}/outbox/x.sh", code=None)
    script.unlink()
    box.path("/srv/secret").touch()
    assert box.run(*inside, "ls", "/srv", "/home", "/root", code=None).count("secret") == 0
    for place in ("/etc", "/opt", "/usr", "/var/lib"):
        assert "Read-only" in box.run(*inside, "touch", f"{place}/x", code=1)
    box.run(*inside, "touch", f"{ROOT}/state/x")


def test_status_is_told_to_people_and_systemd(box: Box) -> None:
    assert re.match(r"running; \d+ done", box.shows("StatusText"))
    said = box.run("depthd", "status", user="depthd", code=1)  # degraded, and for one reason
    assert "The built-in network serves" in said.partition("why ")[2]


def test_logs_are_rotated_without_losing_a_line(box: Box) -> None:
    box.run("logrotate", "--force", "/etc/logrotate.d/depthd")
    assert box.path(f"{ROOT}/log/depthd.jsonl.1").exists()
    numbers = count()

    def goes_on() -> bool:
        """Whether the daemon has seen that its log was moved: it looks once a second."""
        name = f"rotated{next(numbers)}.jpg"
        drop(box, name)
        home(box, name)
        return bool(box.since(0, "photo.done"))

    box.until(goes_on, "the new log does not go on")


# --- Faults ---


def test_a_killed_worker_is_replaced(box: Box) -> None:
    seen, before = len(box.events()), main_pid(box)
    box.kill("KILL", worker_pid(box))
    box.until(lambda: box.since(seen, "worker.ready"), "no other worker")
    drop(box, "after-worker.jpg")
    home(box, "after-worker.jpg")
    assert main_pid(box) == before


def test_a_killed_daemon_is_started_again(box: Box) -> None:
    change(box, "RestartSec=100ms")
    before = main_pid(box)
    names = several("kill", 10)
    drop(box, *names)
    box.kill("KILL", before)
    box.until(lambda: box.shows("NRestarts") == "1", "it is not started again")
    home(box, *names)
    assert not list(box.path(f"{ROOT}/work").glob("*/original"))


def test_a_hanging_daemon_is_killed_and_started_again(box: Box) -> None:
    settings(box, "worker: {stop_timeout: 1s}\n")
    change(box, "RestartSec=100ms", "WatchdogSec=5s", "TimeoutAbortSec=2s")
    box.kill("STOP", main_pid(box))
    box.until(lambda: box.shows("NRestarts") == "1", "the watchdog does not bite")
    drop(box, "after-hang.jpg")
    home(box, "after-hang.jpg")
    assert "Watchdog timeout" in box.journal()
    settings(box, "")


def test_stopped_under_load_nothing_is_lost(box: Box) -> None:
    names = several("load", 60)
    drop(box, *names)
    box.until(lambda: box.path(f"{ROOT}/done/{names[0]}").exists(), "none is done")
    box.run("systemctl", "stop", "depthd")
    assert box.shows("Result") == "success"
    box.run("systemctl", "start", "depthd")
    home(box, *names)


def test_a_backlog_is_worked_off_after_a_reboot(box: Box) -> None:
    names = several("boot", 60)
    drop(box, *names)
    box.reboot()
    box.until(lambda: box.shows("ActiveState") == "active", "it does not start with the machine")
    home(box, *names)
    assert list(box.path(f"{ROOT}/inbox").glob("*.jpg")) == []


def test_a_full_disk_holds_photos_and_is_got_over(box: Box) -> None:
    box.run("systemctl", "stop", "depthd")
    settings(box, "disk: {min_free: 1MB}\n")
    box.run("mount", "-t", "tmpfs", "-o", "size=8M,mode=2750,uid=depthd,gid=depthd", "tmpfs",
            f"{ROOT}/outbox")  # fmt: skip
    box.run("fallocate", "--length", "7900K", f"{ROOT}/outbox/filler")
    seen = len(box.events())
    box.run("systemctl", "start", "depthd")
    drop(box, "full.jpg")
    box.until(lambda: box.since(seen, "service.paused"), "it does not pause")
    box.until(lambda: box.shows("StatusText").startswith("paused"), "systemd is not told")
    assert not box.path(f"{ROOT}/done/full.jpg").exists()
    box.run("rm", f"{ROOT}/outbox/filler")
    box.until(lambda: box.path(f"{ROOT}/done/full.jpg").exists(), "it does not go on")
    box.run("systemctl", "stop", "depthd")
    box.run("umount", f"{ROOT}/outbox")
    settings(box, "")
    box.run("systemctl", "start", "depthd")


def test_a_wrong_file_is_refused_by_a_reload(box: Box) -> None:
    seen, before = len(box.events()), main_pid(box)
    settings(box, "output: {formatz: [png16]}\n")
    box.run("systemctl", "reload", "depthd", code=1)
    assert "formatz" in box.journal()
    assert (box.shows("ActiveState"), main_pid(box)) == ("active", before)
    settings(box, "output: {formats: [png16]}\n")
    box.run("systemctl", "reload", "depthd")
    box.until(lambda: box.since(seen, "service.reloaded"), "it does not reload")
    drop(box, "reloaded.jpg")
    home(box, "reloaded.jpg")
    assert box.path(f"{ROOT}/outbox/reloaded.jpg.depth.png").exists()
    settings(box, "")
    box.run("systemctl", "reload", "depthd")


def test_without_memory_the_photo_fails_and_the_daemon_lives(box: Box) -> None:
    box.run(DEPTHD, "--version")
    # Larger than the limit; made on the box, a file of a few kilobytes.
    make = "import numpy, cv2; cv2.imwrite('/opt/large.png', numpy.zeros((9000, 9000, 3), 'u1'))"
    box.run("/opt/depthd/.venv/bin/python", "-c", make)
    settings(box, "worker: {max_pixels: 100000000, max_memory: 4GB}\n")
    change(box, "MemoryMax=400M", "MemoryHigh=infinity")
    before = main_pid(box)
    box.run("cp", "/opt/large.png", f"{ROOT}/inbox/large.png", user="ann")
    box.until(lambda: box.path(f"{ROOT}/failed/large.png.error.json").exists(), "it does not fail")
    reason = json.loads(box.path(f"{ROOT}/failed/large.png.error.json").read_bytes())
    assert reason["code"] == "worker_out_of_memory"
    drop(box, "small.jpg")
    home(box, "small.jpg")
    assert (box.shows("NRestarts"), main_pid(box)) == ("0", before)
    settings(box, "")


# --- Several, newer, none ---


def test_another_one_beside_it_is_apart(box: Box) -> None:
    said = box.run("depthd", "service", "install", "hall", "--root", "/srv/hall")
    assert "done    depthd@hall.service runs" in said
    assert box.shows("User", "depthd@hall") == "depthd-hall"
    box.run("usermod", "--append", "--groups", "depthd-hall", "ben")
    drop(box, "b.jpg", user="ben", root="/srv/hall")
    home(box, "b.jpg", root="/srv/hall")
    box.run("ls", "/srv/hall/inbox", user="ann", code=2)
    again = box.run("depthd", "service", "install", "hall")  # root and user are remembered
    assert "right   depthd@hall.service runs" in again
    status = ("depthd", "status", "--json", "-c", "/etc/depthd/hall.yaml")
    assert '"state": "running"' in box.run(*status, user="depthd-hall", code=1)  # degraded
    box.run("rm", "-rf", "/srv/hall/done/b.jpg", "/srv/hall/outbox")
    box.run("depthd", "service", "uninstall", "hall")
    assert not box.path("/srv/hall").exists()
    assert "depthd-hall" not in box.path("/etc/passwd").read_text()
    assert box.path("/usr/local/bin/depthd").is_symlink()  # the other one's as well
    assert box.shows("ActiveState") == "active"


def test_a_new_version_takes_up_the_photos_of_the_old_one(
    box: Box, tmp_path_factory: pytest.TempPathFactory
) -> None:
    wheel = wheels(tmp_path_factory.mktemp("next"), NEXT)
    shutil.copy(wheel, box.path("/opt/wheels"))
    # A photo at work as a version before this one has left it, and a backlog.
    box.run("systemctl", "stop", "depthd")
    job = box.path(f"{ROOT}/work/0123456789abcdef0123456789abcdef")
    record = {"schema": "depthd.job/1", "id": job.name, "name": "older.jpg", "attempts": 1,
              "stamp": "20260101T000000.000Z", "claimed": 1767225600.0}  # fmt: skip
    job.mkdir()
    shutil.copyfile(PHOTO, job / "original")
    (job / "job.json").write_text(json.dumps(record))
    box.run("chown", "--recursive", "depthd:depthd", f"{ROOT}/work")
    names = several("upgrade", 60)
    drop(box, *names)
    seen = len(box.events())
    box.run("systemctl", "start", "depthd")
    before = main_pid(box)
    pip = ("/opt/depthd/.venv/bin/pip", "install", "--quiet", "--no-index", "--no-deps")
    box.run(*pip, f"/opt/wheels/{wheel.name}")
    said = box.run("depthd", "service", "install")
    assert "right   depthd.service runs" in said
    box.until(lambda: box.since(seen, "service.upgraded"), "it does not notice")
    home(box, "older.jpg", *names)
    manifest = json.loads(box.path(f"{ROOT}/outbox/older.jpg.json").read_bytes())
    assert manifest["attempts"] >= 2
    # To systemd it has never stopped: what says that it does, and does not end, is killed.
    box.until(lambda: box.shows("ActiveState") == "active", "it is not ready as the new one")
    assert (box.shows("NRestarts"), main_pid(box)) == ("0", before)
    drop(box, "newer.jpg")
    home(box, "newer.jpg")
    manifest = json.loads(box.path(f"{ROOT}/outbox/newer.jpg.json").read_bytes())
    assert manifest["depthd"] == NEXT


def test_uninstalled_it_leaves_photos_and_results(box: Box) -> None:
    settings(box, "output: {formats: [heatmap]}\n")
    box.run("touch", f"{ROOT}/inbox/empty.jpg", user="ann")
    box.until(lambda: box.path(f"{ROOT}/failed/empty.jpg").exists(), "it does not fail")
    drop(box, "last.jpg")
    home(box, "last.jpg")
    done = sorted(path.name for path in box.path(f"{ROOT}/done").iterdir())
    results = sorted(path.name for path in box.path(f"{ROOT}/outbox").iterdir())
    said = box.run("depthd", "service", "uninstall")
    assert "outbox, done, failed stay" in said
    assert sorted(path.name for path in box.path(f"{ROOT}/done").iterdir()) == done
    assert sorted(path.name for path in box.path(f"{ROOT}/outbox").iterdir()) == results
    left = {path.name for path in box.path(ROOT).iterdir()}
    assert left == {"outbox", "done", "failed"}
    assert box.path("/etc/depthd/config.yaml").exists()  # it holds settings
    for path in ("systemd/system/depthd.service", "sysusers.d/depthd.conf",
                 "tmpfiles.d/depthd.conf", "logrotate.d/depthd"):  # fmt: skip
        assert not box.path(f"/etc/{path}").exists()
    assert not box.path("/usr/local/bin/depthd").is_symlink()
    assert box.run("systemctl", "list-unit-files", "depthd*", "--no-legend", code=None) == ""
    again = box.run(DEPTHD, "service", "uninstall")
    assert not re.search("^done", again, re.MULTILINE)
    assert "kept    /etc/depthd/config.yaml: it holds settings" in again


def test_installed_again_it_goes_on_where_it_was(installed: Box) -> None:
    installed.run(DEPTHD, "service", "install")
    drop(installed, "again.jpg")
    installed.until(
        lambda: installed.path(f"{ROOT}/done/again.jpg").exists(), "again.jpg is not done"
    )
