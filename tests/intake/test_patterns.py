"""Names that are taken, passed over, or refused."""

from __future__ import annotations

import os

import pytest

from depthd.config.declaration import Intake
from depthd.intake.patterns import Names, is_partial


def names(include: tuple[str, ...] | None = None, exclude: tuple[str, ...] = ()) -> Names:
    return Names(Intake().include if include is None else include, exclude)


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


def test_nothing_is_wanted_without_patterns() -> None:
    assert not names(include=()).wants("a.jpg")
