"""Photos that kill, hang or exhaust the worker are bounded; all others come through."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
from pathlib import Path

import pytest
from daemon import DEADLINE, Daemon, drop, visible
from memory_limit import limited
from photos import photo

SABOTAGE = {"PYTHONPATH": str(Path(__file__).parent / "sabotage")}


STAGES = ("decode", "infer", "render", "write")


@pytest.mark.parametrize(
    ("deeds", "code", "timeout"),
    [
        (("segfault", "abort", "exit", "kill"), "worker_crashed", 60),  # one a stage
        (("", "garbage", "", ""), "worker_crashed", 60),
        (("bug",) * 4, "internal_error", 60),
        (("memory",) * 4, "worker_out_of_memory", 60),
        (("", "hang", "", "hang"), "worker_timeout", 3),
    ],
    ids=["crash", "garbage", "bug", "memory", "hang"],
)
def test_killer_photos_are_tried_alone_and_failed_and_no_others_are(
    root: Path, settings: tuple[str, ...], deeds: tuple[str, ...], code: str, timeout: int
) -> None:
    good = {f"good{number}.jpg": photo(number) for number in range(5)}
    killers = {
        f"cam/{stage}.jpg": photo(9, f"{stage}:{deed}")
        for stage, deed in zip(STAGES, deeds, strict=True)
        if deed
    }
    for name, content in (good | killers).items():
        drop(root, name, content)
    limits = (f"worker.timeout={timeout}s", "worker.max_memory=1GB")
    with Daemon(root, *settings, *limits, arguments=["--once"], environment=SABOTAGE) as daemon:
        assert daemon.exit_code() == 1
        retried = daemon.logged("photo.retried")
        deaths = daemon.logged("worker.died") + daemon.logged("worker.killed")
        failed = daemon.logged("photo.failed")
    assert {entry["name"]: entry["code"] for entry in failed} == dict.fromkeys(killers, code)
    for name, content in killers.items():
        reason = json.loads((root / f"failed/{name}.error.json").read_bytes())
        assert reason["code"] == code
        assert (root / "failed" / name).read_bytes() == content
        assert 1 <= sum(entry["name"] == name for entry in retried) <= 2
    assert {path.name: path.read_bytes() for path in visible(root / "done")} == good
    assert len(deaths) <= 3 * len(killers)
    assert bool(deaths) == (code in ("worker_crashed", "worker_timeout"))
    assert os.listdir(root / "work") == [".lock"]


def test_the_kernel_takes_the_worker_when_memory_runs_out(
    root: Path, settings: tuple[str, ...]
) -> None:
    """And not the supervisor: the photo alone is failed for it."""
    good = {f"good{number}.jpg": photo(number) for number in range(3)}
    for name, content in good.items():
        drop(root, name, content)
    drop(root, "cam/large.jpg", photo(9, "decode:memory"))
    with (
        limited(1000) as command,
        Daemon(
            root, *settings, "worker.max_memory=0", "worker.timeout=60s",
            arguments=["--once"], environment=SABOTAGE, prefix=command,
        ) as daemon,
    ):  # fmt: skip
        assert daemon.exit_code() == 1
        (failed,) = daemon.logged("photo.failed")
        deaths = daemon.logged("worker.died")
    assert (failed["name"], failed["code"]) == ("cam/large.jpg", "worker_out_of_memory")
    assert deaths
    assert all("lack of memory" in entry["reason"] for entry in deaths)
    assert {path.name: path.read_bytes() for path in visible(root / "done")} == good


def test_a_worker_killed_from_outside_costs_no_photo(root: Path, settings: tuple[str, ...]) -> None:
    with Daemon(root, *settings).ready() as daemon:
        for number in range(6):
            drop(root, f"{number}.jpg", photo(number))
        daemon.wait_for("photo.claimed")
        for pid in {entry["pid"] for entry in daemon.logged("worker.started")}:
            os.kill(pid, signal.SIGKILL)
        daemon.wait_for("photo.done", count=6)
        assert not daemon.logged("photo.failed")
        assert daemon.stop() == 0
    assert len(visible(root / "done")) == 6


def test_a_worker_that_cannot_start_fails_no_photo(
    root: Path, settings: tuple[str, ...], tmp_path: Path
) -> None:
    drop(root, "a.jpg", photo(1))
    rubbish = tmp_path / "rubbish.pt"
    rubbish.write_bytes(b"rubbish")
    with Daemon(root, *settings, f"model.weights={rubbish}") as daemon:
        assert daemon.exit_code() == 69
        assert "rubbish.pt" in daemon.errors.read_text()
        assert "Traceback" not in daemon.errors.read_text()
    assert (root / "inbox/a.jpg").read_bytes() == photo(1)
    assert not visible(root / "failed")


def test_a_worker_that_never_becomes_ready_is_given_up(
    root: Path, settings: tuple[str, ...]
) -> None:
    drop(root, "a.jpg", photo(1))
    hang = {**SABOTAGE, "SABOTAGE_BOOT": "hang"}
    with Daemon(root, *settings, "worker.start_timeout=500ms", environment=hang) as daemon:
        assert daemon.exit_code() == 69
        assert len(daemon.logged("worker.killed")) == 5
    assert (root / "inbox/a.jpg").read_bytes() == photo(1)


def test_weights_replaced_by_rubbish_while_running(
    root: Path, random_weights: Path, tmp_path: Path
) -> None:
    """What is loaded serves on; afterwards the service waits for weights that are good."""
    weights = tmp_path / "weights.pt"
    shutil.copy(random_weights, weights)
    settings = (f"model.weights={weights}", "intake.settle=0s", "disk.min_free=0")
    with Daemon(root, *settings).ready() as daemon:
        drop(root, "a.jpg", photo(1))
        daemon.wait_for("photo.done")
        good = tmp_path / "good.pt"
        shutil.copy(weights, good)
        weights.write_bytes(b"rubbish")
        (worker,) = daemon.logged("worker.started")
        drop(root, "b.jpg", photo(2))
        daemon.wait_for("photo.done", name="b.jpg")
        os.kill(worker["pid"], signal.SIGKILL)
        (unavailable,) = daemon.wait_for("worker.unavailable")
        assert "weights.pt" in unavailable["reason"]
        drop(root, "c.jpg", photo(3))
        good.rename(weights)
        daemon.wait_for("photo.done", name="c.jpg")
        assert daemon.stop() == 0
    assert not visible(root / "failed")


def test_the_orphaned_worker_of_a_killed_supervisor_dies(
    root: Path, settings: tuple[str, ...]
) -> None:
    with Daemon(root, *settings, "worker.timeout=1h", environment=SABOTAGE).ready() as daemon:
        drop(root, "hang.jpg", photo(1, "decode:hang"))
        daemon.wait_for("photo.claimed")
        (worker,) = daemon.wait_for("worker.started")
        handle = os.pidfd_open(worker["pid"])
        daemon.kill()
        assert select.select([handle], [], [], DEADLINE)[0]
        os.close(handle)
    assert len(list((root / "work").glob("*/original"))) == 1


def test_a_worker_cannot_fill_the_disk_through_a_result(
    root: Path, settings: tuple[str, ...]
) -> None:
    with Daemon(root, *settings, "worker.max_pixels=1000000") as daemon:
        daemon.ready()
        worker = daemon.logged("worker.started")[-1]["pid"]
        limits = Path(f"/proc/{worker}/limits").read_text()
    [largest] = [line.split()[3:5] for line in limits.splitlines() if "Max file size" in line]
    assert set(largest) == {str(4_000_000 + (64 << 20))}
