"""An outbox that is really full, and is freed later."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from faults import scene
from service.daemon import Daemon, drop, visible
from service.photos import photo

_PHOTOS = 6


@pytest.fixture
def resize(root: Path) -> Iterator[Callable[[str], None]]:
    """Changes the size of the outbox's own file system, which has room for two photos."""
    outbox = root / "outbox"
    outbox.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=240k", "depthd-test", outbox]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("mounting a small file system needs root")
    yield lambda size: bool(
        subprocess.run(["mount", "-o", f"remount,size={size}", outbox], check=True)
    )
    subprocess.run(["umount", outbox], check=True)


def test_photos_wait_until_there_is_room(
    root: Path, settings: tuple[str, ...], resize: Callable[[str], None]
) -> None:
    with Daemon(root, *settings) as daemon:
        daemon.ready()
        for number in range(_PHOTOS):
            drop(root, f"p{number}.jpg", photo(number))
        paused = daemon.wait_for("service.paused")[-1]
        assert "No space left" in paused["reason"]
        assert scene.broken_results(root, {}, only_listed=True) == []
        done = len(daemon.logged("photo.done"))
        assert done < _PHOTOS
        assert len([*(root / "outbox").glob("*.json")]) == done
        resize("20m")
        daemon.wait_for("photo.done", count=_PHOTOS)
        assert daemon.logged("service.resumed")
        assert not daemon.logged("photo.failed")
        assert daemon.stop() == 0
    assert len(visible(root / "done")) == _PHOTOS
    assert len([path for path in (root / "outbox").rglob("*") if path.is_file()]) == 3 * _PHOTOS


def test_a_single_run_says_that_there_is_no_room_and_is_taken_up_again(
    root: Path, settings: tuple[str, ...], resize: Callable[[str], None]
) -> None:
    for number in range(_PHOTOS):
        drop(root, f"p{number}.jpg", photo(number))
    with Daemon(root, *settings, arguments=["--once"]) as daemon:
        assert daemon.exit_code() == 73
    assert b"No space left" in daemon.errors.read_bytes()
    resize("20m")
    with Daemon(root, *settings, arguments=["--once"]) as daemon:
        assert daemon.exit_code() == 0
    assert len(visible(root / "done")) == _PHOTOS
    assert len([path for path in (root / "outbox").rglob("*") if path.is_file()]) == 3 * _PHOTOS


def test_nothing_is_claimed_below_min_free(
    root: Path, settings: tuple[str, ...], resize: Callable[[str], None]
) -> None:
    resize("20m")
    hoard = root / "outbox/hoard"
    with Daemon(root, *settings, "disk.min_free=8MB") as daemon:
        daemon.ready()
        drop(root, "a.jpg", photo(1))
        daemon.wait_for("photo.done", name="a.jpg")
        hoard.write_bytes(bytes(15 << 20))
        (paused,) = daemon.wait_for("service.paused")
        assert "disk.min_free" in paused["reason"]
        drop(root, "b.jpg", photo(2))
        hoard.unlink()
        daemon.wait_for("photo.done", name="b.jpg")
        assert len(daemon.logged("service.resumed")) == 1
        assert not daemon.logged("photo.set_aside")
        assert daemon.stop() == 0
