"""A load of photos with random faults; nothing must be lost, and nothing must pile up.

    cd tests && python -m faults.soak --photos 20000 --folder /somewhere/with/room

Three phases, a third of the photos each: any fault; none that ends the supervisor; none that ends
the worker. Descriptors, threads and memory of a process are compared over a phase in which it
lives. Runs under root fill up a real file system as well.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import select
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

from faults import scene
from faults.forkserver import Forks, Order

_SETTINGS = ("intake.settle=0s", "intake.rescan_interval=2s", "model.input_size=64")
_DEADLINE = 300.0  # seconds without a photo coming through
_BATCH = 25
_MEMORY = 30_000_000  # bytes; what a process may gain in a phase
_FILE_SYSTEM = 2_000_000_000  # bytes of the outbox while it is not full


@dataclass(frozen=True)
class Use:
    """What a process holds."""

    descriptors: int
    threads: int
    memory: int

    @classmethod
    def of(cls, pid: int) -> Use:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
        fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        memory = 1024 * int(fields["VmRSS"].split()[0])
        return cls(len(os.listdir(f"/proc/{pid}/fd")), int(fields["Threads"]), memory)


class Soak:
    """One run in a root of its own."""

    def __init__(self, forks: Forks, root: Path, seed: int) -> None:
        self._forks = forks
        self._root = root
        self._random = random.Random(seed)
        self._good = scene.photos()["a.jpg"]
        self.dropped: set[bytes] = set()
        self.faults: Counter[str] = Counter()
        self._start()

    def _start(self) -> None:
        settings = (*_SETTINGS, "disk.min_free=0")
        self.supervisor = self._forks.start(Order(str(self._root), settings, once=False))
        deadline = time.monotonic() + _DEADLINE
        while not self.worker:  # a folder that is away at the start ends it, as it should
            assert time.monotonic() < deadline
            assert not self._forks.has_ended()
            self._pause(0.05)

    @property
    def worker(self) -> int:
        path = Path(f"/proc/{self.supervisor}/task/{self.supervisor}/children")
        return int((path.read_text().split() or [0])[0])

    def drop(self, count: int) -> None:
        """Good photos and bad ones; names come back again and again."""
        for _ in range(count):
            number = len(self.dropped)
            is_bad = self._random.random() < 0.1
            content = (b"no picture" if is_bad else self._good) + b"%d" % number
            path = self._root / f"inbox/cam{number % 3}/IMG_{number % 400}.jpg"
            with suppress(FileNotFoundError):  # the inbox is away
                path.parent.mkdir(exist_ok=True)
                partial = path.with_name(f".{path.name}.part")
                partial.write_bytes(content)
                while path.exists():
                    path = path.with_name(f"{path.stem}_{self._random.random()}.jpg")
                partial.rename(path)
                self.dropped.add(content)

    def kill_supervisor(self) -> None:
        os.kill(self.supervisor, signal.SIGKILL)
        self._forks.wait()
        self._start()

    def kill_worker(self) -> None:
        if worker := self.worker:
            with suppress(ProcessLookupError):
                os.kill(worker, signal.SIGKILL)

    def move_inbox(self) -> None:
        self._away("inbox")

    def move_done(self) -> None:
        self._away("done")

    def fill_disk(self) -> None:
        """The outbox's file system shrinks to what it holds, and grows again."""
        while not self._resize(self._used() + 65536):  # more was written meanwhile
            self._pause()
        self.drop(_BATCH)
        self._pause(3)
        assert self._resize(_FILE_SYSTEM)

    def _used(self) -> int:
        disk = os.statvfs(self._root / "outbox")
        return (disk.f_blocks - disk.f_bfree) * disk.f_frsize

    def _resize(self, size: int) -> bool:
        command = ["mount", "-o", f"remount,size={size}", self._root / "outbox"]
        return subprocess.run(command, check=False, capture_output=True).returncode == 0

    def _away(self, name: str) -> None:
        path, away = self._root / name, self._root.parent / f"{name}-away"
        path.rename(away)
        self._pause()
        away.rename(path)

    def _pause(self, longest: float = 0.5) -> None:
        select.select([], [], [], self._random.random() * longest)

    # phases ----------------------------------------------------------------------------------

    def phase(self, photos: int, faults: list[Callable[[], None]]) -> None:
        """Drop photos in batches, a fault with each, and wait until all are home."""
        for _ in range(max(1, photos // _BATCH)):
            self.drop(_BATCH)
            if faults:
                fault = self._random.choice(faults)
                self.faults[fault.__name__] += 1
                fault()
            if self._random.random() < 0.5:
                self.rest()
        self.rest()
        deadline = time.monotonic() + _DEADLINE
        while not self._is_watching():  # it holds less while the inbox is away
            assert time.monotonic() < deadline
            self._pause()

    def _is_watching(self) -> bool:
        """How it is watched is said once, even if the inbox was away meanwhile."""
        news = {"service.started": False, "inbox.lost": False}
        news |= {"watch.started": True, "inbox.found": True}
        log = (self._root / "log/depthd.jsonl").read_bytes().splitlines()
        said = [news[event] for line in log if (event := json.loads(line)["event"]) in news]
        return said[-1]

    def rest(self) -> None:
        """Wait until every photo is home."""
        deadline = time.monotonic() + _DEADLINE
        left = -1
        while (now_left := len(self.dropped) - self._home()) or self._claims() or not self.worker:
            if now_left != left:
                left, deadline = now_left, time.monotonic() + _DEADLINE
            if time.monotonic() > deadline or self._forks.has_ended():
                raise AssertionError(f"{left} photos do not come home; see {self._root}")
            self._pause(0.2)

    def _home(self) -> int:
        return len(_photos(self._root / "done")) + len(_photos(self._root / "failed"))

    def _claims(self) -> list[str]:
        return [name for name in os.listdir(self._root / "work") if not name.startswith(".")]

    def check(self) -> None:
        """Each photo once, each result whole, nothing left over."""
        kept = [path for home in ("done", "failed") for path in _photos(self._root / home)]
        assert Counter(path.read_bytes() for path in kept) == Counter(self.dropped)
        assert all(
            path.read_bytes().startswith(b"no picture") for path in _photos(self._root / "failed")
        )
        assert scene.broken_results(self._root, {}, only_listed=True) == []
        assert _sets(self._root / "outbox") == Counter(_names(self._root / "done"))
        hidden = [path for path in self._root.rglob(".*") if path.is_file()]
        assert hidden == [self._root / "work/.lock"]

    def stop(self) -> None:
        os.kill(self.supervisor, signal.SIGTERM)
        assert self._forks.wait() == 0


def _names(home: Path) -> list[str]:
    return [str(path.relative_to(home)) for path in _photos(home)]


def _sets(outbox: Path) -> Counter[str]:
    """The name of each photo with results; a set has three files."""
    files = [str(path.relative_to(outbox)) for path in outbox.rglob("*") if path.is_file()]
    ends = (".heatmap.png", ".depth.npy", ".json")
    names = [[name.removesuffix(end) for end in ends if name.endswith(end)] for name in files]
    counts = Counter(name for found in names for name in found)
    assert len(files) == counts.total()
    assert set(counts.values()) == {len(ends)}
    return Counter(counts.keys())


def _photos(home: Path) -> list[Path]:
    return [
        Path(top, name)
        for top, _, names in os.walk(home)
        for name in names
        if not name.endswith(".error.json") and not name.startswith(".")
    ]


def run(folder: Path, photos: int, seed: int) -> str:
    """Run the three phases; returns a report.

    Raises:
        AssertionError: something was lost, doubled, left over, or piled up.
    """
    root = folder / "root"
    (root / "inbox").mkdir(parents=True)
    (root / "outbox").mkdir()
    can_mount = _mount(root / "outbox")
    try:
        with Forks() as forks:
            soak = Soak(forks, root, seed)
            harmless = [soak.move_inbox, soak.move_done, *([soak.fill_disk] * can_mount)]
            soak.phase(photos // 3, [*harmless, soak.kill_worker, soak.kill_supervisor])
            uses = [Use.of(soak.supervisor)]
            soak.phase(photos // 3, [*harmless, soak.kill_worker])
            uses.append(Use.of(soak.supervisor))
            workers = [Use.of(soak.worker)]
            soak.phase(photos // 3, harmless)
            workers.append(Use.of(soak.worker))
            soak.check()
            soak.stop()
    finally:
        if can_mount:
            subprocess.run(["umount", root / "outbox"], check=True)
    report = f"{len(soak.dropped)} photos, faults {dict(soak.faults)}\n"
    report += f"supervisor {uses[0]} -> {uses[1]}\nworker {workers[0]} -> {workers[1]}"
    for before, after in (uses, workers):
        same = before.descriptors == after.descriptors and before.threads == after.threads
        assert same, report
        assert after.memory - before.memory < _MEMORY, report
    return report


def _mount(folder: Path) -> bool:
    command = ["mount", "-t", "tmpfs", "-o", f"size={_FILE_SYSTEM}", "depthd-soak", folder]
    return os.geteuid() == 0 and not subprocess.run(command, check=False).returncode


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--folder", type=Path, default=None)
    arguments = parser.parse_args()
    folder = Path(mkdtemp(prefix="depthd-soak-", dir=arguments.folder))
    print(f"seed {arguments.seed}, in {folder}")
    print(run(folder, arguments.photos, arguments.seed))
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
