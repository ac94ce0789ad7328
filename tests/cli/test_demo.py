"""`depthd demo`: the first minute, with a real daemon."""

from __future__ import annotations

import http.client
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from foreign_code import ForeignCode

from depthd.cli import demo

# The command on photos of the test's own, beside the bundled ones' place.
WITH_PHOTOS = """
import sys
from pathlib import Path
from depthd.cli import demo, main
demo.files = lambda package: Path(sys.argv[1])
sys.exit(main(sys.argv[2:]))
"""


@pytest.fixture
def variables(environment: dict[str, str], random_weights: Path, tmp_path: Path) -> dict[str, str]:
    """Weights at hand, the engine that needs no conversion, and settings that must not count."""
    return environment | {
        "DEPTHD_MODEL__WEIGHTS": str(random_weights),
        "DEPTHD_MODEL__ENGINE": "torch",
        "DEPTHD_INTAKE__SETTLE": "100ms",
        "DEPTHD_PATHS__INBOX": str(tmp_path / "somebodys inbox"),
        "DEPTHD_LOG__LEVEL": "error",
    }


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A folder with samples/."""
    from PIL import Image  # noqa: PLC0415

    (tmp_path / "package/samples").mkdir(parents=True)
    Image.radial_gradient("L").convert("RGB").save(tmp_path / "package/samples/moon.jpg")
    return tmp_path / "package"


def run(
    package: Path, here: Path, variables: dict[str, str], *arguments: str
) -> subprocess.CompletedProcess[str]:
    foreign = ForeignCode(here)
    result = subprocess.run(
        [sys.executable, "-P", "-c", WITH_PHOTOS, str(package), "demo", *arguments],
        cwd=here,
        env=variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert foreign.was_run() == []
    return result


def test_the_demo_shows_what_came_out(
    package: Path, tmp_path: Path, variables: dict[str, str]
) -> None:
    (tmp_path / "here/depthd-demo").mkdir(parents=True)
    (package / "samples/broken.jpg").write_bytes(b"")
    result = run(package, tmp_path / "here", variables)
    assert result.returncode == 1, result.stderr
    root = tmp_path / "here/depthd-demo-2"
    lines = {line.split()[0]: line for line in result.stdout.splitlines() if line}
    assert "256 x 256" in lines["moon.jpg"]
    assert lines["moon.jpg"].rstrip().endswith("moon.jpg.heatmap.png")
    assert "failed: empty" in lines["broken.jpg"]
    assert "Served by midas_small on torch, f32." in result.stdout
    assert f"Look into {root}/outbox" in result.stdout
    assert (root / "outbox/moon.jpg.heatmap.png").is_file()
    assert (root / "done/moon.jpg").read_bytes() == (package / "samples/moon.jpg").read_bytes()
    assert not (tmp_path / "somebodys inbox").exists()
    pid = int((root / "log/depthd.jsonl").read_text().partition('"pid": ')[2].partition(",")[0])
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_the_bundled_photos_become_heatmaps(tmp_path: Path, variables: dict[str, str]) -> None:
    del variables["DEPTHD_MODEL__WEIGHTS"]
    variables |= {"DEPTHD_MODEL__NAME": "builtin"}
    package = Path(demo.__file__).parents[1]
    result = run(package, tmp_path, variables, "--root", str(tmp_path / "new"))
    assert result.returncode == 0, result.stderr
    for sample in (package / "samples").glob("*.jpg"):
        assert sample.name in result.stdout
        assert (tmp_path / f"new/outbox/{sample.name}.heatmap.png").is_file()
    assert "Served by builtin" in result.stdout


def test_a_daemon_that_cannot_start_is_heard(
    package: Path, tmp_path: Path, variables: dict[str, str]
) -> None:
    result = run(package, tmp_path, variables | {"DEPTHD_MODEL__WEIGHTS": "/none.pt"})
    assert result.returncode == 69
    assert "the daemon ended by itself" in result.stderr
    assert "/none.pt is not there" in result.stderr
    assert result.stdout == ""


def test_only_a_new_or_empty_root_is_taken(
    package: Path, tmp_path: Path, variables: dict[str, str]
) -> None:
    for root in (package, package / "samples/moon.jpg"):
        result = run(package, tmp_path, variables, "--root", str(root))
        assert result.returncode == 73
        assert str(root) in result.stderr


def test_missing_photos_are_told(tmp_path: Path, variables: dict[str, str]) -> None:
    result = run(tmp_path, tmp_path, variables)
    assert result.returncode == 69
    assert "the bundled photos are missing" in result.stderr


def test_a_daemon_that_does_not_stop_is_killed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stubborn = tmp_path / "stubborn"
    stubborn.write_text('#!/bin/sh\ntrap "" TERM\necho deaf\nread forever < "$0.fifo"\n')
    stubborn.chmod(0o700)
    os.mkfifo(f"{stubborn}.fifo")
    monkeypatch.setattr(sys, "executable", str(stubborn))
    monkeypatch.setattr(demo, "_STOP_DEADLINE", 0.1)
    config = demo.load(None, {}, (), tmp_path).config
    with demo._daemon(config, dict(os.environ)) as (daemon, words):
        while not words.seek(0, os.SEEK_END):
            assert daemon.poll() is None
    assert daemon.returncode == -signal.SIGKILL


def test_the_demo_opens_a_page_on_its_results(
    package: Path, tmp_path: Path, variables: dict[str, str]
) -> None:
    command = [sys.executable, "-P", "-c", WITH_PHOTOS, str(package), "demo", "--page"]
    command += ["--root", str(tmp_path / "new")]
    with subprocess.Popen(
        command, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as demo:
        assert demo.stderr is not None
        said = []
        for line in demo.stderr:
            said.append(line)
            if found := re.search(r"http://127\.0\.0\.1:\d+/", line):
                break
        assert found, said
        connection = http.client.HTTPConnection(found[0].split("/")[2], timeout=60)
        try:
            connection.request("GET", "/photo?name=moon.jpg")
            assert b"moon.jpg" in connection.getresponse().read()
        finally:
            connection.close()
            demo.send_signal(signal.SIGINT)
        demo.stderr.read()
        assert demo.wait(60) == 0, said
