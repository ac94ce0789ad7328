"""A fault at every step: each system call that changes files, one after the other.

Knows the layouts, the steps and how to run them side by side; what must hold is in `scene`.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from queue import SimpleQueue
from typing import Literal

from faults import scene
from faults.forkserver import Forks, Order

# Whatever changes a file or a name, or forces it to the disk; "?" is for machines without it.
# Creating a file (openat) changes nothing that the call before or after it does not show.
CHANGES = (
    *("?rename", "?renameat", "renameat2", "?link", "linkat", "?unlink", "unlinkat"),
    *("fsync", "fdatasync", "write", "pwrite64", "?mkdir", "mkdirat", "?rmdir"),
)
EVERYTHING = os.environ.get("DEPTHD_TEST_FAULTS") == "all"  # else what fits into CI
SETTINGS = ("intake.settle=0s", "model.input_size=64", "log.level=error", "disk.min_free=0")

Victim = Literal["supervisor", "worker", "both"]
VICTIMS: tuple[Victim, ...] = ("supervisor", "worker", "both")


@dataclass(frozen=True)
class Layout:
    """What the folders lie on.

    Attributes:
        lacks: faults that every process always meets, because the file system cannot do it.
        elsewhere: done and failed lie on another file system.
    """

    name: str
    lacks: tuple[str, ...] = ()
    elsewhere: bool = False


LAYOUTS = (
    Layout("plain"),
    Layout("other-disk", elsewhere=True),
    Layout("no-hard-links", lacks=("linkat:error=EPERM",)),  # SMB, exFAT
    Layout("no-noreplace", lacks=("renameat2:error=EINVAL",)),  # NFS
)


@dataclass(frozen=True)
class Point:
    """One step of one process: the `number`-th call of a kind. `worker` has several threads."""

    layout: Layout
    victim: Victim
    call: str
    number: int

    def __str__(self) -> str:
        return f"{self.layout.name}-{self.victim}-{self.call.strip('?')}-{self.number}"


class Trials:
    """Runs daemons in roots of their own, and knows how an undisturbed one ends."""

    def __init__(self, folder: Path, other_disk: Path) -> None:
        self._folder = folder
        self._other_disk = other_disk
        self._expected: dict[str, dict[str, str]] = {}

    def set_out(self, layout: Layout, name: str) -> Path:
        """A root with photos in its inbox."""
        root = self._folder / name
        scene.set_out(root)
        if layout.elsewhere:
            for home in ("done", "failed"):
                elsewhere = self._other_disk / name / home
                elsewhere.mkdir(parents=True)
                if (root / home).exists():
                    shutil.copytree(root / home, elsewhere, dirs_exist_ok=True)
                    shutil.rmtree(root / home)
                (root / home).symlink_to(elsewhere)
        return root

    def clear(self, root: Path) -> None:
        shutil.rmtree(root)
        shutil.rmtree(self._other_disk / root.name, ignore_errors=True)
        for leftover in root.parent.glob(f"{root.name}.*"):
            leftover.unlink()

    def order(
        self, layout: Layout, root: Path, *, once: bool = True, settings: Iterable[str] = ()
    ) -> Order:
        """An undisturbed run."""
        return Order(
            str(root), (*SETTINGS, *settings), once, supervisor=layout.lacks, worker=layout.lacks
        )

    def fault(
        self,
        point: Point,
        root: Path,
        effect: str,
        *,
        once: bool = True,
        settings: Iterable[str] = (),
    ) -> Order:
        """A run that meets a fault at a point."""
        faults = (*point.layout.lacks, f"{point.call}:{effect}")
        on_supervisor = point.victim == "supervisor"
        return Order(
            str(root),
            (*SETTINGS, *settings),
            once,
            supervisor=faults if on_supervisor else point.layout.lacks,
            worker=point.layout.lacks if on_supervisor else faults,
            together=point.victim == "both",
        )

    def expect(self, forks: Forks, layouts: Iterable[Layout]) -> None:
        """Find out how undisturbed runs end."""
        for layout in layouts:
            root = self.set_out(layout, f"{layout.name}-undisturbed")
            code = forks.run(self.order(layout, root))
            assert code == 1, f"{root}.stderr: {code}"  # a photo is bad
            assert set(scene.originals(root).values()) == {1}
            self._expected[layout.name] = scene.end_state(root)

    def complaints(self, layout: Layout, root: Path, *, at_rest: bool) -> list[str]:
        """What is not as it must be; `at_rest` after an undisturbed run, else at any moment."""
        expected = self._expected[layout.name]
        found = scene.broken_results(root, expected)
        originals = scene.originals(root)
        # The way home may need a second name, or a copy, before the first one goes.
        most = 1 if at_rest else 2
        wrong = Counter(
            {name: number for name, number in originals.items() if not 1 <= number <= most}
        )
        if originals.keys() != scene.photos().keys() or wrong:
            found.append(f"originals: {dict(originals)}")
        if at_rest:
            state = scene.end_state(root)
            found += [
                f"{name!r} is {state.get(name)}, not {expected.get(name)}"
                for name in sorted(state.keys() | expected.keys())
                if state.get(name) != expected.get(name)
            ]
        return found


def series(
    layout: Layout, victims: Iterable[Victim], calls: Iterable[str], stride: int = 1
) -> list[Iterator[Point]]:
    """For each process and kind of call its steps, every `stride`-th, without an end."""
    return [
        _steps(layout, victim, call, stride)
        for victim in victims
        for call in calls
        if not any(fault.startswith(f"{call}:") for fault in layout.lacks)
    ]


def _steps(layout: Layout, victim: Victim, call: str, stride: int) -> Iterator[Point]:
    return (Point(layout, victim, call, number) for number in count(1, stride))


def each(all_steps: list[Iterator[Point]], task: Callable[[Forks, Point], bool]) -> int:
    """Run each series until its task says that a point was not met; returns how many were."""
    lanes = 3 * (os.cpu_count() or 1)  # they mostly wait
    idle: SimpleQueue[Forks] = SimpleQueue()

    def run(steps: Iterator[Point]) -> int:
        met = 0
        for point in steps:
            forks = idle.get()
            try:
                if not task(forks, point):
                    break
            finally:
                idle.put(forks)
            met += 1
        return met

    with ExitStack() as stack:
        for _ in range(lanes):
            idle.put(stack.enter_context(Forks()))
        with ThreadPoolExecutor(lanes) as pool:
            return sum(pool.map(run, all_steps))
