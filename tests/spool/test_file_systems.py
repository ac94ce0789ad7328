"""Names, links and rights of real file systems, for outbox, done and failed each alone."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from faults.forkserver import Forks, Order
from faults.scene import photos
from spool.mounts import KINDS, lacking, mounted
from spool.parts import Parts, claimed, drop

from depthd.contract.errors import FaultCode
from depthd.contract.formats import Format
from depthd.contract.names import SetName, readable
from depthd.spool import Verdict

REFUSED = {
    "ntfs": ("12:30:05.jpg", "what?.jpg", "con.jpg", "trail. /a.jpg", os.fsdecode(b"caf\xe9.jpg")),
    "exfat": ("12:30:05.jpg", "what?.jpg", "12:30/a.jpg"),
    "encfs": ("x" * 200 + ".jpg", "y" * 200 + "/a.jpg"),
}
TAKEN = ("a.jpg", "cam 1/Grüße.jpg", "x" * 100 + ".jpg")
EMPTY = Verdict(FaultCode.EMPTY)
PLACES = ("outbox", "done", "failed")


@pytest.fixture(scope="module", params=KINDS)
def disk(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Path]]:
    kind = request.param
    if reason := lacking(kind):
        pytest.skip(reason)
    with mounted(kind, tmp_path_factory.mktemp("disks")) as folder:
        yield kind, folder


@pytest.fixture(params=PLACES)
def parts(
    request: pytest.FixtureRequest, tmp_path: Path, disk: tuple[str, Path]
) -> Iterator[Parts]:
    """A root of which one folder lies on that disk."""
    folder = disk[1] / tmp_path.name
    with Parts.open(tmp_path, **{request.param: folder}) as parts:
        yield parts


def names(parts: Parts, place: str) -> set[str]:
    folder = parts.config.folder(place)
    return {
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and not path.relative_to(folder).parts[0].startswith(".depthd")
    }


def is_on_disk(parts: Parts, place: str, disk: tuple[str, Path]) -> bool:
    return parts.config.folder(place).is_relative_to(disk[1])


def expected(parts: Parts, place: str, disk: tuple[str, Path], name: str) -> str:
    """As the photo is called, but on the disk that refuses that."""
    is_portable = is_on_disk(parts, place, disk) and name in REFUSED[disk[0]]
    return SetName.of(name).portable().path if is_portable else name


def test_a_set_gets_a_portable_name_where_it_needs_one(
    parts: Parts, disk: tuple[str, Path]
) -> None:
    for name in (*REFUSED[disk[0]], *TAKEN):
        job = parts.claim(name, name.encode(errors="replace"))
        target = parts.publish(job)
        assert target.path == name
        shown = expected(parts, "outbox", disk, name)
        folder = (parts.config.folder("outbox") / shown).parent
        manifest = json.loads((folder / f"{Path(shown).name}.json").read_bytes())
        for entry in manifest["files"]:  # lists what lies beside it
            assert entry["name"] == readable(Path(shown).name + entry["suffix"])
            assert Path(f"{folder}/{Path(shown).name}{entry['suffix']}").exists()
        assert parts.publisher.find(claimed(job)) == target
        assert parts.spool.finish(job, target) == expected(parts, "done", disk, name)
    every = (*REFUSED[disk[0]], *TAKEN)
    assert names(parts, "done") == {expected(parts, "done", disk, name) for name in every}
    assert names(parts, "outbox") == {
        expected(parts, "outbox", disk, name) + suffix
        for name in every
        for suffix in (".heatmap.png", ".depth.npy", ".json")
    }


def test_a_failed_photo_and_its_reason_share_a_name(parts: Parts, disk: tuple[str, Path]) -> None:
    every = (*REFUSED[disk[0]], *TAKEN)
    for name in every:
        job = parts.claim(name, name.encode(errors="replace"))
        assert parts.spool.fail(job, EMPTY) == expected(parts, "failed", disk, name)
    assert names(parts, "failed") == {
        expected(parts, "failed", disk, name) + suffix
        for name in every
        for suffix in ("", ".error.json")
    }


def test_no_two_photos_get_one_name(parts: Parts, disk: tuple[str, Path]) -> None:
    refused = REFUSED[disk[0]][0]
    for content in (b"first", b"second"):
        job = parts.claim(refused, content)
        parts.spool.finish(job, parts.publish(job))
    job = parts.claim(SetName.of(refused).portable().path, b"third")
    parts.spool.finish(job, parts.publish(job))
    contents = [(parts.config.folder("done") / name).read_bytes() for name in names(parts, "done")]
    assert sorted(contents) == [b"first", b"second", b"third"]
    assert len(names(parts, "outbox")) == 9


def test_a_cut_publication_is_undone(parts: Parts, disk: tuple[str, Path]) -> None:
    """In another process, which finds the hidden files of the first."""
    job = parts.claim(REFUSED[disk[0]][0])
    outlets = parts.publisher.open(job.id, [Format.HEATMAP])
    outlets.close()
    parts.spool.close()
    again = Parts.start(parts.config)
    [found] = again.spool.sweep()
    assert again.publisher.settle(claimed(found)) is None
    again.publisher.sweep()
    left = [path for path in parts.config.folder("outbox").rglob("*") if path.is_file()]
    assert left == []
    parts.spool = again.spool  # closed by the fixture


def test_what_is_left_in_the_private_folders_is_swept(parts: Parts) -> None:
    leftover = f"20261123T064500.123Z-{parts.spool.instance}.original"
    for place in parts.places.all:
        with place.private.open() as handle:
            os.close(os.open(leftover, os.O_CREAT | os.O_WRONLY, 0o600, dir_fd=handle))
    again = Parts.start  # another process knows nothing of the first one's folders
    parts.spool.close()
    second = again(parts.config)
    second.publisher.sweep()
    parts.spool = second.spool
    for name in PLACES:
        assert not list(parts.config.folder(name).rglob(leftover))


def test_the_daemon_brings_all_of_them_home(tmp_path: Path, disk: tuple[str, Path]) -> None:
    """Outbox, done and failed on that disk; nothing pauses, nothing waits."""
    kind, folder = disk
    root = tmp_path / "root"
    every = (*REFUSED[kind], *TAKEN)
    for name in every:
        drop(root, name, photos()["a.jpg"])
    drop(root, "bad?.jpg", b"no picture")
    settings = [f"paths.{place}={folder}/daemon/{place}" for place in PLACES]
    settings += ["intake.settle=0s", "disk.min_free=0", "output.formats=[npy]"]
    (folder / "daemon").mkdir()
    with Forks() as forks:
        assert forks.run(Order(str(root), tuple(settings))) == 1, log(root)
    events = [entry["event"] for entry in log(root)]
    assert events.count("photo.done") == len(every), log(root)
    assert events.count("photo.failed") == 1
    assert not {"service.paused", "photo.set_aside", "folder.held"} & set(events)
    manifests = [
        json.loads(path.read_bytes()) for path in (folder / "daemon/outbox").rglob("*.json")
    ]
    assert {entry["source"]["name"] for entry in manifests} == {readable(name) for name in every}


def log(root: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (root / "log/depthd.jsonl").read_bytes().splitlines()]
