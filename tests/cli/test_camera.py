"""`depthd camera` and metres by `depthd process`, on depth whose metres a test decides."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from pictures import SAMPLES
from PIL import Image

from depthd import cli

from .conftest import Depthd

WRONG = 3  # number of the point that is measured wrongly


@pytest.fixture
def depthd(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Depthd:
    """`depthd` in this process, which has loaded the heavy libraries after the first test."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        code = cli.main([str(argument) for argument in arguments])
        return subprocess.CompletedProcess(arguments, code, *capsys.readouterr())

    return run


@pytest.fixture
def settings(prepared_state: Path, random_weights: Path, tmp_path: Path) -> list[str]:
    root = ["--root", str(tmp_path / "root"), "--set", f"paths.state={prepared_state}"]
    return [*root, "--set", f"model.weights={random_weights}"]


@pytest.fixture
def points(depthd: Depthd, settings: list[str], tmp_path: Path) -> Path:
    """Points of coffee.jpg, as far as the network's own depth says by a scale of the test's."""
    photo = SAMPLES / "coffee.jpg"
    chosen = ["--set", "output.formats=[npy]"]
    assert depthd("process", photo, "-o", tmp_path / "first", *settings, *chosen).returncode == 0
    depth = np.load(tmp_path / "first/coffee.jpg.depth.npy")
    low, high = np.percentile(depth, [2, 98])
    metres = 1 / (0.2 + 0.8 * np.clip((depth - low) / (high - low), 0, None))
    random = np.random.default_rng(5)
    rows, columns = (random.integers(0, side, 12) for side in depth.shape)
    file = tmp_path / "points.csv"
    lines = ["x,y,metres"]
    for number, (x, y) in enumerate(zip(columns, rows, strict=True), 1):
        factor = 4 if number == WRONG else 1
        lines.append(f"{x + 0.5},{y + 0.5},{metres[y, x] * factor:.4f}")
    file.write_text("\n".join(lines))
    return file


