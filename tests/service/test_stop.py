"""SIGTERM while photos are at work: finished in time, or given back to the queue."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest
from daemon import Daemon, drop, visible
from photos import photo
from test_worker_faults import SABOTAGE

_PHOTOS = 6


def test_photos_at_hand_are_finished(root: Path, settings: tuple[str, ...]) -> None:
    with Daemon(root, *settings, "worker.stop_timeout=60s").ready() as daemon:
        for number in range(_PHOTOS):
            drop(root, f"{number}.jpg", photo(number))
        daemon.wait_for("photo.claimed")
        assert daemon.stop() == 0
        claimed = {entry["name"] for entry in daemon.logged("photo.claimed")}
        assert not daemon.logged("photo.returned")
    assert {path.name for path in visible(root / "done")} == claimed
    assert len(visible(root / "inbox")) == _PHOTOS - len(claimed)
    assert [path.name for path in (root / "work").iterdir()] == [".lock"]


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
