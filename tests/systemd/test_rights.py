"""Who may do what in the folders, tried with real users in folders that systemd itself makes."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from unit_files import SYSUSERS, TMPFILES
from unprivileged import as_user, needs_root

pytestmark = [
    needs_root,
    pytest.mark.skipif(
        shutil.which("systemd-tmpfiles") is None, reason="systemd-tmpfiles is not installed here"
    ),
]
ANN, BEN, COLLECTOR = 60001, 60002, 60003
UMASK = 0o007


class Box:
    """The root of a machine with the service's users and folders, and three people."""

    def __init__(self, root: Path) -> None:
        self.folder = root / "var/lib/depthd"
        run("systemd-sysusers", f"--root={root}", str(SYSUSERS))
        groups = dict(line.split(":")[::2][:2] for line in (root / "etc/group").read_text().split())
        self.group, collect = int(groups["depthd"]), int(groups["depthd-collect"])
        users = (root / "etc/passwd").read_text().split(":")
        self.users = {
            "depthd": (int(users[2]), [self.group]),
            "ann": (ANN, [self.group]),
            "ben": (BEN, [self.group]),
            "collector": (COLLECTOR, [collect]),
        }
        file = root / "depthd.conf"  # names in access lists are looked up on this machine
        text = TMPFILES.read_text("utf-8")
        file.write_text(text.replace("group:depthd-collect:", f"group:{collect}:"))
        run("systemd-tmpfiles", f"--root={root}", "--create", str(file))

    def may(self, user: str, action: Callable[[], object]) -> bool:
        """Whether the system lets somebody do something."""

        def attempt() -> bool:
            os.umask(UMASK)
            try:
                action()
            except PermissionError:
                return False
            return True

        uid, groups = self.users[user]
        return bool(as_user(uid, groups, attempt))


def run(*command: str) -> None:
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    assert "Failed" not in finished.stderr


@pytest.fixture
def box() -> Iterator[Box]:
    with tempfile.TemporaryDirectory(prefix="depthd-test-", dir="/var/tmp") as root:
        os.chmod(root, 0o755)
        (Path(root) / "etc").mkdir()
        yield Box(Path(root))


def test_photos_are_their_owners_until_depthd_takes_them(box: Box) -> None:
    photo, camera = box.folder / "inbox/a.jpg", box.folder / "inbox/cam1"
    assert box.may("ann", photo.touch)
    assert box.may("ann", camera.mkdir)
    assert box.may("ann", (camera / "b.jpg").touch)
    assert not box.may("ben", photo.unlink)
    assert not box.may("ben", lambda: photo.rename(box.folder / "inbox/mine.jpg"))
    assert not box.may("collector", lambda: os.listdir(box.folder / "inbox"))
    assert box.may("depthd", lambda: photo.rename(box.folder / "work/a.jpg"))
    assert box.may("depthd", lambda: (camera / "b.jpg").rename(box.folder / "work/b.jpg"))
    assert not box.may("ann", lambda: os.listdir(box.folder / "work"))


def test_originals_come_back_to_whom_they_belong(box: Box) -> None:
    failed, inbox = box.folder / "failed/a.jpg", box.folder / "inbox/a.jpg"
    assert box.may("ann", inbox.touch)
    assert box.may("depthd", lambda: inbox.rename(failed))
    assert not box.may("ben", lambda: failed.rename(inbox))
    assert box.may("ann", lambda: failed.rename(inbox))


def test_results_are_read_by_all_and_taken_by_collectors(box: Box) -> None:
    outbox = box.folder / "outbox"

    def publish() -> None:
        (outbox / "cam1").mkdir(mode=0o770, exist_ok=True)
        for name in ("a.json", "cam1/b.json"):
            handle = os.open(outbox / name, os.O_CREAT | os.O_WRONLY, 0o600)
            os.fchmod(handle, 0o640)

    assert box.may("depthd", publish)
    for name in ("a.json", "cam1/b.json"):
        result = outbox / name
        assert result.stat().st_gid == box.group
        for user in ("ann", "collector"):
            assert box.may(user, result.read_bytes)
        assert not box.may("ann", result.unlink)
        assert not box.may("ann", (result.parent / "planted").touch)
        assert box.may("collector", result.unlink)


def test_the_log_is_nobody_elses(box: Box) -> None:
    for user in ("ann", "collector"):
        assert not box.may(user, lambda: os.listdir(box.folder / "log"))
