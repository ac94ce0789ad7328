"""What many photos cost the supervisor, and a camera beside them: a folder that is set aside, an
inbox that is very full, a flood in one folder.

    cd tests && python -m faults.load aside --photos 10000
    cd tests && python -m faults.load flood --photos 10000
    cd tests && python -m faults.load inbox --photos 1000000 --folder /somewhere/with/room

The network is replaced by a blur (see forkserver), so the figures are depthd's own. Photos are hard
links to a few files.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import select
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
from faults import immutable
from faults.forkserver import Forks, Order
from PIL import Image

_LINKS = 30_000  # of one file; ext4 allows 65,000
_DROPPED = 40
_SAMPLE = 2000  # photos that are waited for
_A_FOLDER = 10_000
_SETTINGS = ("intake.settle=0s", "model.input_size=64", "disk.min_free=0", "log.level=info")
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Cost:
    """Of the supervisor, until a number of photos was home."""

    first: float  # seconds until the first one
    seconds: float
    processor: float  # seconds
    memory: float  # megabytes at most
    photos: int

    def __str__(self) -> str:
        return (
            f"first result after {self.first:.1f} s; {self.photos} photos in {self.seconds:.1f} s "
            f"({self.photos / self.seconds:.0f} a second); supervisor {self.memory:.0f} MB, "
            f"{1000 * self.processor / self.photos:.2f} ms of processor a photo"
        )


def _fill(folder: Path, count: int) -> None:
    """Photos as links to a few files."""
    pixels = np.random.default_rng(1).integers(0, 255, (24, 32, 3), dtype=np.uint8)
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "JPEG")
    folder.mkdir(parents=True)
    for number in range(count):
        if number % _LINKS == 0:
            source = folder.parents[1] / f"source-{folder.name}-{number}"
            source.write_bytes(data.getvalue())
        inner = folder / f"{number // _A_FOLDER}"
        inner.mkdir(parents=True, exist_ok=True)
        os.link(source, inner / f"{number}.jpg")


def _measure(forks: Forks, root: Path, count: int, folder: str) -> Cost:
    """Run until so many photos of a folder are in done/."""
    order = Order(str(root), _SETTINGS, once=False, file_threads=3)
    began = time.monotonic()
    pid = forks.start(order)
    _wait(lambda: _done(root, folder) > 0, forks)
    first = time.monotonic() - began
    _wait(lambda: _done(root, folder) >= count, forks)
    home, seconds = _done(root, folder), time.monotonic() - began
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    processor = (int(fields[11]) + int(fields[12])) / _TICKS
    status = Path(f"/proc/{pid}/status").read_text()
    memory = int(status.partition("VmHWM:")[2].split()[0]) / 1024
    os.kill(pid, signal.SIGTERM)
    assert forks.wait() == 0
    return Cost(first, seconds, processor, memory, home)


def _done(root: Path, folder: str) -> int:
    """Photos of a folder that are home, by the log."""
    try:
        with (root / "log/depthd.jsonl").open("rb") as log:
            lines = [line for line in log if b'"photo.done"' in line]
    except FileNotFoundError:
        return 0
    return sum(json.loads(line)["name"].startswith(folder) for line in lines)


def _wait(condition: Callable[[], bool], forks: Forks) -> None:
    while not condition():
        assert not forks.has_ended(), "the daemon has ended"
        select.select([], [], [], 0.2)


def aside(folder: Path, photos: int) -> None:
    """A folder whose results cannot be written, beside one whose results can."""
    with Forks() as forks:
        for others in (0, photos):
            root = folder / f"beside-{others}"
            _fill(root / "inbox/good", _SAMPLE)
            if others:
                _fill(root / "inbox/closed", others)
                for inner in (root / "inbox/closed").iterdir():
                    closed = root / "outbox/closed" / inner.name
                    closed.mkdir(parents=True)
                    immutable.close(closed)
            try:
                print(f"beside {others} that cannot come home: ", end="", flush=True)
                print(_measure(forks, root, _SAMPLE, "good/"))
            finally:
                immutable.open_all(root / "outbox")


def inbox(folder: Path, photos: int) -> None:
    """An inbox that is full at the start."""
    root = folder / "root"
    _fill(root / "inbox/all", photos)
    with Forks() as forks:
        print(f"{photos} photos in the inbox: {_measure(forks, root, _SAMPLE, 'all/')}")


def flood(folder: Path, photos: int) -> None:
    """One camera's photos, one after the other, while another folder has very many."""
    with Forks() as forks:
        for others, settings in (
            (0, ()),
            (photos, ()),
            (photos, ("folders.camera.priority=first",)),
        ):
            root = folder / f"beside-{others}-{len(settings)}"
            _fill(root / "inbox/flood", others or 1)
            forks.start(Order(str(root), (*_SETTINGS, *settings), once=False, file_threads=3))
            _wait(lambda root=root: _done(root, "flood/") > 0, forks)  # type: ignore[misc]
            times = sorted(_drop(root, number, forks) for number in range(_DROPPED))
            left = others - _done(root, "flood/")
            print(
                f"{others} photos in another folder {settings}: median "
                f"{1000 * times[len(times) // 2]:.0f} ms, at most {1000 * times[-1]:.0f} ms; "
                f"{max(0, left)} still wait"
            )
            pid = json.loads((root / "state/status.json").read_bytes())["pid"]
            os.kill(pid, signal.SIGTERM)
            assert forks.wait() == 0


def _drop(root: Path, number: int, forks: Forks) -> float:
    """Seconds from a photo's name to its manifest's."""
    source = next((root / "inbox").parent.glob("source-flood-*"))
    camera = root / "inbox/camera"
    camera.mkdir(exist_ok=True)
    (camera / f".{number}.part").write_bytes(source.read_bytes())
    began = time.monotonic()
    (camera / f".{number}.part").rename(camera / f"{number}.jpg")
    while not (root / f"outbox/camera/{number}.jpg.json").exists():
        assert not forks.has_ended(), "the daemon has ended"
        time.sleep(0.001)
    return time.monotonic() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["aside", "flood", "inbox"])
    parser.add_argument("--photos", type=int, default=10_000)
    parser.add_argument("--folder", type=Path, default=None)
    arguments = parser.parse_args()
    folder = Path(mkdtemp(prefix="depthd-load-", dir=arguments.folder))
    try:
        {"aside": aside, "flood": flood, "inbox": inbox}[arguments.what](folder, arguments.photos)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
