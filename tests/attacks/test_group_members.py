"""A member of the group attacks the service: nothing of others is touched, nobody waits for it."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from attacks.service import Service
from attacks.users import GROUP, MEMBER, SERVICE, VICTIM
from faults.scene import photos
from spool.parts import Parts, look

from depthd.config import Config

PHOTO = photos()["a.jpg"]
ANOTHER = photos()["dup.jpg"]
DEEP = b"[" * 100_000


def claim(service: Service, *names: str) -> list[str]:
    """Jobs of a service that was cut short just after their claim; their ids."""

    def act() -> None:
        parts = Parts.start(Config(root=service.root))
        for name in names:
            parts.spool.claim(look(service.root, name))

    SERVICE.run(act)
    folders = sorted(path.name for path in (service.root / "work").iterdir())
    return [name for name in folders if not name.startswith(".")]


def swap_folder(root: Path, plant: Callable[[Path], object]) -> None:
    """Put something else in the place of the outbox's private folder, if there is one."""
    private = root / "outbox/.depthd"
    if private.exists():
        private.rename(root / "outbox/stolen")
    plant(private)


def open_folder(path: Path) -> None:
    path.mkdir()
    path.chmod(0o777)


SWAPS: dict[str, Callable[[Path], object]] = {
    "nothing": lambda path: None,
    "open folder": open_folder,
    "closed folder": lambda path: path.mkdir(mode=0o700),
    "locked folder": lambda path: path.mkdir(mode=0o000),
    "file": lambda path: path.write_bytes(b"x"),
    "fifo": os.mkfifo,
    "symlink to a folder of one's own": lambda path: path.symlink_to(path.parents[1] / "inbox"),
    "symlink to work": lambda path: path.symlink_to(path.parents[1] / "work"),
    "dangling symlink": lambda path: path.symlink_to("nowhere"),
}


@pytest.mark.parametrize("kind", SWAPS)
def test_the_private_folder_is_exchanged(service: Service, kind: str) -> None:
    service.start()
    service.serves(PHOTO, "first.jpg")
    service.attack(lambda: swap_folder(service.root, SWAPS[kind]))
    service.serves(PHOTO, "second.jpg")
    service.stop()
    service.start()
    service.serves(PHOTO, "third.jpg")
    service.stop()


@pytest.mark.parametrize(
    "manifest",
    [
        b"{}",
        b'{"files": 7}',
        DEEP,
        b'{"files": [{"suffix": "/original", "name": "x.jpg/original", "sha256": ""}]}',
        b'{"files": [{"suffix": "/../../work", "name": "../../work"}, 7, null]}',
    ],
)
@pytest.mark.parametrize("is_private", [True, False])
def test_a_planted_staging_manifest_undoes_nothing(
    service: Service, manifest: bytes, is_private: bool
) -> None:
    service.drop("x.jpg", PHOTO)
    service.drop("victim.jpg", ANOTHER)
    mine, victims = claim(service, "x.jpg", "victim.jpg")

    def plant() -> None:
        staging = service.root / "outbox/.depthd"
        staging.mkdir(mode=0o700 if is_private else 0o777)
        (staging / f"{mine}.json").write_bytes(manifest)
        (staging / mine).symlink_to(service.root / "work" / victims)
        (service.root / "outbox/x.jpg").symlink_to(service.root / "work" / victims)

    service.attack(plant)
    service.start()
    service.wait_for("photo.done", name="x.jpg")
    service.wait_for("photo.done", name="victim.jpg")
    service.stop()
    assert (service.root / "done/victim.jpg").read_bytes() == ANOTHER
    assert (service.root / "outbox/victim.jpg.json").exists()
    assert not service.events("service.paused")


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(20 << 30)


def closed(path: Path) -> None:
    path.write_bytes(b"{}")
    path.chmod(0o000)


PLANTS: dict[str, Callable[[Path], object]] = {
    "empty object": lambda path: path.write_bytes(b"{}"),
    "deep": lambda path: path.write_bytes(DEEP),
    "sparse": sparse,
    "no rights": closed,
    "fifo": os.mkfifo,
    "folder": Path.mkdir,
    "symlink to a device": lambda path: path.symlink_to("/dev/zero"),
    "dangling symlink": lambda path: path.symlink_to("nowhere"),
    "a note that says it is ours": lambda path: path.write_text(
        json.dumps({"schema": "depthd.error/1", "job": "x"})
    ),
}


