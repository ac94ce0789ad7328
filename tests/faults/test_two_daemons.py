"""Several daemons on one inbox, and one too many on one root."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from faults import scene
from service.daemon import Daemon, drop
from service.photos import photo

_PHOTOS = 60
_KILLS = 4


def _shared(root: Path) -> list[str]:
    folders = ("inbox", "outbox", "done", "failed")
    return [f"paths.{folder}={root / folder}" for folder in folders] + [
        f"paths.state={root / 'state'}"
    ]


def test_each_photo_is_taken_once(root: Path, settings: tuple[str, ...], tmp_path: Path) -> None:
    """Three daemons; the third is killed again and again."""
    shared = [*settings, *_shared(root), "intake.rescan_interval=1s", "model.threads=1"]
    contents = {f"cam{number % 3}/p{number}.jpg": photo(number) for number in range(_PHOTOS)}
    names = list(contents)
    victim_root = tmp_path / "three"
    with ExitStack() as stack:
        for name in ("one", "two"):
            (tmp_path / name).mkdir()
            stack.enter_context(Daemon(tmp_path / name, *shared)).ready()
        victim_root.mkdir()
        for kill in range(_KILLS):
            with Daemon(victim_root, *shared) as victim:
                victim.ready()
                for name in names[kill::_KILLS]:
                    drop(root, name, contents[name])
                has_claimed = partial(victim.logged, "photo.claimed")
                victim.wait_until(lambda seen=has_claimed: seen() or not _waiting(root), "claim")
                victim.kill()
        with Daemon(victim_root, *shared) as last:
            last.ready()
            last.wait_until(lambda: len(_files(root / "done")) == _PHOTOS, "photos in done")
            last.wait_until(lambda: not _at_work(tmp_path), "an end of all jobs")
    done = Counter(path.read_bytes() for path in _files(root / "done"))
    assert done == Counter(contents.values())
    manifests = [path for path in _files(root / "outbox") if path.suffix == ".json"]
    sources = Counter(json.loads(path.read_bytes())["source"]["sha256"] for path in manifests)
    assert len(sources) == _PHOTOS
    assert set(sources.values()) == {1}
    assert scene.broken_results(root, {}, only_listed=True) == []
    assert len(_files(root / "outbox")) == 3 * _PHOTOS


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and ".depthd" not in path.parts]


def _at_work(roots: Path) -> list[Path]:
    return [path for path in roots.glob("*/work/*") if not path.name.startswith(".")]


def _waiting(root: Path) -> list[Path]:
    return _files(root / "inbox")


def test_a_second_daemon_on_a_root_is_refused(root: Path, settings: tuple[str, ...]) -> None:
    with Daemon(root, *settings) as first:
        first.ready()
        with Daemon(root, *settings) as second:
            assert second.exit_code() == 75
        assert b"another depthd works in" in second.errors.read_bytes()
        drop(root, "a.jpg", photo(1))
        first.wait_for("photo.done")
