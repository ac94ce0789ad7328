"""The service as its own user, in folders as it is installed or in ones that all may write to."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from attacks.server import UnprivilegedForks
from attacks.users import GROUP, MEMBER, SERVICE, VICTIM, User
from faults.forkserver import Order

_TMPFILES = Path(__file__).parents[2] / "systemd/tmpfiles.d/depthd.conf"
_SETTINGS = ("intake.settle=0s", "intake.rescan_interval=1s", "disk.min_free=0")
_DEADLINE = 60.0


class Service:
    """One root and the daemon in it."""

    def __init__(self, forks: UnprivilegedForks, root: Path, *, is_open: bool) -> None:
        self.root = root
        self._forks = forks
        self._pid = 0
        _make_folders(root, is_open=is_open)

    # the daemon -------------------------------------------------------------------------------

    def start(self, *settings: str) -> None:
        self._pid = self._forks.start(Order(str(self.root), (*_SETTINGS, *settings), once=False))

    def stop(self) -> None:
        """An orderly end: it neither hangs nor has ended before."""
        assert not self._forks.has_ended(), f"it ended\n{self.tail()}"
        os.kill(self._pid, signal.SIGTERM)
        self._pid = 0
        assert self._forks.wait() == 0, self.tail()

    def kill(self) -> None:
        if self._pid:
            os.kill(self._pid, signal.SIGKILL)
            self._forks.wait()
            self._pid = 0

    def pause(self) -> None:
        """Stop the process where it is, so that an attacker has all the time in the world."""
        os.kill(self._pid, signal.SIGSTOP)

    def go_on(self) -> None:
        os.kill(self._pid, signal.SIGCONT)

    # what is there ----------------------------------------------------------------------------

    def log(self) -> list[dict[str, Any]]:
        path = self.root / "log/depthd.jsonl"
        lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
        return [json.loads(line) for line in lines]

    def events(self, event: str, **fields: object) -> list[dict[str, Any]]:
        return [
            entry
            for entry in self.log()
            if entry["event"] == event and fields.items() <= entry.items()
        ]

    def tail(self) -> str:
        errors = self.root.with_name(f"{self.root.name}.stderr")
        lines = [json.dumps(entry) for entry in self.log()[-20:]]
        return "\n".join([*lines, errors.read_text() if errors.exists() else ""])

    def wait_until(self, condition: Callable[[], object], what: str) -> None:
        deadline = time.monotonic() + _DEADLINE
        while not condition():
            ended = self._pid and self._forks.has_ended()
            if ended or time.monotonic() > deadline:
                why = "it ended" if ended else "the deadline passed"
                raise AssertionError(f"no {what}: {why}\n{self.tail()}")
            select.select([], [], [], 0.02)

    def wait_for(self, event: str, count: int = 1, **fields: object) -> list[dict[str, Any]]:
        self.wait_until(lambda: len(self.events(event, **fields)) >= count, f"{count} x {event}")
        return self.events(event, **fields)

    # people -----------------------------------------------------------------------------------

    def drop(self, name: str, content: bytes, user: User = VICTIM) -> None:
        """A photo as a careful writer drops it."""
        path = self.root / "inbox" / name

        def write() -> None:
            path.parent.mkdir(exist_ok=True)
            partial = path.with_name(f".{path.name}.part")
            partial.write_bytes(content)
            partial.rename(path)

        user.run(write)

    def attack(self, action: Callable[[], object]) -> None:
        """Something that an ordinary member of the group does."""
        MEMBER.run(action)

    def serves(self, content: bytes, name: str = "check.jpg") -> None:
        """A photo of somebody else comes through, with its results; nothing pauses for it."""
        self.drop(name, content)
        self.wait_for("photo.done", name=name)
        assert (self.root / f"outbox/{name}.json").exists()
        assert (self.root / f"done/{name}").read_bytes() == content
        assert not self.events("service.paused"), self.tail()

    def originals(self) -> Iterator[bytes]:
        """Content of every photo that is anywhere."""
        for folder in ("inbox", "work", "done", "failed"):
            for top, _, names in os.walk(self.root / folder):
                for name in names:
                    path = Path(top, name)
                    is_ours = name.endswith(".json") or name.startswith(".")
                    if path.is_file() and not path.is_symlink() and not is_ours:
                        yield path.read_bytes()


@contextmanager
def installed(forks: UnprivilegedForks, *, is_open: bool) -> Iterator[Service]:
    """A service in a root that everybody can reach.

    Args:
        forks: starts it.
        is_open: the group may write to the folders of photos and results, as in many a share;
            else they are as systemd/tmpfiles.d makes them.
    """
    top = Path(mkdtemp(prefix="depthd-test-"))
    top.chmod(0o755)
    os.chown(top, SERVICE.id, GROUP)  # for what the daemon says on standard error
    service = Service(forks, top / "root", is_open=is_open)
    try:
        yield service
    finally:
        service.kill()
        shutil.rmtree(top)


def _make_folders(root: Path, *, is_open: bool) -> None:
    """What tmpfiles.d says, but for the place and the names of user and group."""
    shared = {root / name for name in ("inbox", "outbox", "done", "failed")}
    for line in _lines():
        kind, path, mode, *_ = line.split()
        if kind == "d" and path.startswith("@root@"):
            folder = Path(str(root) + path.removeprefix("@root@"))
            folder.mkdir()
            os.chown(folder, SERVICE.id, GROUP)
            folder.chmod(0o2770 if is_open and folder in shared else int(mode, 8))


def _lines() -> Iterable[str]:
    return (line for line in _TMPFILES.read_text().splitlines() if line and line[0] != "#")
