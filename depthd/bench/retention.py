"""What retention costs where very many files lie: time, memory, and what a daemon beside it feels.

    python -m depthd.bench.retention --photos 250000 --folder /somewhere/with/room

Each photo is four files: original, heatmap, depth, manifest. Prints a line for each of: a pass that
finds nothing to remove, one that removes, and the daemon's latency without and beside a pass.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path
from tempfile import mkdtemp

from depthd.bench.daemon import Daemon
from depthd.config import Config
from depthd.contract.events import Event
from depthd.system.python import module

_A_FOLDER = 2000
_MANIFEST = b'{"schema": "depthd.manifest/1", "job": "j", "files": [%s]}\n'
_SUFFIXES = (".heatmap.png", ".depth.npy")
_DAY = 86400.0
_TURN = 25  # photos without a pass, then as many beside one


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=250_000)
    parser.add_argument("--folder", type=Path, help="where to put them; else a temporary folder")
    parser.add_argument("--latency", type=int, default=0, help="photos dropped beside a pass")
    chosen = parser.parse_args()
    root = Path(mkdtemp(prefix="depthd-bench-", dir=chosen.folder))
    try:
        fill(root, chosen.photos)
        say(f"{chosen.photos} photos, {4 * chosen.photos} files")
        for words, asked in (
            ("nothing to remove", {"done": "1000d"}),
            ("sizes looked at, nothing to remove", {"done_size": "1000000GB"}),
            ("one in ten removed", {"done": "90d"}),
        ):
            config = Config.model_validate({"root": root, "retention": asked})
            seconds, processor, memory, last = one_pass(config)
            say(
                f"{words}: {seconds:.1f} s, {processor:.1f} s of processor, {memory:.0f} MB: {last}"
            )
        if chosen.latency:
            latency(root, chosen.latency)
    finally:
        shutil.rmtree(root)


def fill(root: Path, photos: int) -> None:
    """Sets of all ages up to a hundred days, as a daemon leaves them but for what is in them."""
    now = time.time()
    for name in ("inbox", "work", "outbox", "done", "failed", "log", "state"):
        (root / name).mkdir(mode=0o700)
    for number in range(photos):
        folder = f"cam{number // _A_FOLDER}"
        if number % _A_FOLDER == 0:
            (root / "done" / folder).mkdir()
            (root / "outbox" / folder).mkdir()
        name = f"IMG_{number}.jpg"
        (root / "done" / folder / name).touch()
        listed = b", ".join(b'{"name": "%s"}' % f"{name}{end}".encode() for end in _SUFFIXES)
        for end in _SUFFIXES:
            (root / "outbox" / folder / (name + end)).touch()
        manifest = root / "outbox" / folder / f"{name}.json"
        manifest.write_bytes(_MANIFEST % listed)
        since = now - 100 * _DAY * (number + 0.5) / photos
        os.utime(manifest, (since, since))


def one_pass(config: Config) -> tuple[float, float, float, str]:
    """Seconds, seconds of processor, megabytes at most, and the last word of a pass."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begun = time.monotonic()
    result = subprocess.run(
        module("depthd.retention.main"),
        input=config.model_dump_json().encode(),
        stdout=subprocess.PIPE,
        check=True,
    )
    seconds = time.monotonic() - begun
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds, processor, after.ru_maxrss / 1000, result.stdout.splitlines()[-1].decode()


def latency(root: Path, photos: int) -> None:
    """Photos one by one into a daemon that has nothing else to do, now and then beside a pass."""
    import cv2  # noqa: PLC0415 - the passes before are measured in small children of a small process
    import numpy as np  # noqa: PLC0415

    picture = root / "picture.jpg"
    cv2.imwrite(str(picture), np.random.default_rng(1).integers(0, 255, (480, 640, 3), np.uint8))
    settings = {"root": root, "model": {"name": "builtin"}, "intake": {"settle": "0s"}}
    times: dict[bool, list[float]] = {False: [], True: []}
    with Daemon(Config.model_validate(settings), root) as daemon:
        daemon.wait_for(Event.SERVICE_READY)
        for number in range(photos):
            is_beside = number // _TURN % 2 == 1
            days = 80 - 60 * number // photos  # each pass finds photos to remove
            if number % _TURN == 0:
                asked = {**settings, "retention": {"done": f"{days}d"}}
                pass_ = Pass(Config.model_validate(asked)) if is_beside else None
            times[is_beside].append(drop(root, picture, number))
            if pass_ is not None and number % _TURN == _TURN - 1:
                pass_.end()
    for is_beside, words in ((False, "without a pass"), (True, "beside a pass that removes")):
        took = sorted(times[is_beside][1:])
        say(
            f"one photo into an idle daemon, {words}: median {1000 * statistics.median(took):.0f} "
            f"ms, 95th percentile {1000 * took[len(took) * 95 // 100]:.0f} ms ({len(took)} photos)"
        )


class Pass:
    """A pass that goes on beside."""

    def __init__(self, config: Config) -> None:
        self._process = subprocess.Popen(
            module("depthd.retention.main"), stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._output = self._process.stdout
        if self._process.stdin is not None:
            with self._process.stdin as stdin:
                stdin.write(config.model_dump_json().encode())
        if self._output is not None:
            self._output.readline()  # it removes

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        if self._output is not None:
            self._output.close()


def drop(root: Path, picture: Path, number: int) -> float:
    """Seconds from a photo's name to its manifest's."""
    partial = root / "inbox" / f".{number}.part"
    shutil.copyfile(picture, partial)
    manifest = root / "outbox" / f"{number}.jpg.json"
    partial.rename(root / "inbox" / f"{number}.jpg")
    begun = time.monotonic()
    while not manifest.exists():
        time.sleep(0.001)
    return time.monotonic() - begun


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
