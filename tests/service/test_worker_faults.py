"""Photos that kill, hang or exhaust the worker are bounded; all others come through."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
from pathlib import Path

import pytest
from daemon import DEADLINE, Daemon, drop
from photos import photo

SABOTAGE = {"PYTHONPATH": str(Path(__file__).parent / "sabotage")}


@pytest.mark.parametrize(
    ("marker", "code"),
    [
        ("segfault", "worker_crashed"),
        ("abort", "worker_crashed"),
        ("exit", "worker_crashed"),
        ("kill", "worker_crashed"),
        ("garbage", "worker_crashed"),
        ("bug", "worker_crashed"),
        ("hang", "worker_timeout"),
        ("memory", "worker_out_of_memory"),
    ],
)
def test_a_killer_photo_is_tried_alone_and_failed_and_no_other_is(
    root: Path, settings: tuple[str, ...], marker: str, code: str
) -> None:
    good = {f"good{number}.jpg": photo(number) for number in range(5)}
    for name, content in good.items():
        drop(root, name, content)
    drop(root, "cam/killer.jpg", photo(9, marker))
    limits = ("worker.timeout=5s", "worker.max_memory=2GB")
    with Daemon(root, *settings, *limits, arguments=["--once"], environment=SABOTAGE) as daemon:
        assert daemon.exit_code() == 1
        retried = daemon.logged("photo.retried", name="cam/killer.jpg")
        deaths = daemon.logged("worker.died") + daemon.logged("worker.killed")
        (failed,) = daemon.logged("photo.failed")
    assert failed["name"] == "cam/killer.jpg"
    reason = json.loads((root / "failed/cam/killer.jpg.error.json").read_bytes())
    assert reason["code"] == code
    assert (root / "failed/cam/killer.jpg").read_bytes() == photo(9, marker)
    assert {path.name: path.read_bytes() for path in (root / "done").iterdir()} == good
    assert 1 <= len(retried) <= 2
    assert len(deaths) <= 3
    assert os.listdir(root / "work") == [".lock"]


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
    assert len(list((root / "done").iterdir())) == 6


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
    assert not list((root / "failed").iterdir())


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
    weights = tmp_path / "weights.pt"
    shutil.copy(random_weights, weights)
    settings = (f"model.weights={weights}", "intake.settle=0s", "disk.min_free=0")
    with Daemon(root, *settings).ready() as daemon:
        drop(root, "a.jpg", photo(1))
        daemon.wait_for("photo.done")
        weights.write_bytes(b"rubbish")
        (worker,) = daemon.logged("worker.started")
        drop(root, "b.jpg", photo(2))
        daemon.wait_for("photo.done", name="b.jpg")  # what is loaded goes on serving
        os.kill(worker["pid"], signal.SIGKILL)
        assert daemon.exit_code() == 69
    assert not list((root / "failed").iterdir())


def test_the_orphaned_worker_of_a_killed_supervisor_dies(
    root: Path, settings: tuple[str, ...]
) -> None:
    with Daemon(root, *settings, "worker.timeout=1h", environment=SABOTAGE).ready() as daemon:
        drop(root, "hang.jpg", photo(1, "hang"))
        daemon.wait_for("photo.claimed")
        (worker,) = daemon.logged("worker.started")
        handle = os.pidfd_open(worker["pid"])
        daemon.kill()
        assert select.select([handle], [], [], DEADLINE)[0]
        os.close(handle)
    assert len(list((root / "work").glob("*/original"))) == 1
