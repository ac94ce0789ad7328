"""What many files cost the intake alone: time, memory, and its longest turn of the loop.

    python tests/intake/measure.py --photos 1000000 --folder /dev/shm

Each scene runs in a process of its own, on a folder of its own. Needs root for `fixed` and
`names`, where somebody else's files have to be unreadable.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from inbox_loop import Loop
from inbox_users import NOBODY

Until = Callable[[int], bool]  # whether it is over, given how many were taken
BATCH = 4  # photos taken a turn, as a worker does


@dataclass
class Figures:
    """What a scene is measured by."""

    began: float
    first: float = 0.0  # seconds until the first photo was handed out
    taken: int = 0
    longest: float = 0.0  # seconds of processor of the longest turn; other programs do not count


def turn(loop: Loop, figures: Figures) -> float:
    began = time.thread_time()
    wish = loop.intake.work(time.monotonic())
    for candidate in loop.intake.take(BATCH):
        figures.first = figures.first or time.monotonic() - figures.began
        os.unlink(loop.inbox / candidate.name)
        figures.taken += 1
    figures.longest = max(figures.longest, time.thread_time() - began)
    return wish


def run(loop: Loop, until: Until, figures: Figures) -> None:
    while not until(figures.taken):
        before = figures.taken
        wish = turn(loop, figures)
        if figures.taken == before:  # else there may be more
            loop._sleep(wish)


def make(folder: Path, count: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    for number in range(count):
        os.mknod(f"{number:07}.jpg", 0o644, dir_fd=handle)
    os.close(handle)


def one(loop: Loop, count: int) -> Until:
    """So many photos in one folder; all are taken."""
    make(loop.inbox / "cam", count)
    return lambda taken: taken == count


def spread(loop: Loop, count: int) -> Until:
    """The same in a thousand folders."""
    for number in range(1000):
        make(loop.inbox / f"cam{number % 20}" / f"day{number}", count // 1000)
    return lambda taken: taken == count // 1000 * 1000


def folders(loop: Loop, count: int) -> Until:
    """A fifth as many empty folders in one; then ten photos elsewhere, one after the other."""
    for number in range(count // 500):
        for inner in range(100):
            (loop.inbox / "greedy" / f"{number}" / f"{inner}").mkdir(parents=True)
    (loop.inbox / "cam").mkdir()
    return others_while(loop, 10)


def fixed(loop: Loop, count: int) -> Until:
    """A tenth as many photos in a folder that gives nothing away; ten photos elsewhere."""
    make(loop.inbox / "fixed", count // 10)
    (loop.inbox / "cam").mkdir()
    os.chmod(loop.inbox / "fixed", 0o555)
    os.chown(loop.inbox / "cam", NOBODY, NOBODY)
    os.chown(loop.inbox, NOBODY, NOBODY)
    os.chmod(loop.root, 0o755)
    os.seteuid(NOBODY)
    return others_while(loop, 10)


def names(loop: Loop, count: int) -> Until:
    """A ninth as many unreadable photos with paths of 2,000 bytes; ten photos elsewhere."""
    deep = loop.inbox.joinpath(*(["\N{PILE OF POO}" + "x" * 240] * 8))
    make(deep, 0)
    handle = os.open(deep, os.O_RDONLY)
    for number in range(count // 9):
        os.mknod(f"{number:07}.jpg", 0o600, dir_fd=handle)
    os.close(handle)
    (loop.inbox / "cam").mkdir()
    os.chown(loop.inbox / "cam", NOBODY, NOBODY)
    os.chmod(deep, 0o777)
    os.chmod(loop.root, 0o755)
    os.seteuid(NOBODY)
    return others_while(loop, 10)


def held(loop: Loop, count: int) -> Until:
    """A hundredth as many photos in held folders, a thousand of them; a thousand elsewhere."""
    paths = [f"held/{number}" for number in range(1000)]
    for path in paths:
        make(loop.inbox / path, count // 100_000)
    make(loop.inbox / "cam", 1000)
    take, holds = loop.intake.take, dict.fromkeys(paths)
    loop.intake.take = lambda count: take(count, holds.keys())
    return lambda taken: taken == 1000


def others_while(loop: Loop, photos: int) -> Until:
    """Once all is scanned, drop a photo elsewhere, and the next one when it is taken."""
    dropped: list[float] = []
    waited: list[float] = []

    def is_over(taken: int) -> bool:
        if not loop.intake._rounds.finished:
            return False
        if len(waited) < taken:
            waited.append(time.monotonic() - dropped[-1])
        if len(waited) == photos:
            print(f"         a photo elsewhere waits {max(waited):.2f} s at most, settle included")
            return True
        if len(dropped) == len(waited):
            dropped.append(time.monotonic())
            (loop.inbox / "cam" / f"{len(dropped)}.jpg").write_bytes(b"x")
        return False

    return is_over


SCENES = {scene.__name__: scene for scene in (one, spread, folders, fixed, names, held)}


def measure(name: str, root: Path, photos: int) -> None:
    loop = Loop(root, settle="500ms")
    loop.intake._entries.refusals._emit = lambda *_, **__: None  # the log is not measured
    until = SCENES[name](loop, photos)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    figures = Figures(time.monotonic())
    used = time.process_time()
    loop.start()
    try:
        run(loop, until, figures)
    finally:
        os.seteuid(0)
    used = time.process_time() - used
    took = time.monotonic() - figures.began
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory) / 1024
    print(
        f"{name:8} first after {figures.first:6.2f} s, {figures.taken:8} taken in {took:7.1f} s, "
        f"{used:7.1f} s of processor, longest turn {figures.longest * 1000:6.1f} ms, "
        f"memory + {grown:5.1f} MB, {threading.active_count()} threads",
        flush=True,
    )
    loop.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--scene", choices=SCENES)
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        measure(options.scene, options.inside, options.photos)
        return
    for scene in [options.scene] if options.scene else SCENES:
        root = Path(tempfile.mkdtemp(dir=options.folder))
        try:
            command = [sys.executable, __file__, "--scene", scene, "--inside", str(root)]
            subprocess.run([*command, "--photos", str(options.photos)], check=True)
        finally:
            subprocess.run(["chmod", "-R", "u+w", str(root)], check=False)
            shutil.rmtree(root)


if __name__ == "__main__":
    main()
