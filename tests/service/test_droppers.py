"""Writers that misbehave and droppers one should not trust, against a whole daemon."""

from __future__ import annotations

import os
import socket
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from daemon import Daemon, drop, originals, visible
from photos import photo


@pytest.fixture
def daemon(root: Path, settings: tuple[str, ...]) -> Iterator[Daemon]:
    with Daemon(root, *settings, "intake.settle=1s", "intake.rescan_interval=3s").ready() as daemon:
        yield daemon


def write_slowly(path: Path, content: bytes) -> None:
    """Piece by piece, never pausing for as long as `intake.settle`."""
    with path.open("wb") as file:
        for start in range(0, len(content), max(1, len(content) // 8)):
            file.write(content[start : start + max(1, len(content) // 8)])
            file.flush()
            time.sleep(0.3)


def write_into_full_size(path: Path, content: bytes) -> None:
    """The whole size first, as Samba does it, the bytes later."""
    with path.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, len(content))
        for start in range(0, len(content), max(1, len(content) // 5)):
            time.sleep(0.3)
            os.pwrite(file.fileno(), content[start : start + max(1, len(content) // 5)], start)


def truncate_and_rewrite(path: Path, content: bytes) -> None:
    path.write_bytes(photo(99))
    path.write_bytes(b"")
    write_slowly(path, content)


def keep_old_time(path: Path, content: bytes) -> None:
    """As cp -p and rsync -t do: the time is set when the bytes are there."""
    write_slowly(path, content)
    os.utime(path, (1e9, 1e9))


def rename_over(path: Path, content: bytes) -> None:
    path.write_bytes(content[:100])
    drop(path.parents[1], path.name, content)


WRITERS = (write_slowly, write_into_full_size, truncate_and_rewrite, keep_old_time, rename_over)


def test_each_writer_has_its_photo_taken_once_and_whole(daemon: Daemon, root: Path) -> None:
    contents = {f"{writer.__name__}.jpg": photo(n) for n, writer in enumerate(WRITERS)}
    threads = [
        threading.Thread(target=writer, args=(root / "inbox" / name, contents[name]))
        for writer, name in zip(WRITERS, contents, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    daemon.wait_for("photo.done", count=len(contents))
    assert {path.name: path.read_bytes() for path in visible(root / "done")} == contents
    assert not daemon.logged("photo.failed")


def test_the_same_name_again_and_again_keeps_every_photo(daemon: Daemon, root: Path) -> None:
    contents = [photo(number) for number in range(8)]
    for number, content in enumerate(contents, start=1):
        drop(root, "cam/same.jpg", content)
        daemon.wait_for("photo.claimed", count=number)
    daemon.wait_for("photo.done", count=len(contents))
    found = sorted(path.read_bytes() for path in visible(root / "done/cam"))
    assert found == sorted(contents)
    assert len(list((root / "outbox/cam").glob("*.json"))) == len(contents)


@pytest.mark.parametrize(
    "name",
    [
        b"x" * 251 + b".jpg",
        b"caf\xe9\xff.jpg",
        b"two\nlines \x1b[31m.jpg",
        b"-rf --set x=y.jpg",
        "Übergröße 東京 \u202egpj.jpg".encode(),
    ],
)
def test_any_name_is_processed_like_any_other(daemon: Daemon, root: Path, name: bytes) -> None:
    path = os.fsencode(root / "inbox") + b"/" + name
    with open(path, "wb") as file:
        file.write(photo(1))
    daemon.wait_for("photo.done")
    (original,) = visible(root / "done")
    assert original.read_bytes() == photo(1)
    assert len(list((root / "outbox").glob("*.json"))) == 1
    for line in daemon.log.read_bytes().splitlines():
        assert line.decode("utf-8").isprintable()


def test_a_folder_moved_in_whole_keeps_its_shape(
    daemon: Daemon, root: Path, tmp_path: Path
) -> None:
    for number in range(4):
        path = tmp_path / f"card/day{number % 2}/deep/{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(photo(number))
    (tmp_path / "card").rename(root / "inbox/card")
    daemon.wait_for("photo.done", count=4)
    assert sorted(str(path.relative_to(root / "done")) for path in originals(root)) == [
        "card/day0/deep/0.jpg",
        "card/day0/deep/2.jpg",
        "card/day1/deep/1.jpg",
        "card/day1/deep/3.jpg",
    ]


def test_hostile_entries_are_left_where_they_are(
    daemon: Daemon, root: Path, tmp_path: Path
) -> None:
    inbox = root / "inbox"
    secret = tmp_path / "secret.jpg"
    secret.write_bytes(photo(7))
    secret.chmod(0o600)
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "more.jpg").write_bytes(photo(8))
    (inbox / "link.jpg").symlink_to(secret)
    (inbox / "folder").symlink_to(secrets)
    (inbox / "loop").symlink_to(".")
    os.mkfifo(inbox / "fifo.jpg")
    (inbox / "directory.jpg").mkdir()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(inbox / "s.jpg"))
    if os.geteuid() == 0:
        os.mknod(inbox / "device.jpg", stat.S_IFCHR | 0o666, os.makedev(1, 5))
    before = sorted(os.listdir(inbox))
    drop(root, "honest.jpg", photo(1))
    daemon.wait_for("photo.done", name="honest.jpg")
    ignored = {"link.jpg", "folder", "loop", "fifo.jpg", "s.jpg"}
    daemon.wait_until(
        lambda: ignored <= {entry["name"] for entry in daemon.logged("inbox.entry_ignored")},
        "word of each hostile entry",
    )
    assert sorted(os.listdir(inbox)) == before
    assert secret.read_bytes() == photo(7)
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert len(list((root / "done").rglob("*.jpg"))) == 1
    assert daemon.stop() == 0


def test_a_hard_link_is_a_photo_whose_other_names_are_not_touched(
    daemon: Daemon, root: Path, tmp_path: Path
) -> None:
    album = tmp_path / "album.jpg"
    album.write_bytes(photo(3))
    album.chmod(0o640)
    before = album.stat()
    os.link(album, root / "inbox/hard.jpg")
    daemon.wait_for("photo.done", name="hard.jpg")
    after = album.stat()
    assert album.read_bytes() == photo(3)
    assert (after.st_ino, after.st_mode, after.st_mtime_ns) == (
        before.st_ino,
        before.st_mode,
        before.st_mtime_ns,
    )
    assert (root / "done/hard.jpg").samefile(album)


def test_results_have_the_configured_rights(root: Path, settings: tuple[str, ...]) -> None:
    for folder in ("inbox", "outbox"):
        (root / folder).mkdir()
    if os.geteuid() == 0:
        os.chown(root / "outbox", -1, 4711)
    photo_path = drop(root, "cam/a.jpg", photo(1))
    photo_path.chmod(0o644)
    drop(root, "cam/bad.jpg", b"rubbish")
    with Daemon(root, *settings, "output.mode=0440", arguments=["--once"]) as daemon:
        assert daemon.exit_code() == 1
    results = [path for path in (root / "outbox").rglob("*") if path.is_file()]
    assert len(results) == 3
    for path in [*results, root / "failed/cam/bad.jpg.error.json"]:
        assert stat.S_IMODE(path.stat().st_mode) == 0o440
    if os.geteuid() == 0:
        assert {path.stat().st_gid for path in results} == {4711}