@pytest.mark.parametrize("kind", PLANTS)
def test_planted_notes_and_manifests_take_a_name_and_nothing_else(
    service: Service, kind: str
) -> None:
    note, manifest = service.root / "failed/m.jpg.error.json", service.root / "outbox/p.jpg.json"
    service.attack(lambda: (PLANTS[kind](note), PLANTS[kind](manifest)))
    before = [os.lstat(path) for path in (note, manifest)]
    service.drop("m.jpg", b"no picture")
    service.drop("p.jpg", PHOTO)
    service.drop("q.jpg", PHOTO)
    claim(service, "m.jpg", "p.jpg")  # so that a start has to look at them, too
    service.start()
    [failed] = service.wait_for("photo.failed", name="m.jpg")
    [done] = service.wait_for("photo.done", name="p.jpg")
    assert failed["original"].startswith("m~")
    assert done["original"].startswith("p~")
    assert failed["code"] == "not_an_image"
    service.serves(PHOTO)
    service.stop()
    for path, about in zip((note, manifest), before, strict=True):
        now = os.lstat(path)
        assert (now.st_ino, now.st_size, now.st_mode) == (
            about.st_ino,
            about.st_size,
            about.st_mode,
        )
    assert (service.root / "failed" / f"{failed['original']}.error.json").exists()


def test_a_pause_ends_whatever_names_were_planted(service: Service) -> None:
    def plant() -> None:
        for folder in ("outbox", "done", "failed"):
            for name in (".depthd-probe-0", ".probe-0", f".probe-{instance}"):
                (service.root / folder / name / "x").mkdir(parents=True)

    service.start()
    service.wait_for("service.ready")
    instance = (service.root / "work/.lock").read_text()[:8]
    service.attack(plant)
    outbox, away = service.root / "outbox", service.root / "away"
    outbox.rename(away)
    service.drop("a.jpg", PHOTO)
    service.wait_for("service.paused")
    away.rename(outbox)
    service.wait_for("service.resumed")
    service.wait_for("photo.done", name="a.jpg")
    service.stop()


@pytest.mark.parametrize("folder", ["done", "failed"])
@pytest.mark.parametrize("before", ["start", "end"])
def test_rights_taken_away_after_the_claim_concern_that_photo_alone(
    service: Service, folder: str, before: str
) -> None:
    content = PHOTO if folder == "done" else b"no picture"
    service.drop("mine.jpg", content, MEMBER)
    service.drop("a.jpg", PHOTO)
    [mine, _] = claim(service, "mine.jpg", "a.jpg")
    original = service.root / "work" / mine / "original"
    if before == "start":
        original.chmod(0o000)  # as its owner can, who has kept it open
    service.start()
    if before == "end":
        original.chmod(0o000) if original.exists() else None
    service.wait_for("photo.done", name="a.jpg")
    service.wait_until(
        lambda: service.events("photo.failed") or service.events("photo.done", name="mine.jpg"),
        "end of the photo without rights",
    )
    service.serves(PHOTO)
    service.stop()
    assert sorted(service.originals()) == sorted([PHOTO, PHOTO, content])


def test_a_second_name_of_a_failed_photo_is_a_photo_of_its_own(service: Service) -> None:
    service.start()
    service.drop("a.jpg", b"no picture")
    service.wait_for("photo.failed", name="a.jpg")
    service.stop()
    VICTIM.run(lambda: os.link(service.root / "failed/a.jpg", service.root / "inbox/a.jpg"))
    claim(service, "a.jpg")
    service.start()
    [_, again] = service.wait_for("photo.failed", 2, name="a.jpg")
    service.stop()
    assert again["original"].startswith("a~")
    for name in ("a.jpg", again["original"]):
        assert (service.root / "failed" / name).read_bytes() == b"no picture"
        assert (service.root / "failed" / f"{name}.error.json").exists()


