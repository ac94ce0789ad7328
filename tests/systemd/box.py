"""A Debian that is booted by a real systemd, in a container of systemd-nspawn; see booted.py."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

PACKAGES = ("systemd-sysv", "dbus", "python3-venv", "logrotate", "acl", "man-db")
PROJECT = Path(__file__).parents[2]
DEADLINE = 120.0  # seconds for whatever is waited for
REBOOTED = 133  # how systemd-nspawn ends when it leaves the new start to others
PYTHON = "3.11"  # bookworm's
VARIABLES = {
    "PATH": "/usr/local/bin:/usr/bin:/usr/sbin:/bin:/sbin",
    "LANG": "C.UTF-8",
    "HOME": "/root",
}
# What a box for tests has no use for, and which would only make it start later.
MASKED = (
    *("console-getty.service", "apt-daily.timer", "apt-daily-upgrade.timer", "man-db.timer"),
    *("e2scrub_all.timer", "e2scrub_reap.service", "dpkg-db-backup.timer"),
)
# The container's own filter of calls does not know these; the service's is what is looked at here.
LANDLOCK = "landlock_create_ruleset landlock_add_rule landlock_restrict_self"
_MEMORY = Path("/sys/fs/cgroup/memory")  # of a kernel whose memory is not counted by cgroup 2
_GROUP = _MEMORY / "depthd-booted"


def sh(*command: str | Path, **options: Any) -> None:
    """A command of this machine that must succeed."""
    run = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    assert run.returncode == 0, f"{command}: {run.stdout}{run.stderr}"


def debian(folder: Path) -> None:
    """A Debian in a folder; kept where DEPTHD_TEST_DEBIAN says, for the next time."""
    kept = os.environ.get("DEPTHD_TEST_DEBIAN")
    base = Path(kept) if kept else folder
    if not (base / "etc/debian_version").exists():
        include = f"--include={','.join(PACKAGES)}"
        sh("debootstrap", "--variant=minbase", include, "bookworm", base)
        sh("systemctl", f"--root={base}", "mask", *MASKED)
        (base / "etc/hostname").write_text("box\n")
    if kept:
        sh("cp", "-a", f"{base}/.", folder)


def wheels(folder: Path, version: str | None = None) -> Path:
    """The wheel of this repository; with a version, as if it were of that one."""
    source = PROJECT
    if version is not None:
        source = folder / f"source-{version}"
        names = ("depthd", "systemd", ".ci", "pyproject.toml", "README.md", "LICENSE")
        for name in names:
            ignored = shutil.ignore_patterns("__pycache__", "training")
            if (PROJECT / name).is_dir():
                shutil.copytree(PROJECT / name, source / name, symlinks=True, ignore=ignored)
            else:
                shutil.copyfile(PROJECT / name, source / name)
        for file in (source / "pyproject.toml", source / "depthd/__init__.py"):
            file.write_text(file.read_text().replace('"0.1.0"', f'"{version}"'))
    target = folder / f"wheel-{version}"
    pip(sys.executable, "wheel", "--no-deps", "--wheel-dir", target, source)
    (wheel,) = target.glob("*.whl")
    return wheel


def pip(python: str | Path, *words: str | Path) -> None:
    sh(python, "-m", "pip", "--quiet", "--disable-pip-version-check", *words)


class Box:
    """One machine of its own: files, systemd as process 1, users, services."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "box"
        self._console = folder / "console.log"
        self._nspawn: subprocess.Popen[bytes] | None = None
        self.init = 0

    def boot(self) -> None:
        """Start it and wait until it is up."""
        command = ["systemd-nspawn", "--quiet", "--directory", self.root, "--boot", "--register=no"]
        command += ["--console=read-only", "--private-network", f"--system-call-filter={LANDLOCK}"]
        if not Path("/run/systemd/system").is_dir():
            command.append("--keep-unit")  # no systemd outside that could give it a scope
        if _MEMORY.is_dir():  # in a memory group of our own, where such groups are separate
            _GROUP.mkdir(exist_ok=True)
            enter = f"echo $$ >{_GROUP}/cgroup.procs && exec"
            command = ["sh", "-c", f'{enter} "$@"', "sh", *map(str, command)]
        with self._console.open("ab") as console:
            self._nspawn = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=console, stderr=console
            )
        self._wait_until_up(before=0)

    def reboot(self) -> None:
        assert self._nspawn is not None
        before = self.init
        self.run("systemctl", "reboot", code=None)
        if "--keep-unit" not in self._nspawn.args:  # it starts it anew by itself
            self._wait_until_up(before)
            return
        assert self._nspawn.wait(DEADLINE) == REBOOTED
        self.boot()

    def off(self) -> None:
        if self._nspawn is None:
            return
        self.run("systemctl", "poweroff", code=None)
        try:
            self._nspawn.wait(60)
        except subprocess.TimeoutExpired:
            self._nspawn.kill()
            self._nspawn.wait()
        if _GROUP.is_dir():
            for group in sorted(_GROUP.rglob("*/"), reverse=True):
                group.rmdir()
            _GROUP.rmdir()

    def run(self, *command: str | Path, user: str = "root", code: int | None = 0) -> str:
        """Standard output and error of a command inside."""
        inside = [*(("runuser", "-u", user, "--") if user != "root" else ()), *map(str, command)]
        enter = ["nsenter", "--target", str(self.init), "--all", "env", "--chdir=/", *inside]
        run = subprocess.run(enter, env=VARIABLES, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                             text=True, check=False, timeout=DEADLINE * 2)  # fmt: skip
        assert code is None or run.returncode == code, f"{inside}: {run.returncode}\n{run.stdout}"
        return run.stdout

    def path(self, inside: str | Path) -> Path:
        """A file of the box, as this machine sees it."""
        return self.root / str(inside).lstrip("/")

    def kill(self, signal: str, process: str) -> None:
        self.run("sh", "-c", f"kill -{signal} {process}")

    def shows(self, what: str, unit: str = "depthd") -> str:
        """A property of a unit."""
        return self.run("systemctl", "show", "--value", "--property", what, unit).strip()

    def until(self, what: Callable[[], object], why: str, seconds: float = DEADLINE) -> None:
        end = time.monotonic() + seconds
        while not what():
            assert time.monotonic() < end, f"{why}\n{self.journal()}"
            time.sleep(0.1)

    def journal(self, unit: str = "depthd") -> str:
        return self.run("journalctl", "-u", unit, "-n", "60", "--no-pager", "-o", "cat", code=None)

    def events(self, root: str = "/var/lib/depthd") -> list[dict[str, Any]]:
        """Every event that is in the log; none where it has just been moved."""
        log = self.path(f"{root}/log/depthd.jsonl")
        text = log.read_text() if log.exists() else ""
        return [json.loads(line) for line in text.splitlines()]

    def since(self, marker: int, event: str) -> list[dict[str, Any]]:
        """The events of one kind after the first `marker` lines of the log."""
        return [found for found in self.events()[marker:] if found["event"] == event]

    def _wait_until_up(self, before: int) -> None:
        assert self._nspawn is not None
        children = Path(f"/proc/{self._nspawn.pid}/task/{self._nspawn.pid}/children")
        end = time.monotonic() + DEADLINE

        def init() -> int:
            assert self._nspawn is not None
            assert self._nspawn.poll() is None, self._console.read_text()[-2000:]
            found = children.read_text().split()
            return int(found[0]) if found else 0

        state = ""
        while state not in ("running", "degraded"):
            assert time.monotonic() < end, self._console.read_text()[-2000:]
            time.sleep(0.2)
            self.init = init()
            if self.init in (0, before) or not self._is_systemd():
                continue
            state = self.run("systemctl", "is-system-running", code=None).strip()
        self._count_memory()

    def _is_systemd(self) -> bool:
        try:
            return Path(f"/proc/{self.init}/comm").read_text().strip() == "systemd"
        except FileNotFoundError:
            return False

    def _count_memory(self) -> None:
        """Let its systemd use this kernel's older way of counting memory, if it has no other."""
        if _MEMORY.is_dir():
            self.run("mount", "-o", "remount,bind,rw", _MEMORY)
            self.run("systemctl", "daemon-reexec")


def prepared(folder: Path) -> Iterator[Box]:
    """A box with depthd in /opt/depthd/.venv, booted, and nothing of it installed as a service."""
    box = Box(folder)
    box.root.mkdir()
    debian(box.root)
    wheel = wheels(folder)
    store = box.path("/opt/wheels")
    pip(
        sys.executable, "download", "--dest", store, "--python-version", PYTHON,
        "--only-binary=:all:", "--platform", "manylinux_2_28_x86_64",
        "--platform", "manylinux2014_x86_64", wheel,
    )  # fmt: skip
    chroot = ("chroot", box.root)
    sh(*chroot, "python3", "-m", "venv", "/opt/depthd/.venv", env=VARIABLES)
    offline = ("--quiet", "--no-index", "--find-links", "/opt/wheels")
    sh(*chroot, "/opt/depthd/.venv/bin/pip", "install", *offline, "depthd", env=VARIABLES)
    try:
        box.boot()
        yield box
    finally:
        box.off()
