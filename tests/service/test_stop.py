"""SIGTERM while photos are at work: finished in time, or given back to the queue."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest
from daemon import Daemon, drop, visible
from photos import photo
from test_worker_faults import SABOTAGE

_PHOTOS = 30


def test_photos_at_hand_are_finished(root: Path, settings: tuple[str, ...]) -> None:
    """Those that the worker has; the others wait for the next start, where they are."""
    with Daemon(root, *settings, "worker.stop_timeout=60s").ready() as daemon:
        for number in range(_PHOTOS):
            drop(root, f"{number}.jpg", photo(number))
        daemon.wait_for("photo.done")
        assert daemon.stop() == 0
        assert not daemon.logged("photo.returned")
    done = len(visible(root / "done"))
    left = len(visible(root / "inbox")) + len([*(root / "work").glob("*/original")])
    assert done + left == _PHOTOS
    assert len(list((root / "outbox").glob("*.json"))) == done
    assert list((root / "outbox/.depthd").iterdir()) == []  # nothing was begun in vain


@pytest.mark.parametrize(("limit", "signals"), [("500ms", 1), ("1h", 2)], ids=["late", "twice"])
def test_a_photo_that_takes_too_long_is_given_back(
    root: Path, settings: tuple[str, ...], limit: str, signals: int
) -> None:
    """After `worker.stop_timeout`, or at once with a second signal."""
    stop = (f"worker.stop_timeout={limit}", "worker.timeout=2h")
    with Daemon(root, *settings, *stop, environment=SABOTAGE).ready() as daemon:
        drop(root, "a.jpg", photo(1, "infer:hang"))
        daemon.wait_for("photo.claimed")
        for number in range(signals):
            daemon.signal(signal.SIGTERM)
            daemon.wait_for("service.stopping")
            assert number == 0 or daemon.exit_code() == 0
        assert daemon.exit_code() == 0
        assert daemon.logged("photo.returned", name="a.jpg")
        assert not daemon.logged("photo.failed")
    (record,) = (root / "work").glob("*/job.json")
    assert json.loads(record.read_bytes())["attempts"] == 0
    with Daemon(root, *settings, arguments=["--once"]) as daemon:
        assert daemon.exit_code() == 0
        assert daemon.logged("photo.recovered", name="a.jpg")
    assert (root / "done/a.jpg").read_bytes() == photo(1, "infer:hang")