def test_names_that_change_hands_all_the_time(service: Service) -> None:
    """Between look and rename: links, folders, other photos; the folder closed again and again."""
    folder = service.root / "inbox/mine"

    def swap() -> None:
        folder.mkdir()
        for number in range(150):
            path = folder / f"{number % 5}.jpg"
            folder.chmod(0o777)
            spare = folder / f".{number}"
            match number % 4:
                case 0:
                    spare.write_bytes(PHOTO)
                case 1:
                    spare.symlink_to(service.root / "work")
                case 2:
                    spare.mkdir(mode=0o777)
                case 3:
                    os.mkfifo(spare)
            try:
                spare.rename(path)
            except OSError:
                with suppress(FileNotFoundError):  # it has just been taken
                    path.rename(folder / f".old{number}")
            folder.chmod(0o555 if number % 3 else 0o777)

    service.start()
    service.wait_for("service.ready")
    service.attack(swap)
    service.serves(PHOTO)
    service.stop()
    assert not [job for job in os.listdir(service.root / "work") if not job.startswith(".")]


@pytest.mark.parametrize("mode", [0o700, 0o000])
def test_a_folder_that_is_closed_to_the_service_holds_up_only_its_own_photos(
    service: Service, mode: int
) -> None:
    closed = service.root / "outbox/cam"
    service.attack(lambda: (closed.mkdir(), closed.chmod(mode)))
    service.start()
    service.drop("cam/a.jpg", PHOTO)
    service.drop("cam/bad.jpg", b"no picture")
    service.serves(PHOTO)
    service.wait_for("folder.held")
    service.attack(lambda: closed.chmod(0o2777))
    service.wait_for("photo.done", name="cam/a.jpg")
    service.wait_for("photo.failed", name="cam/bad.jpg")
    service.stop()


@pytest.mark.parametrize("mode", [0o2777, 0o700, 0o000])
def test_whoever_makes_a_folder_in_done_or_failed_first_gets_nothing_into_his_hands(
    installed_service: Service, mode: int
) -> None:
    service, root = installed_service, installed_service.root

    def plant() -> None:
        for place in ("done", "failed"):
            (root / place / "cam").mkdir()
            (root / place / "cam").chmod(mode)
            (root / place / "deep").mkdir()
            (root / place / "deep").chmod(0o2777)

    service.attack(plant)
    service.start()
    service.drop("cam/a.jpg", PHOTO)
    service.drop("cam/bad.jpg", b"no picture")
    service.drop("deep/b.jpg", ANOTHER)
    service.drop("cam/mine.jpg", PHOTO, MEMBER)
    service.wait_for("photo.done", 3)
    service.wait_for("photo.failed", name="cam/bad.jpg")
    service.stop()

    def remove() -> None:
        for place in ("done", "failed"):
            for name in ("cam", "deep", "."):
                if name != ".":
                    (root / place / name).chmod(0o2777)
                for path in (root / place / name).iterdir():
                    with suppress(OSError):
                        path.unlink()

    service.attack(remove)
    assert sorted(service.originals()) == sorted([PHOTO, ANOTHER, b"no picture"])
    assert (root / "failed/bad.jpg.error.json").exists()


def test_who_may_read_and_write_what(installed_service: Service) -> None:
    service, root = installed_service, installed_service.root
    service.start()
    service.serves(PHOTO)
    service.drop("bad.jpg", b"no picture")
    service.wait_for("photo.failed")
    service.stop()
    for path in (root / "outbox").glob("check.jpg.*"):
        about = path.stat()
        assert stat.S_IMODE(about.st_mode) == 0o640
        assert (about.st_uid, about.st_gid) == (SERVICE.id, GROUP)

    def take_and_look() -> None:
        for private in (*root.glob("*/.depthd"), root / "work", root / "log"):
            with pytest.raises(PermissionError):
                os.listdir(private)
        for path in ("state/x", "log/x", "work/x", "outbox/x", "x"):
            with pytest.raises(PermissionError):
                (root / path).write_bytes(b"x")
        for path in ("done/check.jpg", "failed/bad.jpg", "outbox/check.jpg.json", "outbox/.depthd"):
            with pytest.raises(PermissionError):
                (root / path).rename(root / "inbox/mine.jpg")

    service.attack(take_and_look)
