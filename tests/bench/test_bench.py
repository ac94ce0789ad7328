"""`depthd bench` from end to end, with as little to measure as it allows."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from foreign_code import ForeignCode
from statuses import quiet_status

from depthd import cli
from depthd.bench.machine import Machine
from depthd.bench.measure import Run
from depthd.bench.session import EngineSpeed, Results, Served
from depthd.contract import status
from depthd.contract.errors import ExitCode, UnavailableError
from depthd.supervisor.status_file import StatusFile

SHORT = ("--rounds", "1", "--small", "2", "--large", "2", "--latency", "2")


def bench(root: Path, *arguments: str) -> tuple[int, str, str]:
    foreign = ForeignCode(root.parent / f"{root.name}-foreign", depthd=False)
    result = subprocess.run(
        [sys.executable, "-m", "depthd", "bench", "--root", str(root), *arguments],
        cwd=foreign.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert foreign.was_run() == []
    return result.returncode, result.stdout, result.stderr


@pytest.fixture
def root(prepared_state: Path) -> Path:
    return prepared_state.parent


def test_it_measures_everything_and_leaves_nothing_behind(
    root: Path, random_weights: Path, tmp_path: Path
) -> None:
    before = sorted(root.iterdir())
    target = tmp_path.parent / f"{tmp_path.name}.json"
    weights = f"model.weights={random_weights}"
    options = ("--against", "upstream", "--backlog", "20", "--json", str(target))
    code, out, err = bench(root, "--set", weights, *SHORT, *options)
    assert code == 0, err
    found = json.loads(target.read_text())
    assert [served["kind"] for served in found["served"] if served["precision"] == "f32"] == [
        "640x480",
        "12 megapixels",
    ]
    exact, *others = [engine for engine in found["engines"] if not engine["why"]]
    assert exact["mean"] == exact["most"] == 0
    assert all(0 < other["mean"] <= other["most"] for other in others)
    assert next(o["most"] for o in others if o["engine"].startswith("torch")) < 1e-5
    for served in found["served"]:
        assert served["upstream"][0] > 0
        assert served["runs"][0]["rate"] > 0
        assert served["runs"][0]["photos"] == 2
    assert set(found["stages"]["640x480"]) == {
        "read", "decode", "preprocess", "infer", "resize", "render", "write", "publish",
    }  # fmt: skip
    assert found["idle"]["p99"] >= found["idle"]["median"] >= found["idle"]["infer"]
    assert found["backlog"]["files"] == 20
    assert found["machine"]["processor"] in out
    assert sorted(root.iterdir()) == before


def test_what_a_photo_takes_on_the_disk(root: Path, tmp_path: Path) -> None:
    target = tmp_path / "sizes.json"
    own = ("--set", "model.name=builtin", "--set", "output.formats=[preview]")
    StatusFile(root / "state").write(a_status(photos_a_day=1000.0))
    code, out, err = bench(root, "--sizes", "--json", str(target), *own)
    assert code == 0, err
    found = json.loads(target.read_text())["sizes"]
    array = 128 + 4 * 4000 * 3000
    assert found["output.size: original"]["formats"]["npy"] == array
    assert found["output.size: 1024"]["formats"]["npy"] == 128 + 4 * 1024 * 768
    assert found["output.size: 1024"]["formats"]["model"] == 128 + 4 * 256 * 192
    assert list(found["output.size: model"]["formats"]) == ["heatmap", "npy"]
    assert list(found["as configured"]["formats"]) == ["preview"]
    for each in found.values():
        assert 1000 < each["total"] - sum(each["formats"].values()) < 10_000  # the manifest
    assert "at today's 1000 photos a day" in out
    assert "output.size: original fits " in out
    assert ", full in " in out


def a_status(photos_a_day: float) -> status.Status:
    return quiet_status(
        datetime.now(UTC),
        state="stopped",
        worker=status.Worker(pid=None, ready=False, restarts=0),
        disk=status.Disk(free=0, min_free=0, photos_a_day=photos_a_day),
    )


def test_what_it_cannot_deliver_is_told_before_it_measures(root: Path, tmp_path: Path) -> None:
    for target in (tmp_path / "none/bench.json", tmp_path):
        code, out, err = bench(root, "--json", str(target), *SHORT)
        assert (code, out) == (ExitCode.CANNOT_CREATE, "")
        assert err.startswith(f"depthd: cannot write {target}: ")


class _Session:
    """Measures at once, without upstream, and breaks before it is through."""

    def __init__(self, *_: object) -> None:
        run = Run(photos=2, rate=8.0, whole_rate=4.0, start=0.5, memory=10**8, supervisor_ms=1.0)
        self.results = Results(Machine.here(), "midas_small")
        self._served = (Served("640x480", "f32", (run,), (16.0,)),)

    def run(self) -> Iterator[str]:
        self.results.engines = (EngineSpeed("openvino 1", "f32", 12.5, 0.0, 0.0),)
        yield "engines"
        self.results.served = self._served
        yield "served"
        raise UnavailableError("the daemon gave no end")


def test_what_was_measured_before_a_trouble_is_told_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("depthd.bench.session.Session", _Session)
    target = tmp_path / "bench.json"
    target.write_text("of last time, and longer than what comes now " * 1000)
    code = cli.main(["bench", "--root", str(tmp_path), "--json", str(target)])
    assert code == ExitCode.UNAVAILABLE
    out, err = capsys.readouterr()
    assert err == "depthd: the daemon gave no end\n"
    assert "12.5 ms" in out
    assert "8.0       50%" in out
    assert "upstream" not in out
    found = json.loads(target.read_text())
    assert found["served"][0]["runs"][0]["rate"] == 8
    assert (found["stages"], found["idle"]) == ({}, None)


def test_it_says_what_upstream_needs(root: Path, random_weights: Path, tmp_path: Path) -> None:
    (tmp_path / "geffnet.py").write_text("raise ImportError('hidden by the test')\n")
    code = (
        "import sys; sys.path.insert(0, sys.argv.pop(1))\n"
        "from depthd.bench import upstream; upstream.answer(upstream.setup)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        input=json.dumps({"weights": str(random_weights), "folder": str(tmp_path), "threads": 1})
        + "\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert "depthd[test]" in json.loads(result.stdout)["hint"]


def test_upstream_needs_its_own_weights(root: Path) -> None:
    code, _, err = bench(root, "--set", "model.name=builtin", "--against", "upstream", *SHORT)
    assert code == ExitCode.UNAVAILABLE
    assert "midas_small" in err


def test_how_long_each_kind_of_file_takes_to_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("depthd.bench.session._READ", 10_000)
    own = ["--root", str(tmp_path), "--set", "model.name=builtin"]
    assert cli.main(["bench", "--reading", *own]) == ExitCode.OK
    out = capsys.readouterr().out
    assert {"JPEG progressive", "TIFF float RGB"} <= {
        line[:16].strip() for line in out.splitlines()
    }
