"""Folders' rights and mounts: what shared folders under systemd rest on."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from depthd.model.storage import exclusive
from depthd.system import files

OTHER_GROUP = 54321  # of nobody; root may give a folder to it


def rights(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def umask() -> object:
    """The service's own."""
    before = os.umask(0o007)
    yield
    os.umask(before)


@pytest.mark.usefixtures("umask")
def test_new_folders_are_shared_as_their_root_is(tmp_path: Path) -> None:
    root = tmp_path / "outbox"
    root.mkdir()
    if os.geteuid() == 0:
        os.chown(root, -1, OTHER_GROUP)
    root.chmod(0o2770)
    with files.beneath(root, ["cam1", "day2"], create_mode=files.folder_mode(root)) as folder:
        files.write_durably("a", [b"x"], folder, mode=0o640, group=root.stat().st_gid)
    for path in (root / "cam1", root / "cam1/day2"):
        assert rights(path) == 0o2770
        assert path.stat().st_gid == root.stat().st_gid
    assert rights(root / "cam1/day2/a") == 0o640
    assert (root / "cam1/day2/a").stat().st_gid == root.stat().st_gid


@pytest.mark.usefixtures("umask")
def test_only_depthd_may_touch_weights_and_models(tmp_path: Path) -> None:
    with exclusive(tmp_path / "weights", print):
        assert rights(tmp_path / "weights") == 0o700


def test_folders_of_one_mount_can_be_renamed_between(tmp_path: Path) -> None:
    (tmp_path / "inbox").mkdir()
    (tmp_path / "work").mkdir()
    assert files.can_rename(tmp_path / "inbox", tmp_path / "work")
    assert not files.can_rename(tmp_path / "inbox", Path("/proc/self"))


def test_two_mounts_of_one_file_system_are_told_apart(tmp_path: Path) -> None:
    """Each ReadWritePaths= of a service is a mount of its own, with the same device number."""
    inbox, work = tmp_path / "inbox", tmp_path / "work"
    inbox.mkdir()
    work.mkdir()
    enter = ["unshare", "--mount", *(["--map-root-user"] if os.geteuid() else []), "--"]
    if subprocess.run([*enter, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine lets nobody make a mount namespace")
    program = (
        "import pathlib, sys; from depthd.system import files;"
        "sys.exit(3 if files.can_rename(*map(pathlib.Path, sys.argv[1:])) else 0)"
    )
    ask = [sys.executable, "-c", program, str(inbox), str(work)]
    bind = 'mount --bind "$1" "$1" && shift && exec "$@"'
    apart = subprocess.run([*enter, "sh", "-c", bind, "sh", str(inbox), *ask], check=False)
    assert apart.returncode == 0
    assert subprocess.run(ask, check=False).returncode == 3


@pytest.mark.parametrize("has_flag", [True, False])
def test_a_second_name_of_the_same_file_is_as_taken_as_any_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, has_flag: bool
) -> None:
    """Anybody can make one with `ln`: what is ours is known by what was written down."""
    if not has_flag:
        monkeypatch.setattr(files, "_renameat2", None)
    (tmp_path / "source").write_bytes(b"photo")
    os.link(tmp_path / "source", tmp_path / "target")
    with files.directory(tmp_path) as folder, pytest.raises(FileExistsError):
        files.rename_noreplace("source", "target", folder, folder)
    assert sorted(os.listdir(tmp_path)) == ["source", "target"]


@pytest.mark.parametrize("code", [errno.EPERM, errno.EINVAL])
def test_a_group_that_we_are_not_in_gets_no_rights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """EINVAL: the group has no number in this user namespace (PrivateUsers=yes)."""

    def refuse(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fchown", refuse)
    with files.directory(tmp_path) as folder:
        files.write_durably("a", [b"x"], folder, mode=0o664, group=OTHER_GROUP)
    assert rights(tmp_path / "a") == 0o604


def test_a_group_without_a_number_in_this_namespace_is_no_fault(tmp_path: Path) -> None:
    """The same, for real."""
    if os.geteuid() != 0:
        pytest.skip("giving a folder another group needs root")
    os.chown(tmp_path, -1, OTHER_GROUP)
    enter = ["unshare", "--user", "--map-root-user", "--"]
    if subprocess.run([*enter, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine lets nobody make a user namespace")
    program = (
        "import os, pathlib, sys; from depthd.system import files\n"
        "with files.directory(pathlib.Path(sys.argv[1])) as folder:\n"
        "    files.write_durably('a', [b'x'], folder, mode=0o640,\n"
        "                        group=os.fstat(folder).st_gid)\n"
    )
    subprocess.run([*enter, sys.executable, "-c", program, str(tmp_path)], check=True)
    assert rights(tmp_path / "a") & 0o070 == 0


@pytest.mark.parametrize("name", ["a" * 256, "a" * 5000])
def test_a_name_that_cannot_be_is_not_taken(tmp_path: Path, name: str) -> None:
    with files.directory(tmp_path) as folder:
        assert not files.exists(name, folder)
        assert not files.is_regular(name, folder)
        assert not files.same_file(name, name, folder, folder)


def test_two_that_probe_one_folder_do_not_meet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync, names = os.fsync, list[int]()

    def meanwhile(handle: int) -> None:
        names.append(len(os.listdir(tmp_path)))
        if len(names) == 1:
            other = threading.Thread(target=files.probe, args=(folder, 1))
            other.start()
            other.join()
        fsync(handle)

    monkeypatch.setattr(os, "fsync", meanwhile)
    with files.directory(tmp_path) as folder:
        files.probe(folder, 1)
    assert names == [1, 2]
    assert list(tmp_path.iterdir()) == []


def test_a_look_at_a_shared_folder_leaves_nothing_whatever_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object, **__: object) -> None:
        raise OSError(errno.EDQUOT, "quota")

    handle = os.open(tmp_path, os.O_RDONLY)
    monkeypatch.setattr(os, "unlink", failing)
    try:
        files.probe_shared(handle)
        monkeypatch.setattr(os, "fsync", failing)
        with pytest.raises(OSError, match="quota"):
            files.probe_shared(handle)
    finally:
        os.close(handle)
    assert list(tmp_path.iterdir()) == []
