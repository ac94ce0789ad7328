"""Walking the inbox: everything in it, nothing outside of it, no handle left open."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from depthd.contract.names import MAX_DEPTH
from depthd.intake.patterns import Names
from depthd.intake.rights import Folder, Refusal
from depthd.intake.scan import MAX_PATH, Looker, walk

NAMES = Names(["*.jpg"], ["thumbs/*"])


def pass_by(path: str, folder: Folder) -> None:
    """Called with each folder."""


def found(inbox: Path, top: str = "", *, recursive: bool = True) -> dict[str, Refusal | None]:
    return {
        name: entry if isinstance(entry, Refusal) else None
        for name, entry, _ in walk(inbox, top, NAMES, pass_by, recursive=recursive)
        if entry is not None
    }


def write(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    return path


def handles() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_every_folder_is_walked_and_only_hidden_or_excluded_names_are_not(tmp_path: Path) -> None:
    for name in (
        "a.jpg",
        "cam1/day3/b.jpg",
        "folder.jpg/c.jpg",
        "notes.txt",
        ".sync/d.jpg",
        ".stversions/e.jpg",
        "thumbs/f.jpg",
        "g.jpg.part",
    ):
        write(tmp_path / name)
    expected = {"a.jpg", "cam1/day3/b.jpg", "folder.jpg/c.jpg", "notes.txt"}
    assert set(found(tmp_path)) == expected
    assert set(found(tmp_path, "cam1")) == {"cam1/day3/b.jpg"}
    assert set(found(tmp_path, recursive=False)) == {"a.jpg", "notes.txt"}


def test_names_of_every_byte_come_back_as_they_are(tmp_path: Path) -> None:
    names = {b"new\nline.jpg", b"caf\xe9.jpg", b"\x1b[31m.jpg", "größe 🎉.jpg".encode(), b"-rf.jpg"}
    for name in names:
        write(tmp_path / os.fsdecode(name))
    assert {os.fsencode(name) for name in found(tmp_path)} == names


def test_what_is_no_plain_file_is_refused_and_never_entered(tmp_path: Path) -> None:
    inbox = tmp_path / "inbox"
    secret = write(tmp_path / "secret" / "s.jpg")
    inbox.mkdir()
    (inbox / "file.jpg").symlink_to(secret)
    (inbox / "folder").symlink_to(secret.parent)
    (inbox / "loop").symlink_to(inbox)
    (inbox / "broken.jpg").symlink_to("nowhere")
    os.mkfifo(inbox / "fifo.jpg")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(inbox / "socket.jpg"))
        assert found(inbox) == {
            "file.jpg": Refusal.SYMLINK,
            "folder": Refusal.SYMLINK,
            "loop": Refusal.SYMLINK,
            "broken.jpg": Refusal.SYMLINK,
            "fifo.jpg": Refusal.SPECIAL,
            "socket.jpg": Refusal.SPECIAL,
        }


def test_a_folder_that_becomes_a_symlink_is_not_followed(tmp_path: Path) -> None:
    inbox = tmp_path / "inbox"
    secret = write(tmp_path / "secret" / "s.jpg")
    write(inbox / "cam1" / "a.jpg")
    os.rename(inbox / "cam1", tmp_path / "away")
    (inbox / "cam1").symlink_to(secret.parent)
    with pytest.raises(OSError, match="cam1"):
        found(inbox, "cam1")
    with Looker(inbox) as looker:
        assert looker.look("cam1/s.jpg") is None
        assert looker.look("../secret/s.jpg") is None


def test_depth_and_length_of_paths_are_bounded(tmp_path: Path) -> None:
    here = os.open(tmp_path, os.O_RDONLY)
    for level in range(MAX_DEPTH + 3):  # relative, because the whole path is too long to name
        os.close(os.open("p.jpg", os.O_CREAT | os.O_WRONLY, dir_fd=here))
        name = "d" * (10 if level < 58 else 250)
        os.mkdir(name, dir_fd=here)
        inner = os.open(name, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(here)
    seen = found(tmp_path)
    depths = [name.count("/") for name, reason in seen.items() if reason is None]
    assert sorted(depths) == list(range(max(depths) + 1))
    assert max(len(name) for name, reason in seen.items() if reason is None) <= MAX_PATH
    assert Refusal.DEEP in seen.values()
    assert Refusal.LONG in seen.values()


def test_a_path_that_is_too_long_is_refused(tmp_path: Path) -> None:
    folder = "/".join(["ü" * 120] * 8)
    write(tmp_path / folder / "short.jpg")
    write(tmp_path / folder / f"{'x' * 200}.jpg")
    seen = found(tmp_path)
    assert seen == {f"{folder}/short.jpg": None, f"{folder}/{'x' * 200}.jpg": Refusal.LONG}


def test_no_handle_is_left_open(tmp_path: Path) -> None:
    for number in range(5):
        write(tmp_path / f"{number}/a/b/c.jpg")
    before = handles()
    found(tmp_path)
    assert handles() == before
    half = walk(tmp_path, "", NAMES, pass_by, recursive=True)
    next(half)
    assert handles() > before
    half.close()
    assert handles() == before
    with Looker(tmp_path) as looker:
        for number in range(5):
            looker.look(f"{number}/a/b/c.jpg")
    assert handles() == before


def test_an_inbox_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        found(tmp_path / "nowhere")


def test_each_folder_is_told_before_it_is_listed(tmp_path: Path) -> None:
    write(tmp_path / "cam" / "a.jpg")
    told: list[str] = []

    def enter(path: str, folder: Folder) -> None:
        told.append(path)
        if path == "cam":  # whatever comes now is either listed or reported
            os.close(os.open("b.jpg", os.O_CREAT | os.O_WRONLY, dir_fd=folder.handle))

    names = {name for name, entry, _ in walk(tmp_path, "", NAMES, enter, recursive=True) if entry}
    assert told == ["", "cam"]
    assert names == {"cam/a.jpg", "cam/b.jpg"}


def test_no_step_of_a_walk_is_long_whatever_it_passes_over(tmp_path: Path) -> None:
    for number in range(1000):
        (tmp_path / f"folder{number}").mkdir()
        (tmp_path / f".hidden{number}").touch()
    assert len(list(walk(tmp_path, "", NAMES, pass_by, recursive=True))) >= 1000 + 1000 // 64
