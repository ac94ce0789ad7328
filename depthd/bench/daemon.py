"""The real daemon on a root of its own, watched from outside: its log, its outbox, /proc."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self

from depthd.bench import processes
from depthd.config import Config
from depthd.contract.errors import UnavailableError
from depthd.contract.events import LOG_FILE, Event
from depthd.system.python import module

_LOOK_EVERY = 0.02
_DEADLINE = 600.0
_STOP_DEADLINE = 30.0

Entry = dict[str, Any]


@dataclass
class Usage:
    """What was seen of the process tree. Bytes; seconds of processor time."""

    peak: int = 0
    supervisor_peak: int = 0
    supervisor_cpu: float = 0.0
    supervisor_start: float = 0.0  # its part until the worker was ready

    def supervisor_ms(self, photos: int) -> float:
        """The supervisor's processor time for each photo, without its start; milliseconds."""
        return (self.supervisor_cpu - self.supervisor_start) / photos * 1000


class Daemon:
    """`depthd run`, from start to stop.

    Args:
        config: its root is used as it stands.
        folder: for the configuration file and the daemon's words.
        once: drain the inbox and end.
    """

    def __init__(self, config: Config, folder: Path, *, once: bool = False) -> None:
        file = folder / "config.json"
        file.write_text(config.model_dump_json(), encoding="utf-8")
        command = module("depthd", "run", "-c", str(file))
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("DEPTHD_")
        }
        self._log_path = config.folder("log") / LOG_FILE
        self._log: IO[bytes] | None = None
        self._rest = b""
        self._words = folder / "words"
        self.entries: list[Entry] = []
        self.usage = Usage()
        self.started = time.time()
        with self._words.open("wb") as words:
            self._process = subprocess.Popen(
                [*command, "--once"] if once else command,
                stdin=subprocess.DEVNULL,
                stdout=words,
                stderr=words,
                env=environment,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._log is not None:
            self._log.close()
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(_STOP_DEADLINE)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait_for(self, event: Event, count: int = 1) -> list[Entry]:
        """Entries of an event, once there are enough."""
        self.wait_until(lambda: len(self.of(event)) >= count, f"{count} x {event}")
        return self.of(event)

    def wait_until(self, condition: Callable[[], bool], what: str) -> None:
        """Look at log and processes until a condition holds.

        Raises:
            UnavailableError: the daemon has ended, or takes far too long.
        """
        deadline = time.monotonic() + _DEADLINE
        while True:
            has_ended = self._process.poll() is not None
            self.look()
            if condition():
                return
            if has_ended or time.monotonic() > deadline:
                words = self._words.read_text(errors="replace").splitlines()[-3:]
                raise UnavailableError(f"the daemon gave no {what}", "\n".join(words))
            time.sleep(_LOOK_EVERY)

    def wait_for_end(self) -> None:
        self.wait_until(lambda: self._process.poll() is not None, "end")

    def of(self, event: Event) -> list[Entry]:
        return [entry for entry in self.entries if entry["event"] == event]

    def look(self) -> None:
        """Read what is new in the log, and note the processes' usage."""
        if self._log is None and self._log_path.exists():
            self._log = self._log_path.open("rb")
        if self._log is not None:
            *lines, self._rest = (self._rest + self._log.read()).split(b"\n")
            self.entries += [json.loads(line) for line in lines]
        memory = {pid: processes.resident(pid) for pid in processes.tree(self.pid)}
        usage = self.usage
        usage.peak = max(usage.peak, sum(memory.values()))
        usage.supervisor_peak = max(usage.supervisor_peak, memory.get(self.pid, 0))
        usage.supervisor_cpu = max(usage.supervisor_cpu, processes.cpu_seconds(self.pid))
        if usage.supervisor_start == 0 and self.of(Event.WORKER_READY):
            usage.supervisor_start = usage.supervisor_cpu

    def memory(self) -> int:
        """Bytes that the whole tree holds now."""
        return sum(processes.resident(pid) for pid in processes.tree(self.pid))

    def cpu_seconds(self) -> float:
        """Processor time of the whole tree so far."""
        return sum(processes.cpu_seconds(pid) for pid in processes.tree(self.pid))


def fresh_root(root: Path, models: Path) -> None:
    """A root with an empty inbox and a prepared network."""
    (root / "inbox").mkdir(parents=True)
    shutil.copytree(models, root / "state/models", copy_function=os.link)


def empty(root: Path) -> None:
    """Give back the space of a root that is over, but not its files.

    For minutes after many files were removed, ext4 without a journal is slow to make new ones: the
    next run would pay for it.
    """
    for folder in ("inbox", "work", "done", "outbox"):
        for top, _, names in os.walk(root / folder):
            for name in names:
                os.truncate(os.path.join(top, name), 0)


def fill(inbox: Path, photos: list[Path], count: int) -> None:
    """Copies of photos, in a thousand to a folder at most."""
    for number in range(count):
        folder = inbox / f"{number // 1000:03d}"
        if number % 1000 == 0:
            folder.mkdir()
        shutil.copyfile(photos[number % len(photos)], folder / f"{number:06d}.jpg")
