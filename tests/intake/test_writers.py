"""Writers as they are: each tool's way of bringing a file, imitated call by call."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from inbox_loop import Loop, Start

from depthd.contract.events import Event
from depthd.intake.notes import Notes

PHOTO = b"photo" * 1000


@pytest.fixture(params=["native", "polling"])
def loop(request: pytest.FixtureRequest, start: Start) -> Loop:
    """Each writer meets native events and polling."""
    started = start(watch=request.param, poll_interval="50ms")
    started.until_drained()
    return started


@pytest.fixture(params=["native", "polling"])
def patient_loop(request: pytest.FixtureRequest, start: Start) -> Loop:
    """The same, so patient that a busy machine does not make a writer look quiet."""
    started = start(watch=request.param, poll_interval="50ms", settle="700ms")
    started.until_drained()
    return started


def test_rsync_writes_a_hidden_name_and_renames_it(loop: Loop) -> None:
    hidden = loop.inbox / ".IMG_1.jpg.Xa3bQ9"
    hidden.write_bytes(PHOTO)
    os.utime(hidden, (1e9, 1e9))
    loop.until_rescanned()
    hidden.rename(loop.inbox / "IMG_1.jpg")
    loop.until_taken("IMG_1.jpg")


def test_syncthing_writes_a_temporary_name_and_renames_it(loop: Loop) -> None:
    hidden = loop.inbox / ".syncthing.IMG_1.jpg.tmp"
    hidden.write_bytes(PHOTO)
    loop.until_rescanned()
    hidden.rename(loop.inbox / "IMG_1.jpg")
    loop.until_taken("IMG_1.jpg")


@pytest.mark.parametrize("suffix", [".part", ".filepart", ".crdownload", ".tmp"])
def test_suffixes_of_uploads_are_not_taken(loop: Loop, suffix: str) -> None:
    partial = loop.inbox / f"IMG_1.jpg{suffix}"
    partial.write_bytes(PHOTO)
    loop.until_rescanned()
    assert not loop.taken
    partial.rename(loop.inbox / "IMG_1.jpg")
    loop.until_taken("IMG_1.jpg")
    assert loop.ignored() == {}


def _grow(loop: Loop, write: Callable[[int], None], pieces: int = 8) -> None:
    """Let pieces appear faster than the file could settle; it must not be taken meanwhile."""
    for piece in range(pieces):
        write(piece)
        loop.run_for(0.05)
    assert not loop.taken


def test_scp_writes_slowly_under_the_final_name(patient_loop: Loop) -> None:
    with (patient_loop.inbox / "IMG_1.jpg").open("wb", buffering=0) as file:
        _grow(patient_loop, lambda _: file.write(PHOTO))
        os.utime(file.fileno(), (1e9, 1e9))  # scp -p
    patient_loop.until_taken("IMG_1.jpg")
    assert patient_loop.taken[0].size == 8 * len(PHOTO)


def test_samba_sets_the_full_size_first_and_writes_then(patient_loop: Loop) -> None:
    with (patient_loop.inbox / "IMG_1.jpg").open("wb", buffering=0) as file:
        os.posix_fallocate(file.fileno(), 0, 8 * len(PHOTO))
        _grow(patient_loop, lambda piece: os.pwrite(file.fileno(), PHOTO, piece * len(PHOTO)))
    patient_loop.until_taken("IMG_1.jpg")


def test_a_writer_that_opens_and_closes_for_each_piece(patient_loop: Loop) -> None:
    def append(_: int) -> None:
        with (patient_loop.inbox / "IMG_1.jpg").open("ab") as file:
            file.write(PHOTO)

    _grow(patient_loop, append)
    patient_loop.until_taken("IMG_1.jpg")
    assert patient_loop.taken[0].size == 8 * len(PHOTO)


def test_truncate_and_rewrite(patient_loop: Loop) -> None:
    photo = patient_loop.inbox / "IMG_1.jpg"
    _grow(patient_loop, lambda piece: photo.write_bytes(PHOTO * (1 + piece % 3)) and None)
    photo.write_bytes(PHOTO)
    patient_loop.until_taken("IMG_1.jpg")
    assert patient_loop.taken[0].size == len(PHOTO)


def test_a_rename_over_a_waiting_file_gives_the_new_one(loop: Loop) -> None:
    (loop.inbox / "IMG_1.jpg").write_bytes(b"old")
    loop.until(lambda: loop.intake.backlog == 1, take=False)
    new = loop.inbox / ".new"
    new.write_bytes(PHOTO)
    new.rename(loop.inbox / "IMG_1.jpg")
    loop.until_taken("IMG_1.jpg")
    assert loop.taken[0].size == len(PHOTO)


def test_the_same_name_again_and_again(loop: Loop) -> None:
    for number in range(5):
        (loop.inbox / "IMG_1.jpg").write_bytes(PHOTO * (number + 1))
        loop.until(lambda wanted=number + 1: len(loop.taken) == wanted)
    assert [seen.size for seen in loop.taken] == [len(PHOTO) * n for n in range(1, 6)]


def test_preserved_old_times(loop: Loop) -> None:
    photo = loop.root / "outside.jpg"
    photo.write_bytes(PHOTO)
    os.utime(photo, (0, 0))
    photo.rename(loop.inbox / "IMG_1.jpg")
    loop.until_taken("IMG_1.jpg")


def test_a_whole_folder_moved_in(loop: Loop) -> None:
    names = [f"day/{place}{number}.jpg" for place in ("", "deep/", "x/y/") for number in range(5)]
    for name in names:
        path = loop.root / "outside" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(PHOTO)
    (loop.root / "outside" / "day").rename(loop.inbox / "day")
    loop.until_taken(*names)


def test_folders_made_and_filled_at_once(loop: Loop) -> None:
    names = [f"{a}/{b}/{c}.jpg" for a in "xyz" for b in "pq" for c in "12"]
    for name in names:
        (loop.inbox / name).parent.mkdir(parents=True, exist_ok=True)
        (loop.inbox / name).write_bytes(PHOTO)
    loop.until_taken(*names)


def test_a_folder_renamed_in_the_inbox_loses_nothing(loop: Loop) -> None:
    (loop.inbox / "cam1").mkdir()
    (loop.inbox / "cam1" / "a.jpg").write_bytes(PHOTO)
    (loop.inbox / "cam1").rename(loop.inbox / "cam2")
    (loop.inbox / "cam2" / "b.jpg").write_bytes(PHOTO)
    loop.until_taken("cam2/a.jpg", "cam2/b.jpg")


def test_a_file_that_vanishes_is_forgotten(loop: Loop) -> None:
    (loop.inbox / "a.jpg").write_bytes(PHOTO)
    loop.until(lambda: loop.intake.backlog == 1, take=False)
    (loop.inbox / "a.jpg").unlink()
    loop.until_drained()
    assert not loop.taken


def test_names_of_any_bytes_and_of_full_length(loop: Loop) -> None:
    names = [
        os.fsdecode(name)
        for name in (b"new\nline.jpg", b"caf\xe9.jpg", b"\x1b[31m.jpg", b"n" * 251 + b".jpg")
    ]
    for name in names:
        (loop.inbox / name).write_bytes(PHOTO)
    loop.until_taken(*names)


def test_a_hard_link_is_an_ordinary_photo(loop: Loop) -> None:
    original = loop.root / "IMG_1.jpg"
    original.write_bytes(PHOTO)
    os.link(original, loop.inbox / "IMG_1.jpg")
    if loop.modes() == ["polling"]:
        loop.until_rescanned()
    loop.until_taken("IMG_1.jpg")
    assert loop.ignored() == {}
    assert original.read_bytes() == PHOTO
    assert original.stat().st_nlink == 2  # the other name, and the one that was renamed


def test_a_link_whose_other_name_goes_is_taken(loop: Loop) -> None:
    """Writers of the Maildir kind link the finished file to its name, then drop the first."""
    hidden = loop.inbox / ".building"
    hidden.write_bytes(PHOTO)
    os.link(hidden, loop.inbox / "IMG_1.jpg")
    hidden.unlink()
    loop.until_rescanned()
    loop.until_taken("IMG_1.jpg")
    assert loop.ignored() == {}


@pytest.fixture
def slow_loop(start: Start) -> Loop:
    """Native events, and a quiet time that no test lives to see the end of."""
    started = start(watch="native", settle="1h")
    started.until_drained()
    return started


@pytest.mark.parametrize(
    "source", [".IMG_1.jpg.Xa3bQ9", "IMG_1.jpg.part", "IMG_1.jpg.uploading", "../IMG_1.jpg"]
)
def test_a_rename_by_a_writer_that_is_done_needs_no_wait(slow_loop: Loop, source: str) -> None:
    partial = slow_loop.inbox / source
    partial.write_bytes(PHOTO)
    partial.rename(slow_loop.inbox / "IMG_1.jpg")
    slow_loop.until_taken("IMG_1.jpg")


def test_a_hard_link_needs_no_wait_either(slow_loop: Loop) -> None:
    (slow_loop.root / "IMG_1.jpg").write_bytes(PHOTO)
    os.link(slow_loop.root / "IMG_1.jpg", slow_loop.inbox / "IMG_1.jpg")
    slow_loop.until_taken("IMG_1.jpg")


def test_a_photo_that_only_changes_its_name_has_to_settle(slow_loop: Loop) -> None:
    (slow_loop.inbox / "IMG_1.jpg").write_bytes(PHOTO)
    (slow_loop.inbox / "IMG_1.jpg").rename(slow_loop.inbox / "IMG_2.jpg")
    after = slow_loop.root / "after.jpg"
    after.write_bytes(PHOTO)
    after.rename(slow_loop.inbox / "after.jpg")
    slow_loop.until_taken("after.jpg")
    slow_loop.until(lambda: slow_loop.intake.backlog == 1)


def test_a_camera_that_rewrites_one_name_without_end_is_served(start: Start) -> None:
    loop = start(watch="native", settle="500ms")
    loop.until_drained()
    pictures = 0
    while len(loop.taken) < 2:
        assert pictures < 1000
        pictures += 1
        (loop.inbox / "latest.jpg").write_bytes(PHOTO + bytes(pictures % 3))
        loop.run_for(0.05)
    assert {seen.name for seen in loop.taken} == {"latest.jpg"}


def test_real_rsync_with_links_to_the_last_run(slow_loop: Loop) -> None:
    if shutil.which("rsync") is None:
        pytest.skip("rsync is not installed")
    camera, former = slow_loop.root / "camera", slow_loop.root / "former"
    camera.mkdir()
    (camera / "same.jpg").write_bytes(PHOTO)
    copy = ["rsync", "-a", f"{camera}/"]
    subprocess.run([*copy, f"{former}/"], check=True, timeout=60)
    (camera / "new.jpg").write_bytes(PHOTO)
    subprocess.run([*copy, f"--link-dest={former}", f"{slow_loop.inbox}/"], check=True, timeout=60)
    slow_loop.until_taken("same.jpg", "new.jpg")
    assert (former / "same.jpg").read_bytes() == PHOTO


def test_litter_of_a_share_is_neither_taken_nor_told(loop: Loop) -> None:
    for name in (
        "@eaDir/IMG_1.jpg/SYNOPHOTO_THUMB_XL.jpg",
        "cam/#recycle/old.jpg",
        "LOST+FOUND/a.jpg",
    ):
        (loop.inbox / name).parent.mkdir(parents=True)
        (loop.inbox / name).write_bytes(PHOTO)
    (loop.inbox / "cam" / "IMG_1.jpg").write_bytes(PHOTO)
    loop.until_rescanned()
    loop.until_taken("cam/IMG_1.jpg")
    assert loop.ignored() == {}


def test_an_upload_that_pauses_longer_than_it_takes_to_settle(start: Start) -> None:
    """With native events the close is waited for, even by the scans in between."""
    loop = start(watch="native", settle="50ms", rescan_interval="60s")
    loop.until_drained()
    with (loop.inbox / "IMG_1.jpg").open("wb", buffering=0) as file:
        file.write(PHOTO)
        (loop.inbox / "other.jpg").write_bytes(PHOTO)
        loop.until_taken("other.jpg")
        assert loop.intake.backlog == 0
        file.write(PHOTO)
    loop.until_taken("other.jpg", "IMG_1.jpg")
    assert loop.taken[1].size == 2 * len(PHOTO)


def test_what_events_missed_is_found_by_the_periodic_scan(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = start(watch="native", rescan_interval="100ms")
    loop.until_drained()
    monkeypatch.setattr(Notes, "add", lambda *_: None)
    (loop.inbox / "missed.jpg").write_bytes(PHOTO)
    loop.until_taken("missed.jpg")
    assert loop.fields_of(Event.INBOX_LOST) == []


def test_a_file_outside_of_a_flat_inbox_is_not_taken(start: Start, tmp_path: Path) -> None:
    loop = start(recursive=False)
    (loop.inbox / "sub").mkdir()
    (loop.inbox / "sub" / "deep.jpg").write_bytes(PHOTO)
    (loop.inbox / "flat.jpg").write_bytes(PHOTO)
    loop.until_taken("flat.jpg")
    loop.until_rescanned()
    assert loop.names == ["flat.jpg"]
