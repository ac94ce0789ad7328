"""A fault at every step: each system call that changes files, one after the other.

Knows the layouts, the steps and how to run them side by side; what must hold is in `scene`.
"""

from __future__ import annotations

import os
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Literal, Self

from faults import immutable, scene
from faults.forkserver import Forks, Order

# Whatever changes a file or a name, or forces it to the disk; "?" is for machines without it.
# Creating a file (openat) changes nothing that the call before or after it does not show.
CHANGES = (
    *("?rename", "?renameat", "renameat2", "?link", "linkat", "?unlink", "unlinkat"),
    *("fsync", "fdatasync", "write", "pwrite64", "ftruncate", "?mkdir", "mkdirat", "?rmdir"),
)
# What supervisor and worker say to each other.
WORDS = ("sendmsg", "sendto")
# Else what fits beside other tests. Not DEPTHD_...: that would be a key of the configuration.
EVERY_CALL = os.environ.get("TEST_FAULTS") in ("calls", "all")
EVERY_ERROR = os.environ.get("TEST_FAULTS") == "all"
SETTINGS = ("intake.settle=0s", "model.input_size=64", "log.level=error", "disk.min_free=0")
_FILE_THREADS = 3  # as the service has them

Victim = Literal["supervisor", "worker", "both"]
VICTIMS: tuple[Victim, ...] = ("supervisor", "worker", "both")


@dataclass(frozen=True)
class Layout:
    """What the folders lie on.

    Attributes:
        lacks: faults that every process always meets, because the file system cannot do it.
        elsewhere: done and failed lie on another file system.
        closed: a folder that nobody can write to until it is mended.
        file_threads: of the supervisor. With some of them no two runs make the same steps.
    """

    name: str
    lacks: tuple[str, ...] = ()
    elsewhere: bool = False
    closed: str = ""
    file_threads: int = 0


PLAIN = Layout("plain")
LAYOUTS = (
    PLAIN,
    Layout("other-disk", elsewhere=True),
    Layout("no-hard-links", lacks=("linkat:error=EPERM",)),  # SMB, exFAT
    Layout("no-noreplace", lacks=("renameat2:error=EINVAL",)),  # NFS
    Layout("outbox-folder-closed", closed="outbox/cam"),
    Layout("done-folder-closed", closed="done/cam"),
    Layout("threads", file_threads=_FILE_THREADS),
)


# With threads strace follows every process, the worker too: what fails there is somebody else's.
DETERMINISTIC = tuple(layout for layout in LAYOUTS if not layout.file_threads)


