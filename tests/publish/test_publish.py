"""Publishing on real file systems: whole sets, nothing replaced, interrupted runs undone."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from depthd.publish.publisher import NamesTaken, PublishedFile, Publisher
from depthd.system import files

STAMP = "20261123T064500.123Z"
INSTANCE = "0123abcd"
JOB = f"{STAMP}-{INSTANCE}"


@dataclass(frozen=True)
class Text:
    format: str
    suffix: str
    parts: tuple[bytes, ...]


HEATMAP = Text("heatmap", ".heatmap.png", (b"pic", b"ture"))
ARRAY = Text("npy", ".depth.npy", (b"numbers",))


def manifest(listed: Sequence[PublishedFile], job: str = JOB) -> bytes:
    entries = [{"suffix": f.suffix, "name": f.name, "sha256": f.sha256} for f in listed]
    return json.dumps({"job": job, "files": entries}).encode()


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path, Path]:
    made = tmp_path / "outbox", tmp_path / "done", tmp_path / "failed"
    for folder in made:
        folder.mkdir()
    return made


@pytest.fixture
def publisher(folders: tuple[Path, Path, Path]) -> Publisher:
    outbox, *others = folders
    return Publisher(outbox, others, 0o640, INSTANCE)


def publish(publisher: Publisher, name: str = "cam/a.jpg", job: str = JOB) -> str:
    return publisher.publish(
        job, name, STAMP, [HEATMAP, ARRAY], lambda listed: manifest(listed, job)
    )


def visible(outbox: Path) -> set[str]:
    return {
        str(path.relative_to(outbox))
        for path in outbox.rglob("*")
        if path.is_file() and ".depthd" not in path.parts
    }


def hidden(outbox: Path) -> list[str]:
    staging = outbox / ".depthd"
    return sorted(os.listdir(staging)) if staging.exists() else []


def test_only_large_results_leave_the_systems_memory(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    advised = []
    monkeypatch.setattr(os, "posix_fadvise", lambda handle, *_: advised.append(os.fstat(handle)))
    large = Text("npy", ".depth.npy", (b"header", bytes(8 << 20)))
    publisher.publish(JOB, "a.jpg", STAMP, [HEATMAP, large], manifest)
    assert [about.st_size for about in advised] == [(8 << 20) + 6]


def test_a_set_appears_whole_with_its_manifest(
    publisher: Publisher, folders: tuple[Path, Path, Path]
) -> None:
    outbox = folders[0]
    assert publish(publisher) == "cam/a.jpg"
    assert visible(outbox) == {
        "cam/a.jpg.heatmap.png",
        "cam/a.jpg.depth.npy",
        "cam/a.jpg.json",
    }
    listed = json.loads((outbox / "cam/a.jpg.json").read_bytes())["files"]
    for entry in listed:
        content = (outbox / "cam" / entry["name"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == entry["sha256"]
    assert hidden(outbox) == []
    assert publisher.find(JOB, "cam/a.jpg", STAMP) == "cam/a.jpg"


def test_results_get_the_configured_rights_and_the_folders_group(
    publisher: Publisher, folders: tuple[Path, Path, Path]
) -> None:
    outbox = folders[0]
    if os.geteuid() != 0:
        pytest.skip("giving a folder another group needs root")
    os.chown(outbox, -1, 4711)
    publish(publisher)
    for path in (outbox / "cam").iterdir():
        assert path.stat().st_gid == 4711
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert stat.S_IMODE((outbox / "cam").stat().st_mode) == stat.S_IMODE(outbox.stat().st_mode)


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
    publisher: Publisher, folders: tuple[Path, Path, Path], tmp_path: Path, taken: str
) -> None:
    path = tmp_path / taken
    path.parent.mkdir(parents=True)
    path.write_bytes(b"somebody else's")
    assert publish(publisher) == f"cam/a~{STAMP}.jpg"
    assert path.read_bytes() == b"somebody else's"
    mine = {name for name in visible(folders[0]) if STAMP in name}
    assert mine == {
        f"cam/a~{STAMP}.jpg{suffix}" for suffix in (".json", ".heatmap.png", ".depth.npy")
    }
    assert visible(folders[0]) - mine <= {"cam/a.jpg" + path.name.removeprefix("a.jpg")}


def test_no_name_left_is_said_and_leaves_nothing(
    publisher: Publisher, folders: tuple[Path, Path, Path]
) -> None:
    for number in range(10):
        publish(publisher, job=f"{JOB}-{number}")
    before = visible(folders[0])
    with pytest.raises(NamesTaken):
        publish(publisher)
    assert visible(folders[0]) == before
    assert hidden(folders[0]) == []


def test_a_symlinked_folder_is_not_followed(
    publisher: Publisher, folders: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (folders[0] / "cam").symlink_to(elsewhere)
    with pytest.raises(OSError, match=r"Not a directory|symbolic"):
        publish(publisher)
    assert list(elsewhere.iterdir()) == []


class Cut(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("links_work", [True, False])
@pytest.mark.parametrize("step", range(1, 4))
def test_a_run_cut_between_any_two_links_is_undone(
    publisher: Publisher,
    folders: tuple[Path, Path, Path],
    monkeypatch: pytest.MonkeyPatch,
    step: int,
    links_work: bool,
) -> None:
    outbox = folders[0]
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
    assert publisher.settle(JOB, "cam/a.jpg", STAMP) is None
    assert visible(outbox) == before
    assert hidden(outbox) == []
    assert publish(publisher) == f"cam/a~{STAMP}.jpg"


def test_a_sweep_leaves_other_spools_alone(
    publisher: Publisher, folders: tuple[Path, Path, Path]
) -> None:
    publish(publisher)
    staging = folders[0] / ".depthd"
    (staging / f"{JOB}.depth.npy").touch()
    (staging / f"{STAMP}-ffffffff.depth.npy").touch()
    publisher.sweep()
    assert hidden(folders[0]) == [f"{STAMP}-ffffffff.depth.npy"]


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