def test_process_gives_metres_and_their_error(
    depthd: Depthd, settings: list[str], points: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    done = depthd("process", SAMPLES / "coffee.jpg", "-o", out, *settings, "--references", points)
    assert done.returncode == 0
    assert "metres from 11 of 12 reference points, expected error" in done.stderr
    manifest = json.loads((out / "coffee.jpg.json").read_bytes())
    metres, depth = manifest["metres"], np.load(out / "coffee.jpg.depth.npy")
    assert metres["thrown_out"] == [WRONG]
    assert metres["reason"] is None
    assert 0 <= metres["leave_one_out_percent"] <= metres["error_percent"] < 15
    values = np.load(out / "coffee.jpg.metres.npy")
    assert values.shape == depth.shape
    if not metres["corrected"]:
        expected = 1 / (metres["scale"] * depth + metres["shift"])
        known = np.isfinite(values)
        assert np.allclose(values[known], expected[known], rtol=1e-3)
    assert np.nanmax(values) <= metres["limit"]
    (heatmap,) = (file for file in manifest["files"] if file["format"] == "heatmap")
    darkest, brightest = heatmap["shown"]
    assert darkest > brightest > 0


def test_process_says_why_there_are_no_metres(
    depthd: Depthd, settings: list[str], tmp_path: Path
) -> None:
    (tmp_path / "two.csv").write_text("x,y,metres\n10,10,1\n50,50,2\n")
    arguments = ["process", SAMPLES / "coffee.jpg", "-o", tmp_path / "out", *settings]
    done = depthd(*arguments, "--references", tmp_path / "two.csv")
    assert done.returncode == 0
    assert "no metres: 3 reference points are needed, and there are 2" in done.stderr
    manifest = json.loads((tmp_path / "out/coffee.jpg.json").read_bytes())
    assert manifest["metres"]["reason"].startswith("3 reference points")
    assert manifest["metres"]["scale"] is None
    assert not (tmp_path / "out/coffee.jpg.metres.npy").exists()


def test_metres_without_points_are_not_passed_over_in_silence(
    depthd: Depthd, settings: list[str], points: Path, tmp_path: Path
) -> None:
    out, chosen = tmp_path / "out", ["--set", "output.formats=[metres]", "--skip-done"]
    process = ["process", SAMPLES / "coffee.jpg", "-o", out, *settings, *chosen]
    assert "no metres: 3 reference points are needed, and there are 0" in depthd(*process).stderr
    manifest = json.loads((out / "coffee.jpg.json").read_bytes())
    assert (manifest["metres"]["points"], manifest["files"]) == (0, [])
    assert "1 done before" in depthd(*process).stdout
    assert depthd(*process, "--references", points).stdout.startswith(
        "1 done"
    )  # there are some now
    assert "1 done before" in depthd(*process, "--references", points).stdout


@pytest.fixture
def camera(settings: list[str], points: Path, tmp_path: Path) -> list[str]:
    """A camera with three photos in done/."""
    done = tmp_path / "root/done/hall/cam1/day"
    done.mkdir(parents=True)
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        shutil.copy(SAMPLES / "coffee.jpg", done / name)
    (done / "a.txt").write_text("no photo")
    return [*settings, "--set", f"folders.hall/cam1.references_file={points}"]


def test_show_draws_the_points(depthd: Depthd, camera: list[str], tmp_path: Path) -> None:
    done = depthd("camera", "show", "hall/cam1", *camera)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["point", "x", "y", "measured", "seen", "off"]
    assert f"{WRONG} " in lines[WRONG]
    assert "thrown out in 1 of 1: measure it again" in lines[WRONG]
    assert sum("used" in line for line in lines[1:13]) == 11
    assert "expected error" in lines[13]
    assert "one more point would help most at" in lines[13]
    drawn = np.asarray(Image.open(tmp_path / "hall-cam1.points.jpg")).astype(int)
    assert drawn.shape[1] == 1280
    reddish = (drawn[..., 0] > 200) & (drawn[..., 1] < 110) & (drawn[..., 2] < 100)
    assert reddish.sum() > 20


def test_check_finds_the_bad_point_in_all_photos(depthd: Depthd, camera: list[str]) -> None:
    done = depthd("camera", "check", *camera)
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert lines[0] == "hall/cam1: 3 of 3 photos have metres"
    assert "thrown out in 3 of 3: measure it again" in lines[1 + WRONG]
    fewer = depthd("camera", "check", "hall/cam1", "--photos", "1", *camera)
    assert fewer.stdout.startswith("hall/cam1: 1 of 1 photos have metres")


def test_check_fails_where_there_are_no_metres(
    depthd: Depthd, camera: list[str], tmp_path: Path
) -> None:
    points = "[[1,1,1],[5,5,2]]"
    camera[-1] = f"folders.hall/cam1.references={points}"
    done = depthd("camera", "check", *camera)
    assert done.returncode == 1
    assert "0 of 3 photos have metres" in done.stdout
    assert "no metres: 3 reference points are needed" in done.stdout
    shown = depthd("camera", "show", "hall/cam1", *camera, "-o", tmp_path / "x.jpg")
    assert shown.returncode == 1
    assert (tmp_path / "x.jpg").exists()


def test_mistakes(depthd: Depthd, camera: list[str], tmp_path: Path) -> None:
    for arguments, code, words in (
        (["show", "cam9"], 78, "cam9 has no reference points"),
        (["show", "hall/cam1/night"], 66, "there is no photo of hall/cam1/night"),
        (["show", "hall/cam1", "--photo", "none.jpg"], 66, "none.jpg: No such file"),
        (["show", "hall/cam1", "-o", "no/such/folder.jpg"], 73, "cannot be written"),
    ):
        done = depthd("camera", *arguments, *camera)
        assert done.returncode == code, done.stderr
        assert words in done.stderr
    bare = depthd("camera", "check", *camera[:-2])
    assert bare.returncode == 66
    assert "has both photos and reference points" in bare.stderr