@dataclass(frozen=True)
class Point:
    """One step of one process: the `number`-th call of a kind that one of its threads makes."""

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
        if layout.closed:
            (root / layout.closed).mkdir(parents=True)
            immutable.close(root / layout.closed)
        return root

    @staticmethod
    def mend(layout: Layout, root: Path) -> None:
        """The closed folder can be written again."""
        if layout.closed:
            immutable.open_again(root / layout.closed)

    def clear(self, layout: Layout, root: Path) -> None:
        self.mend(layout, root)
        shutil.rmtree(root)
        shutil.rmtree(self._other_disk / root.name, ignore_errors=True)
        for leftover in root.parent.glob(f"{root.name}.*"):
            leftover.unlink()

    def order(
        self, layout: Layout, root: Path, *, once: bool = True, settings: Iterable[str] = ()
    ) -> Order:
        """An undisturbed run."""
        return Order(
            str(root),
            (*SETTINGS, *settings),
            once,
            supervisor=layout.lacks,
            worker=layout.lacks,
            file_threads=layout.file_threads,
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
        order = self.order(point.layout, root, once=once, settings=settings)
        faults = (*point.layout.lacks, f"{point.call}:{effect}")
        if point.victim == "supervisor":
            return replace(order, supervisor=faults)
        return replace(order, worker=faults, together=point.victim == "both")

    def expect(self, forks: Forks, layout: Layout) -> None:
        """Find out how an undisturbed run ends."""
        root = self.set_out(layout, f"{layout.name}-undisturbed")
        code = forks.run(self.order(layout, root))
        assert code == 1, f"{root}.stderr: {code}"  # a photo is bad
        assert set(scene.originals(root).values()) == {1}
        if layout.closed:
            assert scene.wrongly_aside(root, layout.closed) == []
            self.mend(layout, root)
            assert forks.run(self.order(layout, root)) == 0
        self._expected[layout.name] = scene.end_state(root)

    def count(
        self, forks: Forks, layout: Layout, calls: Sequence[str]
    ) -> dict[Victim, Counter[str]]:
        """How often the threads of an undisturbed run make each call, each at most."""
        harmless = tuple(
            f"{call}:error=EIO:when=60000"
            for call in calls
            if not any(fault.startswith(f"{call}:") for fault in layout.lacks)
        )
        found: dict[Victim, Counter[str]] = {}
        for victim in VICTIMS[:2]:
            root = self.set_out(layout, f"{layout.name}-count")
            order = self.order(layout, root)
            faults = (*layout.lacks, *harmless)
            if victim == "supervisor":
                forks.run(replace(order, supervisor=faults))
            else:
                forks.run(replace(order, worker=faults))
            found[victim] = _calls(root.with_name(f"{root.name}.{victim}.strace"), calls)
            self.clear(layout, root)
        found["both"] = found["worker"]
        return found

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


def count_of(forks: Forks, order: Order, harmless: tuple[str, ...], root: Path) -> Counter[str]:
    """How often the supervisor makes each call in an undisturbed run of an order."""
    forks.run(replace(order, supervisor=harmless))
    calls = [fault.partition(":")[0] for fault in harmless]
    return _calls(root.with_name(f"{root.name}.supervisor.strace"), calls)


def points(
    layout: Layout,
    counts: Mapping[Victim, Counter[str]],
    victims: Iterable[Victim],
    stride: int = 1,
) -> list[Point]:
    """Every `stride`-th step of each process and kind of call."""
    return [
        Point(layout, victim, call, number)
        for victim in victims
        for call, most in counts[victim].items()
        for number in range(1, most + 1, stride)
    ]


def stride(layout: Layout, *, ordinary: int, unusual: int) -> int:
    """How many steps go by from one that is tried to the next."""
    if EVERY_CALL:
        return 1
    return ordinary if layout is PLAIN else unusual


class Lanes:
    """Fork servers, kept for all points of a module's tests: to start one takes a second."""

    def __enter__(self) -> Self:
        self._stack = ExitStack()
        self._idle: SimpleQueue[Forks] = SimpleQueue()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @contextmanager
    def one(self) -> Iterator[Forks]:
        """A server for oneself; an error ends it, with the daemon that it may wait for."""
        try:
            forks = self._idle.get_nowait()
        except Empty:
            forks = self._stack.enter_context(Forks())
        try:
            yield forks
        except BaseException as error:
            forks.__exit__(type(error))
            raise
        self._idle.put(forks)

    def each(self, all_points: Sequence[Point], task: Callable[[Forks, Point], None]) -> None:
        """Run a task for each point, several side by side: they mostly wait."""

        def run(point: Point) -> None:
            with self.one() as forks:
                task(forks, point)

        with ThreadPoolExecutor(3 * (os.cpu_count() or 1)) as pool:
            for _ in pool.map(run, all_points):
                pass


def _calls(trace: Path, calls: Iterable[str]) -> Counter[str]:
    """From strace's log, by call; strace counts the calls of each thread."""
    names = {call.strip("?"): call for call in calls}
    by_thread: dict[str, Counter[str]] = {}
    for line in _lines(trace):
        thread, name = line
        if name in names:
            by_thread.setdefault(thread, Counter())[names[name]] += 1
    most: Counter[str] = Counter()
    for counter in by_thread.values():
        most |= counter
    return most


def _lines(trace: Path) -> Iterator[tuple[str, str]]:
    """Thread and name of each call; without -f there are no threads."""
    for line in trace.read_text(errors="replace").splitlines():
        if found := re.match(r"(\d+ +)?(\w+)\(", line):
            yield found[1] or "", found[2]
