"""Names of sets: readable, unique, never too long for the file system."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from depthd.contract.names import candidates, printable, split, timestamp

STAMP = "20261123T064500.123Z"
_name_bytes = st.binary(min_size=1, max_size=255).filter(
    lambda name: b"/" not in name and b"\0" not in name and name not in {b".", b".."}
)


def test_first_candidate_is_the_name_and_the_second_carries_the_time() -> None:
    first, second, third, *_ = candidates("cam1/IMG_1.jpg", STAMP)
    assert first == "cam1/IMG_1.jpg"
    assert second == "cam1/IMG_1~20261123T064500.123Z.jpg"
    assert third == "cam1/IMG_1~20261123T064500.123Z.2.jpg"


@given(_name_bytes)
def test_every_candidate_leaves_room_for_the_longest_suffix(name: bytes) -> None:
    names = list(candidates(os.fsdecode(name), STAMP))
    assert len(set(names)) == len(names)
    for candidate in names:
        encoded = os.fsencode(candidate + ".heatmap.png")
        assert len(encoded) <= 255
        assert b"/" not in encoded
        assert b"\0" not in encoded


def test_long_names_that_differ_at_the_end_stay_different() -> None:
    one = next(candidates("x" * 240 + "1.jpg", STAMP))
    other = next(candidates("x" * 240 + "2.jpg", STAMP))
    assert one != other
    assert one.endswith(".jpg")


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


def test_split_and_timestamp() -> None:
    assert split("a/b/c.jpg") == (("a", "b"), "c.jpg")
    assert timestamp(1763880300.1234) == "20251123T064500.123Z"
