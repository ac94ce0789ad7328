"""What a backfill does on this machine, beside `depthd run --once` on the same processors.

    cd tests && python -m backfill.measure speed --photos 1500 --rounds 3
    cd tests && python -m backfill.measure memory --photos 20000

`speed` takes turns, so that whatever else the machine does falls on both; the rate is that between
the first and the last thing that was published, without the start. `memory` looks at the driver and
all that it has started, each second.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np

_DISTINCT = 50
_LINKS = 1000  # of one file in one folder


def _fill(folder: Path, count: int, width: int) -> None:
    """Photos as links to a few files."""
    kept = folder.with_name(folder.name + ".kept")
    kept.mkdir(parents=True)
    for seed in range(_DISTINCT):
        coarse = np.random.default_rng(seed).integers(0, 255, (30, 40, 3), np.uint8)
        pixels = cv2.resize(coarse, (width, width * 3 // 4), interpolation=cv2.INTER_CUBIC)
        (kept / f"{seed}.jpg").write_bytes(cv2.imencode(".jpg", pixels)[1].tobytes())
    for number in range(count):
        path = folder / f"{number // _LINKS:04d}/{number:07d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.hardlink_to(kept / f"{number % _DISTINCT}.jpg")


def _command(*arguments: object) -> list[str]:
    quick = ("--set", "model.name=builtin", "--set", "log.level=error")
    return [sys.executable, "-P", "-m", "depthd", *map(str, arguments), *quick]


def _rate(published: list[tuple[float, int]]) -> float:
    """Photos a second after the first publication; each has a time and a number of photos."""
    first, *others = sorted(published)
    return sum(count for _, count in others) / (others[-1][0] - first[0])


def _daemon(folder: Path, count: int, width: int) -> float:
    root = folder / "root"
    _fill(root / "inbox", count, width)
    subprocess.run(
        _command("run", "--once", "--root", root, "--set", "intake.settle=0s"),
        check=True, capture_output=True,
    )  # fmt: skip
    return _rate([(path.stat().st_mtime, 1) for path in (root / "outbox").rglob("*.jpg.json")])


def _backfill(folder: Path, count: int, width: int) -> float:
    from pyarrow import parquet  # noqa: PLC0415 - of the extra

    _fill(folder / "source", count, width)
    arguments = ("backfill", folder / "source", folder / "target", "--layout", "shards")
    subprocess.run(
        _command(*arguments, "--unit", max(20, count // 20)), check=True, capture_output=True
    )
    parts = (folder / "target/index").glob("*.parquet")
    return _rate([(p.stat().st_mtime, parquet.read_metadata(p).num_rows) for p in parts])


def speed(count: int, rounds: int, width: int) -> None:
    rates: dict[str, list[float]] = {"run --once": [], "backfill": []}
    for number in range(rounds):
        for name, measure in (("run --once", _daemon), ("backfill", _backfill)):
            with TemporaryDirectory() as folder:
                rates[name].append(measure(Path(folder), count, width))
        (daemon, backfill) = (each[-1] for each in rates.values())
        print(
            f"round {number + 1}: run --once {daemon:.1f}, backfill {backfill:.1f} photos a "
            f"second: {100 * backfill / daemon:.0f} %",
            flush=True,
        )
    daemon, backfill = (statistics.median(each) for each in rates.values())
    print(
        f"median of {rounds}, {count} photos {width} wide, {os.cpu_count()} CPUs, load "
        f"{os.getloadavg()[0]:.1f}: run --once {daemon:.1f}, backfill {backfill:.1f} photos a "
        f"second: {100 * backfill / daemon:.0f} %"
    )


def memory(count: int, width: int) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        _fill(folder / "source", count, width)
        started = time.monotonic()
        run = subprocess.Popen(
            _command("backfill", folder / "source", folder / "target", "--layout", "shards"),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        seen: list[tuple[float, dict[str, int]]] = []
        try:
            while run.poll() is None:
                if any((folder / "target/index").glob("*.parquet")):
                    seen.append((time.monotonic() - started, _held(run.pid)))
                time.sleep(1)
            assert run.returncode == 0, run.returncode
        except KeyboardInterrupt:
            print("stopped; what was seen until now:")
        finally:
            if run.poll() is None:
                run.send_signal(signal.SIGINT)
            run.wait()
        size = sum(path.stat().st_size for path in (folder / "target/shards").iterdir())
    quarter = max(1, len(seen) // 4)
    print(f"of {count} photos, {size / 1e6:.0f} MB of shards, {seen[-1][0]:.0f} s; in megabytes:")
    for what in sorted({what for _, held in seen for what in held}):
        first, last = (
            statistics.median([held.get(what, 0) for _, held in part]) / 1e6
            for part in (seen[:quarter], seen[-quarter:])
        )
        print(f"  {what:24} first quarter {first:7.0f}, last quarter {last:7.0f}")


def _held(pid: int) -> dict[str, int]:
    """Bytes of this process and of those below it, by what they are; shared ones divided."""
    held = {"command": _pss(pid)}
    for child in _below(pid):
        words = ""
        with suppress(OSError):
            words = Path(f"/proc/{child}/cmdline").read_bytes().decode(errors="replace")
        depthd = ("depthd.cli.backfill_run", "depthd.worker.main")
        kinds = (*depthd, "ray::MapWorker", "ray::Board", "ray::", "raylet", "gcs_")
        kind = next((kind for kind in kinds if kind in words), "other processes of Ray")
        held[kind] = held.get(kind, 0) + _pss(child)
    return held


def _below(pid: int) -> Iterator[int]:
    with suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            children = Path(f"/proc/{pid}/task/{task}/children").read_text(encoding="ascii")
            for child in map(int, children.split()):
                yield child
                yield from _below(child)


def _pss(pid: int) -> int:
    with suppress(OSError), open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        for line in file:
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("what", choices=["speed", "memory"])
    parser.add_argument("--photos", type=int, default=1500)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--width", type=int, default=0)
    chosen = parser.parse_args()
    if chosen.what == "speed":
        speed(chosen.photos, chosen.rounds, chosen.width or 640)
    else:
        memory(chosen.photos, chosen.width or 64)


if __name__ == "__main__":
    main()
