"""Which folders are scanned when."""

from __future__ import annotations

import time
from collections.abc import Iterator

from depthd.intake.rounds import Rounds, Scan


class Scans:
    """Rounds over walks that never end by themselves, and never touch a disk."""

    def __init__(self, length: int = 10**9) -> None:
        self.begun: list[str] = []
        self.ended: list[str] = []
        self.length = length
        self.rounds = Rounds(self.walk, self.begun.append, lambda scan: self.ended.append(scan.top))

    def walk(self, top: str) -> Iterator[object]:
        for step in range(self.length):
            yield f"{top}/{step}", None, None

    def turn(self, seconds: float = 0.0) -> list[Scan]:
        """One slice; returns the scans that got it."""
        met: list[Scan] = []
        self.rounds.step(lambda *found: met.append(found[3]), time.monotonic() + seconds)
        return met


def test_scans_take_turns() -> None:
    scans = Scans()
    scans.rounds.want_all()
    scans.rounds.want("a")
    scans.rounds.want("b")
    seen = {met.top for _ in range(9) for met in scans.turn()}
    assert seen == {"", "a", "b"}


def test_each_second_turn_is_that_of_the_full_scan() -> None:
    """It alone finds what others have brought, where events are lost."""
    scans = Scans()
    scans.rounds.want_all()
    for number in range(100):
        scans.rounds.want(f"{number}")
    tops = [met.top for _ in range(40) for met in scans.turn()]
    assert tops.count("") == 20
    assert len(set(tops)) == 8


def test_only_so_many_are_under_way_at_once() -> None:
    scans = Scans()
    for number in range(100):
        scans.rounds.want(f"{number}")
    for _ in range(50):
        scans.turn()
    assert len(scans.begun) == 8


def test_folders_below_the_inbox_take_turns_in_being_scanned() -> None:
    scans = Scans(length=1)
    for number in range(6):
        scans.rounds.want(f"flood/{number}")
    scans.rounds.want("cam/day")
    for _ in range(3):
        scans.turn(60.0)
    assert "cam/day" in scans.begun


def test_a_flood_of_folders_becomes_one_scan_of_what_holds_them() -> None:
    scans = Scans(length=1)
    for number in range(1000):
        scans.rounds.want(f"flood/{number}")
    scans.rounds.want(f"deep/{'x' * 2000}")
    while scans.rounds.is_busy:
        scans.turn(60.0)
    assert sorted(scans.begun) == ["deep", "flood"]
    for number in range(3000):
        scans.rounds.want(f"{number}")
    while scans.rounds.is_busy:
        scans.turn(60.0)
    assert scans.begun.count("") == 1
    assert len(scans.begun) < 2500


def test_a_polled_folder_is_scanned_again_and_again_until_it_needs_no_more() -> None:
    scans = Scans(length=1)
    scans.rounds.repeat_every(1e9, 0.0)
    scans.rounds._last_end = time.monotonic()
    scans.rounds.poll("greedy")
    end = time.monotonic() + 60.0
    while scans.begun != ["greedy"] * 3:
        assert time.monotonic() < end
        scans.turn(60.0)
    scans.rounds.stop_polling("greedy")
    before = len(scans.begun)
    scans.turn(60.0)
    assert len(scans.begun) == before
