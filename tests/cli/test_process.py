"""`depthd process`: the worker's pipeline over files that stay where they are."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from PIL import Image

from depthd import cli
from depthd.cli.photos import choose
from depthd.config import Config

from .conftest import Depthd

SUFFIXES = (".depth.npy", ".heatmap.png", ".json")


@pytest.fixture
def depthd(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Depthd:
    """`depthd` in this process, which has loaded the heavy libraries after the first test."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        code = cli.main([str(argument) for argument in arguments])
        return subprocess.CompletedProcess(arguments, code, *capsys.readouterr())

    return run


@pytest.fixture
def settings(prepared_state: Path, random_weights: Path) -> list[str]:
    return ["--set", f"paths.state={prepared_state}", "--set", f"model.weights={random_weights}"]


def photo(path: Path, width: int = 64, height: int = 48) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(len(str(path))).integers(0, 256, (height, width, 3), np.uint8)
    Image.fromarray(pixels).save(path, "JPEG")
    return path


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder with two photos, one of them deeper, and things that are none."""
    folder = tmp_path / "photos"
    photo(folder / "a.jpg", 64, 48)
    photo(folder / "cam 1/b.JPG", 40, 90)
    photo(folder / ".hidden/c.jpg")
    photo(folder / "d.jpg.part")
    (folder / "notes.txt").write_text("no photo")
    (folder / "link.jpg").symlink_to("a.jpg")
    return folder


@contextmanager
def refused(path: Path) -> Iterator[None]:
    """Nobody may open this, not even root: the system says so where the tests are root."""
    real_open, real_scandir = os.open, os.scandir

    def refuse(given: str | Path) -> None:
        if isinstance(given, str | Path) and Path(given) == path:
            raise PermissionError(errno.EACCES, "Permission denied", str(given))

    def guarded_open(given: str | Path, *arguments: Any, **more: Any) -> int:
        refuse(path if "dir_fd" in more and given == path.name else given)
        return real_open(given, *arguments, **more)

    def guarded_scandir(given: str | Path = ".") -> Any:
        refuse(given)
        return real_scandir(given)

    with patch("os.open", guarded_open), patch("os.scandir", guarded_scandir):
        yield


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def visible(folder: Path) -> set[str]:
    return {name for name in digests(folder) if not name.startswith(".")}


def sets(*names: str) -> set[str]:
    return {name + suffix for name in names for suffix in SUFFIXES}


def test_folders_are_walked_and_photos_stay(
    photos: Path, tmp_path: Path, depthd: Depthd, settings: list[str]
) -> None:
    before = digests(photos)
    out = tmp_path / "out"
    result = depthd("process", photos, "-o", out, *settings)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("2 done, 0 failed in ")
    assert f"served by midas_small; results are in {out}" in result.stdout
    assert visible(out) == sets("a.jpg", "cam 1/b.JPG")
    assert digests(photos) == before
    depth = np.load(out / "cam 1/b.JPG.depth.npy")
    assert (depth.shape, depth.dtype) == ((90, 40), np.float32)
    manifest = json.loads((out / "a.jpg.json").read_bytes())
    assert manifest["source"]["sha256"] == before["a.jpg"]


def test_of_folders_what_the_intake_would_take_is_taken(tmp_path: Path) -> None:
    top = tmp_path / "photos"
    for name in ("a.jpg", "@eaDir/a.jpg/SYNOPHOTO_THUMB_XL.jpg", "thumbs/a.jpg", "day/b_small.jpg"):
        photo(top / name)
    intake = {"exclude": ["thumbs/*", "*_small.jpg"]}
    chosen = choose((top,), Config.model_validate({"intake": intake}), tmp_path / "out")
    assert [each.name for each in chosen.photos] == ["a.jpg"]


def test_nothing_is_ever_replaced(
    photos: Path, tmp_path: Path, depthd: Depthd, settings: list[str]
) -> None:
    out = tmp_path / "out"
    twins = [photos / "a.jpg", photo(tmp_path / "other/a.jpg", 20, 30)]
    assert depthd("process", *twins, "-o", out, *settings).returncode == 0
    first = digests(out)
    assert len(visible(out)) == 6
    assert depthd("process", *twins, "-o", out, *settings).returncode == 0
    assert len(visible(out)) == 12
    assert first.items() <= digests(out).items()


def test_results_inside_the_walked_folder_are_not_taken_for_photos(
    photos: Path, depthd: Depthd, settings: list[str]
) -> None:
    for expected in (6, 12):
        result = depthd("process", photos, "-o", photos / "depth", *settings)
        assert result.stdout.startswith("2 done, 0 failed")
        assert len(visible(photos / "depth")) == expected


def test_bad_photos_are_named_and_the_others_are_done(
    photos: Path, tmp_path: Path, depthd: Depthd, settings: list[str]
) -> None:
    (photos / "empty.jpg").touch()
    (photos / "words\x1b[2J\n.png").write_text("these are words")
    result = depthd("process", photos, "-o", tmp_path / "out", *settings)
    assert result.returncode == 1
    assert result.stdout.startswith("2 done, 2 failed")
    assert f"{photos}/empty.jpg: empty: The file holds no bytes." in result.stderr
    assert r"words\x1b[2J\n.png: not_an_image: " in result.stderr
    assert len(result.stderr.splitlines()) == 2
    assert visible(tmp_path / "out") == sets("a.jpg", "cam 1/b.JPG")


def test_what_is_named_is_taken_whatever_its_name(
    tmp_path: Path, depthd: Depthd, settings: list[str]
) -> None:
    original = photo(tmp_path / os.fsdecode(b"no suffix \xff"))
    link = tmp_path / "link"
    link.symlink_to(original)
    result = depthd("process", original, link, "-o", tmp_path / "out", *settings)
    assert (result.returncode, result.stderr) == (0, "")
    assert visible(tmp_path / "out") == sets(original.name, "link")


def test_the_configuration_counts(
    photos: Path, tmp_path: Path, depthd: Depthd, settings: list[str]
) -> None:
    chosen = ["--set", "output.formats=[pfm]", "--set", "intake.recursive=false"]
    result = depthd("process", photos, "-o", tmp_path / "out", *settings, *chosen)
    assert result.returncode == 0
    assert visible(tmp_path / "out") == {"a.jpg.pfm", "a.jpg.json"}


def test_results_in_the_same_folder_are_not_taken_for_photos(
    photos: Path, depthd: Depthd, settings: list[str]
) -> None:
    formats = ["--set", "output.formats=[heatmap,npy,png16,pfm,preview]"]
    photo(photos / "mine.depth.png")  # looks like a result, and no manifest says so
    assert depthd("process", photos, "-o", photos, *settings, *formats).returncode == 0
    result = depthd("process", photos, "-o", photos, *settings, *formats)
    assert result.stdout.startswith("3 done, 0 failed")
    assert result.stderr == "9 results of depthd are passed over\n"
    everything = [path for path in photos.rglob("*") if path.is_file() and path.name[0] not in ".n"]
    result = depthd("process", *everything, "-o", photos, *settings, *formats, "--skip-done")
    assert "3 done before" not in result.stdout  # cam 1/b.JPG was given without its folder
    assert "passed over" in result.stderr
    manifest = photos / "a.jpg.json"
    manifest.write_text("[" * 100_000)
    (photos / "cam 1/b.JPG.json").unlink()
    os.mkfifo(photos / "cam 1/b.JPG.json")  # neither is believed, and neither holds it up
    result = depthd("process", photos / "a.jpg.heatmap.png", "-o", photos, *settings)
    assert result.stdout.startswith("1 done")


def test_only_results_are_no_input(photos: Path, depthd: Depthd, settings: list[str]) -> None:
    assert depthd("process", photos / "a.jpg", "-o", photos, *settings).returncode == 0
    results = [photos / f"a.jpg{suffix}" for suffix in SUFFIXES]
    result = depthd("process", *results, "-o", photos)
    assert result.returncode == 66
    assert "only results of depthd" in result.stderr


def test_what_is_done_is_skipped(
    photos: Path, tmp_path: Path, depthd: Depthd, settings: list[str]
) -> None:
    out = tmp_path / "out"
    twin = photo(tmp_path / "other/a.jpg", 20, 30)
    again = ["process", photos, twin, "-o", out, *settings, "--skip-done"]
    assert depthd(*again).stdout.startswith("3 done, 0 failed, 0 done before in")
    before = digests(out)
    result = depthd(*again)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("0 done, 0 failed, 3 done before in")
    assert digests(out) == before
    photo(photos / "a.jpg", 30, 30)  # the same name, another photo
    assert depthd(*again).stdout.startswith("1 done, 0 failed, 2 done before")
    more = ["--set", "output.formats=[npy,pfm]"]
    assert depthd(*again, *more).stdout.startswith("3 done, 0 failed, 0 done before")
    more += ["--set", "folders.cam 1.formats=[png16]"]
    assert depthd(*again, *more).stdout.startswith("1 done, 0 failed, 2 done before")
    assert depthd(*again, *more).stdout.startswith("0 done, 0 failed, 3 done before")


def test_what_cannot_be_read_is_one_line_and_the_rest_is_done(
    photos: Path, tmp_path: Path, depthd: Depthd, settings: list[str]
) -> None:
    (photos / "closed").mkdir()
    photo(photos / "closed/c.jpg")
    missing = tmp_path / ("x" * 300)
    with refused(photos / "closed"), refused(photos / "a.jpg"):
        result = depthd("process", photos, missing, "-o", tmp_path / "out", *settings)
    assert result.returncode == 1
    assert result.stdout.startswith("1 done, 1 failed")
    assert sorted(result.stderr.splitlines()) == [
        f"{photos}/a.jpg: Permission denied",
        f"{photos}/closed: Permission denied",
        f"{missing}: File name too long",
    ]
    assert visible(tmp_path / "out") == sets("cam 1/b.JPG")


def test_a_disk_that_errs_while_a_photo_is_read_fails_this_one_alone(
    photos: Path, tmp_path: Path, depthd: Depthd, settings: list[str]
) -> None:
    read, code = os.read, errno.ESTALE

    def failing(handle: int, count: int) -> bytes:
        if os.readlink(f"/proc/self/fd/{handle}") == f"{photos}/a.jpg":
            raise OSError(code, os.strerror(code))
        return read(handle, count)

    with patch.object(os, "read", failing):
        result = depthd("process", photos, "-o", tmp_path / "out", *settings)
    assert result.returncode == 1
    assert result.stdout.startswith("1 done, 1 failed")
    assert result.stderr == f"{photos}/a.jpg: the photo cannot be read: Stale file handle\n"
    assert visible(tmp_path / "out") == sets("cam 1/b.JPG")


def test_nothing_that_can_be_read(photos: Path, tmp_path: Path, depthd: Depthd) -> None:
    result = depthd("process", tmp_path / ("x" * 300), "-o", tmp_path / "out")
    assert result.returncode == 66
    assert "File name too long\ndepthd: there is no photo that can be read" in result.stderr
    assert not (tmp_path / "out").exists()


def test_an_output_folder_that_cannot_be_written_is_told_before_the_network_is_loaded(
    photos: Path, tmp_path: Path, depthd: Depthd
) -> None:
    missing = ["--set", "model.weights=/none.pt"]
    for folder in (tmp_path / ("x" * 300), Path("/proc/depthd"), Path("/proc")):
        result = depthd("process", photos, "-o", folder, *missing)
        assert (result.returncode, result.stdout) == (73, "")
        assert f"cannot write to {folder}: " in result.stderr


def test_no_input_and_no_output(photos: Path, tmp_path: Path, depthd: Depthd) -> None:
    (tmp_path / "bare").mkdir()
    for arguments, code, words in (
        ([tmp_path / "none.jpg"], 66, "none.jpg is not there"),
        ([photos / "a.jpg", "-"], 66, "- is not there"),
        ([tmp_path / "bare"], 66, "there is no photo"),
        ([photos], 73, "cannot write to"),
    ):
        folder = photos / "a.jpg/out" if code == 73 else tmp_path / "out"
        result = depthd("process", *arguments, "-o", folder)
        assert (result.returncode, result.stdout) == (code, "")
        assert words in result.stderr


def test_without_weights_it_ends_at_once(photos: Path, tmp_path: Path, depthd: Depthd) -> None:
    missing = ["--set", "model.weights=/none.pt"]
    result = depthd("process", photos, "-o", tmp_path / "out", *missing)
    assert result.returncode == 69
    assert "/none.pt is not there" in result.stderr
    assert digests(tmp_path / "out") == {}


def test_without_a_root_the_users_own_cache_is_used(
    photos: Path, tmp_path: Path, depthd: Depthd, prepared_state: Path, random_weights: Path
) -> None:
    (tmp_path / "cache").mkdir()
    prepared_state.rename(tmp_path / "cache/depthd")
    weights = ["--set", f"model.weights={random_weights}"]
    result = depthd("process", photos / "a.jpg", "-o", tmp_path / "out", *weights)
    assert (result.returncode, result.stderr) == (0, "")


def test_a_terminal_gets_a_progress_bar(
    photos: Path, tmp_path: Path, settings: list[str], environment: dict[str, str]
) -> None:
    command = [sys.executable, "-m", "depthd", "process", photos, "-o", tmp_path / "out", *settings]
    ours, theirs = pty.openpty()
    try:
        environment = {**environment, "TERM": "xterm", "COLUMNS": "80"}
        result = subprocess.run(
            command, env=environment, stdout=subprocess.PIPE, stderr=theirs, check=True, text=True
        )
        shown = os.read(ours, 1 << 16).decode()
    finally:
        os.close(ours)
        os.close(theirs)
    assert "2/2" in shown
    assert "left" in shown
    assert "\x1b" not in result.stdout
