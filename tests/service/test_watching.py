"""What people and programs see of a whole daemon, from beside it."""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from daemon import DEADLINE, Daemon, drop
from photos import photo

from depthd.contract import status

SABOTAGE = {"PYTHONPATH": str(Path(__file__).parent / "sabotage")}


@pytest.fixture
def watcher(root: Path) -> Iterator[subprocess.Popen[str]]:
    """`depthd status --watch` into a pipe."""
    command = [sys.executable, "-m", "depthd", "status", "--watch", "--root", str(root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def look(root: Path, *options: str, command: str = "status") -> subprocess.CompletedProcess[str]:
    arguments = [sys.executable, "-m", "depthd", command, "--root", str(root), *options]
    return subprocess.run(arguments, capture_output=True, text=True, timeout=DEADLINE, check=False)


def test_status_tells_a_daemon_that_is_well_from_one_that_is_killed(
    root: Path, settings: tuple[str, ...], request: pytest.FixtureRequest
) -> None:
    with Daemon(root, *settings).ready() as daemon:
        drop(root, "a.jpg", photo(1))
        daemon.wait_for("photo.done")
        daemon.wait_until(lambda: status.read(root / "state").done == 1, "status of the photo")
        seen = look(root, "--json")
        assert seen.returncode == 0, seen
        said = json.loads(seen.stdout)
        assert said["health"] == "well"
        size = sum(path.stat().st_size for path in (root / "outbox").glob("a.jpg.*.*"))
        assert said["disk"]["bytes_a_photo"] == size
        original = (root / "done/a.jpg").stat().st_size
        assert said["disk"]["bytes_a_day"] == 24 * (size + original)
        assert said["disk"]["free"] > 0

        watcher: subprocess.Popen[str] = request.getfixturevalue("watcher")
        assert watcher.stdout is not None
        assert watcher.stdout.readline().endswith(" well\n")
        daemon.kill()
        line = watcher.stdout.readline()  # only the change is told
        assert " down The daemon (process " in line
        assert "\x1b" not in line

    drop(root, "b.jpg", photo(2))
    seen = look(root)
    assert seen.returncode == 2
    assert "1 waiting in the inbox, 0 in work" in seen.stdout


def test_status_says_that_the_built_in_network_was_not_asked_for(root: Path) -> None:
    nowhere = {"DEPTHD_WEIGHTS_URL": "http://127.0.0.1:9/", "XDG_CACHE_HOME": str(root / "none")}
    with Daemon(root, "disk.min_free=0", environment={**os.environ, **nowhere}).ready() as daemon:
        daemon.wait_until(lambda: status.read(root / "state").model is not None, "a model")
        seen = look(root)
        assert seen.returncode == 1
        assert "depthd model fetch" in seen.stdout
    with Daemon(root, "disk.min_free=0", "model.name=builtin").ready() as daemon:
        daemon.wait_until(lambda: status.read(root / "state").model is not None, "a model")
        assert look(root).returncode == 0


def test_the_log_is_followed_through_a_rotation_and_tells_the_story_of_each_photo(
    root: Path, settings: tuple[str, ...]
) -> None:
    follow = [sys.executable, "-m", "depthd", "logs", "--follow", "--root", str(root)]
    follow += ["--event", "photo.done", "--event", "photo.failed", "--json"]
    killer = photo(9, "decode:segfault")
    with Daemon(root, *settings, environment=SABOTAGE).ready() as daemon:
        with subprocess.Popen(follow, stdout=subprocess.PIPE, text=True) as reader:
            assert reader.stdout is not None
            drop(root, "cam1/a.jpg", photo(1))
            assert json.loads(reader.stdout.readline())["name"] == "cam1/a.jpg"
            daemon.log.rename(daemon.log.with_name("depthd.jsonl.1"))
            daemon._seen = 0
            drop(root, "killer.jpg", killer)
            assert json.loads(reader.stdout.readline())["name"] == "killer.jpg"
            reader.kill()
        with gzip.open(daemon.log.with_name("depthd.jsonl.1.gz"), "wb") as packed:
            packed.write(daemon.log.with_name("depthd.jsonl.1").read_bytes())
        daemon.log.with_name("depthd.jsonl.1").unlink()

        said = look(root, "cam1/a.jpg", command="explain")
        assert said.returncode == 0, said
        order = ["photo.claimed", "photo.published", "photo.done", "It is done; in "]
        assert sorted(order, key=said.stdout.index) == order
        said = look(root, "killer.jpg", command="explain")
        order = ["photo.claimed", "photo.retried", "photo.failed", "It failed as worker_crashed"]
        assert sorted(order, key=said.stdout.index) == order
        assert f"depthd retry --root {root} killer.jpg" in said.stdout


def test_metrics_and_heartbeat_tell_of_the_photos_that_came(
    root: Path, settings: tuple[str, ...]
) -> None:
    file = root / "depthd.prom"
    more = (f"metrics.textfile={file}", "log.heartbeat=1s")
    with Daemon(root, *settings, *more).ready() as daemon:
        for number in range(3):
            drop(root, f"{number}.jpg", photo(number))
        drop(root, "bad.jpg", b"rubbish")
        daemon.wait_for("photo.done", count=3)
        daemon.wait_for("photo.failed")
        daemon.wait_for("service.heartbeat", done=3, failed=1, health="well")
        assert daemon.stop() == 0
    text = file.read_text()
    assert "depthd_photos_done_total 3.0\n" in text
    assert 'depthd_photos_failed_total{code="not_an_image"} 1.0\n' in text
    assert 'depthd_stage_seconds_count{stage="infer"} 3.0\n' in text
    assert "depthd_photo_seconds_count 3.0\n" in text
    assert "depthd_running 0.0\n" in text
    results = (path for path in (root / "outbox").glob("*.jpg.*") if path.suffix != ".json")
    size = sum(path.stat().st_size for path in results)
    (told,) = re.findall(r"^depthd_result_bytes_total (\S+)", text, re.MULTILINE)
    assert float(told) == size
