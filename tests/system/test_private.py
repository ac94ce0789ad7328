"""The private folder: never one that somebody else has made or can write to."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from depthd.system.private import NAME, PrivateFolder

STRANGER = 4711


def of_a_stranger(path: Path, mode: int) -> None:
    path.mkdir()
    path.chmod(mode)
    os.chown(path, STRANGER, STRANGER)


PLANTS: dict[str, Callable[[Path], object]] = {
    "closed folder of a stranger": lambda path: of_a_stranger(path, 0o700),
    "open folder of a stranger": lambda path: of_a_stranger(path, 0o777),
    "folder of ours that all may write to": lambda path: (path.mkdir(), path.chmod(0o777)),
    "folder of ours that the group may read": lambda path: (path.mkdir(), path.chmod(0o750)),
    "file": lambda path: path.write_bytes(b"x"),
    "fifo": os.mkfifo,
    "symlink": lambda path: path.symlink_to("elsewhere"),
    "dangling symlink": lambda path: path.symlink_to("nowhere"),
}


@pytest.mark.parametrize("kind", PLANTS)
def test_what_was_planted_is_not_used_and_not_touched(tmp_path: Path, kind: str) -> None:
    if "stranger" in kind and os.geteuid() != 0:
        pytest.skip("giving a folder away needs root")
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    private = PrivateFolder(tmp_path)
    os.close(private.handle())
    (tmp_path / NAME).rename(tmp_path / "stolen")
    PLANTS[kind](tmp_path / NAME)
    before = os.lstat(tmp_path / NAME)
    for _ in range(2):
        with private.open() as handle:
            about = os.fstat(handle)
            assert (about.st_uid, stat.S_IMODE(about.st_mode)) == (os.geteuid(), 0o700)
            assert not os.path.samestat(about, (tmp_path / "elsewhere").stat())
    assert private.all_of_ours() == [private.name] != [NAME]
    now = os.lstat(tmp_path / NAME)
    assert (now.st_ino, now.st_mode, now.st_uid) == (before.st_ino, before.st_mode, before.st_uid)


def test_it_is_found_again_and_made_again(tmp_path: Path) -> None:
    with PrivateFolder(tmp_path).open() as first, PrivateFolder(tmp_path).open() as second:
        assert os.path.samestat(os.fstat(first), os.fstat(second))
    (tmp_path / NAME).rmdir()
    os.close(PrivateFolder(tmp_path).handle())
    assert os.listdir(tmp_path) == [NAME]


def test_a_named_one_is_looked_at_as_well(tmp_path: Path) -> None:
    private = PrivateFolder(tmp_path)
    (tmp_path / NAME).mkdir()
    (tmp_path / NAME).chmod(0o777)
    with pytest.raises(FileNotFoundError), private.open_named(NAME):
        pass
