"""Publishing on real file systems: whole sets, nothing replaced, interrupted runs undone."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from pathlib import Path

import pytest
from spool import parts
from spool.parts import RESULTS, fill, hidden, manifest_maker, visible

from depthd.contract.formats import Format
from depthd.publish.places import Places
from depthd.publish.publisher import Claimed, NamesTaken, Publisher
from depthd.system import files

STAMP = "20261123T064500.123Z"
INSTANCE = "0123abcd"
JOB = f"{STAMP}-{INSTANCE}"
NAME = "cam/a.jpg"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("outbox", "done", "failed"):
        (tmp_path / name).mkdir()
    return tmp_path


@pytest.fixture
def places(root: Path) -> Places:
    return Places(root / "outbox", root / "done", root / "failed")


@pytest.fixture
def publisher(places: Places) -> Publisher:
    return Publisher(places, 0o640, INSTANCE)


def claimed(name: str = NAME, job: str = JOB) -> Claimed:
    return Claimed(job, name, STAMP)


def publish(publisher: Publisher, name: str = NAME, job: str = JOB) -> str:
    return parts.publish(publisher, claimed(name, job)).path


def test_only_large_results_leave_the_systems_memory(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    advised = []
    monkeypatch.setattr(os, "posix_fadvise", lambda handle, *_: advised.append(os.fstat(handle)))
    large = bytes((8 << 20) + 6)
    parts.publish(publisher, claimed(), {Format.HEATMAP: b"picture", Format.NPY: large})
    assert [about.st_size for about in advised] == [len(large)]


def test_a_set_appears_whole_with_its_manifest(publisher: Publisher, root: Path) -> None:
    assert publish(publisher) == "cam/a.jpg"
    assert visible(root / "outbox") == {
        "cam/a.jpg.heatmap.png",
        "cam/a.jpg.depth.npy",
        "cam/a.jpg.json",
    }
    listed = json.loads((root / "outbox/cam/a.jpg.json").read_bytes())["files"]
    for entry in listed:
        content = (root / "outbox/cam" / entry["name"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == entry["sha256"]
    assert hidden(root / "outbox") == []
    found = publisher.find(claimed())
    assert found is not None
    assert found.path == "cam/a.jpg"


def test_results_get_the_configured_rights_and_the_folders_group(
    publisher: Publisher, root: Path
) -> None:
    outbox = root / "outbox"
    if os.geteuid() != 0:
        pytest.skip("giving a folder another group needs root")
    os.chown(outbox, -1, 4711)
    publish(publisher)
    for path in (outbox / "cam").iterdir():
        assert path.stat().st_gid == 4711
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert stat.S_IMODE((outbox / "cam").stat().st_mode) == stat.S_IMODE(outbox.stat().st_mode)
    assert stat.S_IMODE((outbox / ".depthd").stat().st_mode) == 0o700


@pytest.mark.parametrize("kind", ["file", "folder", "symlink", "fifo"])
@pytest.mark.parametrize(
    "taken",
    [
        "outbox/cam/a.jpg.json",
        "outbox/cam/a.jpg.heatmap.png",
        "outbox/cam/a.jpg.depth.npy",
        "done/cam/a.jpg",
        "failed/cam/a.jpg",
        "failed/cam/a.jpg.error.json",
    ],
)
def test_a_taken_name_gives_the_whole_set_another(
    publisher: Publisher, root: Path, taken: str, kind: str
) -> None:
    path = root / taken
    path.parent.mkdir(parents=True)
    take = {
        "file": lambda: path.write_bytes(b"somebody else's"),
        "folder": path.mkdir,
        "symlink": lambda: path.symlink_to("nowhere"),
        "fifo": lambda: os.mkfifo(path),
    }
    take[kind]()
    before = os.lstat(path)
    assert publish(publisher) == f"cam/a~{STAMP}.jpg"
    assert os.lstat(path).st_ino == before.st_ino
    mine = {name for name in visible(root / "outbox") if STAMP in name}
    assert mine == {
        f"cam/a~{STAMP}.jpg{suffix}" for suffix in (".json", ".heatmap.png", ".depth.npy")
    }
    assert visible(root / "outbox") - mine <= {"cam/a.jpg" + path.name.removeprefix("a.jpg")}


def test_no_name_left_is_said_and_leaves_nothing(publisher: Publisher, root: Path) -> None:
    for number in range(10):
        publish(publisher, job=f"{JOB}-{number}")
    before = visible(root / "outbox")
    with pytest.raises(NamesTaken):
        publish(publisher)
    assert visible(root / "outbox") == before
    publisher.discard(JOB)
    assert hidden(root / "outbox") == []


def test_a_symlinked_folder_is_not_followed(publisher: Publisher, root: Path) -> None:
    elsewhere = root / "elsewhere"
    elsewhere.mkdir()
    (root / "outbox/cam").symlink_to(elsewhere)
    with pytest.raises(OSError, match=r"Not a directory|symbolic"):
        publish(publisher)
    assert list(elsewhere.iterdir()) == []


class Cut(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("links_work", [True, False])
@pytest.mark.parametrize("step", range(1, 4))
def test_a_run_cut_between_any_two_links_is_undone(
    publisher: Publisher,
    places: Places,
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
    step: int,
    links_work: bool,
) -> None:
    outbox = root / "outbox"
    publish(publisher, job="earlier-" + INSTANCE)  # same name and content: must survive
    before = visible(outbox)
    link = files.link_noreplace if links_work else files.rename_noreplace
    calls = 0

    def cut(source: str, target: str, source_dir: int, target_dir: int) -> None:
        nonlocal calls
        calls += 1
        if calls == step:
            raise Cut
        link(source, target, source_dir, target_dir)

    with monkeypatch.context() as patch:
        patch.setattr(files, "link_noreplace", cut)
        patch.setattr(files, "unlink_if_exists", lambda *_: None)  # no tidying after the end
        with pytest.raises(Cut):
            publish(publisher)
    assert len(visible(outbox)) == len(before) + step - 1
    publisher = Publisher(places, 0o640, INSTANCE)  # another process
    assert publisher.settle(claimed()) is None
    assert visible(outbox) == before
    assert hidden(outbox) == []
    assert publish(publisher) == f"cam/a~{STAMP}.jpg"


@pytest.mark.parametrize("links_work", [True, False])
@pytest.mark.parametrize("is_undone", [True, False])
@pytest.mark.parametrize("step", range(1, 4))
def test_a_try_that_failed_between_any_two_links_is_made_good(
    publisher: Publisher,
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
    step: int,
    links_work: bool,
    is_undone: bool,
) -> None:
    """Also where the disk is so ill that not even the links can be taken back."""
    job, outlets = claimed(), publisher.open(JOB, list(RESULTS))
    listed = fill(outlets)
    make = manifest_maker(job, listed)
    link = files.link_noreplace if links_work else files.rename_noreplace
    calls = 0

    def fail(*names: object) -> None:
        nonlocal calls
        calls += 1
        if calls < step:
            link(*names)  # type: ignore[arg-type]
            return
        if not is_undone:
            patch.setattr(os, "unlink", stuck)
            patch.setattr(files, "rename_noreplace", stuck)
        raise OSError(5, "Input/output error")

    def stuck(*_: object, **__: object) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(files, "link_noreplace", fail)
        with pytest.raises(OSError, match="Input/output"):
            publisher.publish(job, outlets, listed, make)
    must_be_made_anew = not is_undone and not links_work and step > 1
    if must_be_made_anew:  # the hidden names became the final ones, and are gone with these
        with pytest.raises(FileNotFoundError):
            publisher.publish_again(job, outlets, listed, make)
        assert visible(root / "outbox") == set()
        outlets = publisher.open(JOB, list(RESULTS))
        fill(outlets)
    assert publisher.publish_again(job, outlets, listed, make).path == "cam/a.jpg"
    outlets.close()
    assert visible(root / "outbox") == {
        f"cam/a.jpg{suffix}" for suffix in (".json", ".heatmap.png", ".depth.npy")
    }
    assert hidden(root / "outbox") == []


def test_publishing_again_after_all_was_out_finds_it(publisher: Publisher, root: Path) -> None:
    job, outlets = claimed(), publisher.open(JOB, list(RESULTS))
    listed = fill(outlets)
    make = manifest_maker(job, listed)
    first = publisher.publish(job, outlets, listed, make)
    assert publisher.publish_again(job, outlets, listed, make) == first
    outlets.close()
    assert len(visible(root / "outbox")) == 3


def test_a_start_with_many_jobs_lists_the_outbox_once(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(publisher)
    listed = []
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda folder: (listed.append(folder), scandir(folder))[1])
    for number in range(10):
        assert publisher.settle(claimed(f"{number}.jpg", f"{JOB}-{number}")) is None
    assert len(listed) == 1


def test_hidden_files_are_found_where_the_private_folder_was_exchanged(
    publisher: Publisher, places: Places, root: Path
) -> None:
    """In the one of an earlier run, and in the one that this run has made since."""
    outbox = root / "outbox"
    publisher.open(JOB, list(RESULTS)).close()
    (outbox / ".depthd").rename(outbox / ".depthd-earlier")
    (outbox / ".depthd").write_bytes(b"somebody else's")
    publisher = Publisher(places, 0o640, INSTANCE)
    assert publisher.settle(claimed()) is None
    publisher.open(JOB, list(RESULTS)).close()
    assert publisher.settle(claimed()) is None
    assert not list(outbox.glob(f".depthd*/{JOB}*"))


def test_a_sweep_leaves_other_spools_alone(publisher: Publisher, root: Path) -> None:
    publish(publisher)
    staging = root / "outbox/.depthd"
    (staging / f"{JOB}.depth.npy").touch()
    (staging / f"{STAMP}-ffffffff.depth.npy").touch()
    publisher.sweep()
    assert hidden(root / "outbox") == [f"{STAMP}-ffffffff.depth.npy"]


def test_rename_without_flag_and_links_never_replaces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What exFAT and some SMB servers leave: only a reserved name."""
    monkeypatch.setattr(files, "_renameat2", None)

    def no_links(*_args: object, **_kwargs: object) -> None:
        raise PermissionError(1, "no hard links here")

    monkeypatch.setattr(os, "link", no_links)
    (tmp_path / "one").write_bytes(b"1")
    (tmp_path / "two").write_bytes(b"2")
    with files.directory(tmp_path) as folder:
        with pytest.raises(FileExistsError):
            files.rename_noreplace("one", "two", folder, folder)
        files.rename_noreplace("one", "three", folder, folder)
    assert (tmp_path / "two").read_bytes() == b"2"
    assert (tmp_path / "three").read_bytes() == b"1"
    assert not (tmp_path / "one").exists()
