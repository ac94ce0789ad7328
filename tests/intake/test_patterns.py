"""Names that are taken, passed over, or refused."""

from __future__ import annotations

import os

import pytest

from depthd.config.declaration import Intake
from depthd.intake.patterns import Names, is_partial


def names(
    include: tuple[str, ...] | None = None,
    exclude: tuple[str, ...] = (),
    litter: tuple[str, ...] = (),
) -> Names:
    return Names(Intake().include if include is None else include, exclude, litter)


@pytest.mark.parametrize(
    "name",
    [
        ".IMG_1.jpg.Xa3bQ9",  # rsync
        ".syncthing.IMG_1.jpg.tmp",
        "~syncthing~IMG_1.jpg.tmp",
        "IMG_1.jpg.filepart",  # WinSCP
        "IMG_1.jpg.crdownload",
        "IMG_1.jpg.part",
        "IMG_1.JPG.PART",
        "IMG_1.jpg.tmp",
        ".hidden.jpg",
        "~IMG_1.jpg",
    ],
)
def test_partial_names_are_passed_over_in_every_folder(name: str) -> None:
    assert is_partial(name)
    assert names().skips(f"cam1/{name}")
    assert names().skips_beneath(f"cam1/{name}/IMG_1.jpg")


@pytest.mark.parametrize("name", ["IMG_1.jpg", "part.jpg", "tmp", "a~b.jpg", "IMG.tmp.jpg"])
def test_ordinary_names_are_not_partial(name: str) -> None:
    assert not is_partial(name)


@pytest.mark.parametrize(
    "name",
    ["a.jpg", "A.JPG", "x/y/z.TiFf", "new\nline.png", os.fsdecode(b"caf\xe9.webp"), "-rf.avif"],
)
def test_photos_of_every_letter_case_and_byte_are_wanted(name: str) -> None:
    assert names().wants(name)


@pytest.mark.parametrize("name", ["notes.txt", "jpg", "a.jpg.txt", "a.jpg\n.exe", "a.raw"])
def test_other_files_are_not_wanted(name: str) -> None:
    assert not names().wants(name)


def test_a_pattern_with_a_slash_means_the_path() -> None:
    chosen = names(include=("cam*/day?/*.jpg", "top.png"))
    assert chosen.wants("CAM2/day3/x.jpg")
    assert chosen.wants("elsewhere/top.png")
    assert not chosen.wants("x.jpg")
    assert not chosen.wants("other/day3/x.jpg")


def test_excluded_folders_and_files_are_passed_over() -> None:
    chosen = names(exclude=("thumbs/*", "@eaDir", "*_small.jpg"))
    assert chosen.skips_beneath("thumbs/deep/a.jpg")
    assert chosen.skips_beneath("cam1/@eaDir/a.jpg")
    assert chosen.skips("a_SMALL.jpg")
    assert not chosen.skips_beneath("cam1/thumbs.jpg")


@pytest.mark.parametrize(
    "litter",
    [
        "@eaDir/IMG_1.jpg/SYNOPHOTO_THUMB_XL.jpg",  # Synology
        "#recycle/old.jpg",
        "#snapshot/GMT+01-2026.11.23-06.45.00/IMG_1.jpg",
        "@tmp/IMG_1.jpg",
        "IMG_1.jpg@SynoEAStream",
        "@Recycle/old.jpg",  # QNAP
        "@Recently-Snapshot/GMT+01_2026-11-23/IMG_1.jpg",
        ".@__thumb/default1000IMG_1.jpg",
        "Network Recycle Bin 1/old.jpg",
        "$RECYCLE.BIN/S-1-5-21/$R1.jpg",  # Windows
        "$Recycle.Bin/S-1-5-21/$R1.jpg",
        "RECYCLER/S-1-5-21/Dc1.jpg",
        "System Volume Information/a.jpg",
        "FOUND.000/FILE0000.jpg",
        "lost+found/#12345.jpg",
        ".Trash-1000/files/old.jpg",
        ".Trashes/501/old.jpg",  # macOS
        "__MACOSX/._IMG_1.jpg",
        "Network Trash Folder/Trash Can #2/old.jpg",
        "Temporary Items/folders.501/IMG_1.jpg",
        "Photos Library.photoslibrary/resources/derivatives/1.jpeg",
        ".recycle/user/old.jpg",  # Samba, TrueNAS
        ".snapshots/12/snapshot/IMG_1.jpg",
        "~snapshot/hourly.0/IMG_1.jpg",
        ".zfs/snapshot/auto/IMG_1.jpg",
        "@GMT-2026.11.23-06.45.00/IMG_1.jpg",
        ".stversions/IMG_1~20261123.jpg",  # Syncthing
        "files_trashbin/files/old.jpg.d1",  # Nextcloud
        "files_versions/IMG_1.jpg",
        "appdata_oc1x2y/preview/a/b/1/256-256.jpg",
        "Catalogue Previews.lrdata/1/1A2B/1.jpg",  # Lightroom
        "Smart Previews.LRDATA/a.jpg",
    ],
)
@pytest.mark.parametrize("place", ["", "cam1/day3/"])
def test_litter_is_passed_over_in_every_folder_and_letter_case(litter: str, place: str) -> None:
    chosen = names(litter=Intake().litter)
    for name in (litter, litter.upper(), litter.lower()):
        assert chosen.skips_beneath(place + name)


@pytest.mark.parametrize(
    "name", ["recycle.jpg", "lost/found.jpg", "snapshots/a.jpg", "cam@tmp/#1.jpg", "$1/a.jpg"]
)
def test_names_that_only_look_like_litter_are_not(name: str) -> None:
    assert not names(litter=Intake().litter).skips_beneath(name)


def test_the_list_of_litter_can_be_replaced() -> None:
    chosen = names(litter=("waste*",))
    assert not chosen.skips_beneath("#recycle/old.jpg")
    assert chosen.skips_beneath("Waste bin/old.jpg")


def test_nothing_is_wanted_without_patterns() -> None:
    assert not names(include=()).wants("a.jpg")
