"""Names of sets: readable, unique, never too long for the file system."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from depthd.contract.names import SetName, printable, set_names, timestamp

STAMP = "20261123T064500.123Z"
_name_bytes = st.binary(min_size=1, max_size=255).filter(
    lambda name: b"/" not in name and b"\0" not in name and name not in {b".", b".."}
)


def test_first_candidate_is_the_name_and_the_second_carries_the_time() -> None:
    first, second, third, *_ = set_names("cam1/IMG_1.jpg", STAMP)
    assert first.path == "cam1/IMG_1.jpg"
    assert second.path == "cam1/IMG_1~20261123T064500.123Z.jpg"
    assert third.path == "cam1/IMG_1~20261123T064500.123Z.2.jpg"


def test_a_later_mark_takes_the_place_of_an_earlier_one() -> None:
    first, second, third, *_ = set_names("IMG_1~20260101T000000.000Z.7.jpg", STAMP)
    assert first.base == "IMG_1~20260101T000000.000Z.7.jpg"
    assert second.base == f"IMG_1~{STAMP}.jpg"
    assert third.base == f"IMG_1~{STAMP}.2.jpg"


@given(_name_bytes)
def test_every_candidate_leaves_room_for_the_longest_suffix(name: bytes) -> None:
    names = list(set_names(os.fsdecode(name), STAMP))
    assert len(set(names)) == len(names)
    for each in names:
        encoded = os.fsencode(each.base + ".heatmap.png")
        assert len(encoded) <= 255
        assert b"/" not in encoded
        assert b"\0" not in encoded


def test_long_names_that_differ_at_the_end_stay_different() -> None:
    one = next(set_names("x" * 240 + "1.jpg", STAMP))
    other = next(set_names("x" * 240 + "2.jpg", STAMP))
    assert one != other
    assert one.base.endswith(".jpg")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("plain.jpg", "plain.jpg"),
        ("Grüße.jpg", "Grüße.jpg"),
        ("two\nlines.jpg", "two\\nlines.jpg"),
        ("\x1b[31mred.jpg", "\\x1b[31mred.jpg"),
        (os.fsdecode(b"caf\xe9.jpg"), "caf\\xe9.jpg"),
    ],
)
def test_names_are_shown_as_one_safe_line(name: str, shown: str) -> None:
    assert printable(name) == shown


_REFUSED = set('<>:"\\|?*') | {chr(code) for code in range(32)} | {"\x7f"}
_DEVICES = {"con", "prn", "aux", "nul"} | {
    f"{port}{n}" for port in ("com", "lpt") for n in range(10)
}


@given(_name_bytes, _name_bytes)
def test_every_file_system_takes_a_portable_name_and_no_two_share_one(
    one: bytes, other: bytes
) -> None:
    forms = []
    for raw in (one, other):
        for name in set_names(f"cam/{os.fsdecode(raw)}", STAMP):
            form = name.portable()
            assert form.portable() == form
            assert len(os.fsencode(form.base + ".heatmap.png")) <= 143
            form.base.encode()  # Unicode, as NTFS and SMB keep it
            assert not set(form.base) & _REFUSED
            assert not form.base.endswith((".", " "))
            assert form.base.partition(".")[0].lower() not in _DEVICES
            forms.append((raw, name, form))
    for raw, name, form in forms:
        for _, _, its in (each for each in forms if each[0] != raw and each[1] != name):
            assert form != its


@pytest.mark.parametrize(
    ("name", "begins", "ends"),
    [
        ("12:30:05.jpg", "12_30_05~", ".jpg"),
        ("what?.jpg", "what_~", ".jpg"),
        ("con.jpg", "_con~", ".jpg"),
        ("trail. /a.jpg", "trail~", "/a.jpg"),
        (os.fsdecode(b"caf\xe9.jpg"), "caf_~", ".jpg"),
        ("Grüße" * 30 + ".jpg", "GrüßeGrüße", ".jpg"),
    ],
)
def test_a_portable_name_stays_readable_and_shows_that_it_was_changed(
    name: str, begins: str, ends: str
) -> None:
    form = SetName.of(name).portable().path
    assert form.startswith(begins)
    assert form.endswith(ends)
    assert "~" in form


@pytest.mark.parametrize("name", ["IMG_1.jpg", "Grüße.jpg", "cam 1/a b.jpg", "console.jpg"])
def test_what_every_file_system_takes_is_left_as_it_is(name: str) -> None:
    assert SetName.of(name).portable() == SetName.of(name)


def test_path_and_timestamp() -> None:
    assert SetName.of("a/b/c.jpg") == SetName(("a", "b"), "c.jpg")
    assert SetName.of("a/b/c.jpg").path == "a/b/c.jpg"
    assert timestamp(1763880300.1234) == "20251123T064500.123Z"
