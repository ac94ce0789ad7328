"""What photos take of the disk, by a clock that is set."""

from __future__ import annotations

from pathlib import Path

import pytest

from depthd.contract.events import Event
from depthd.supervisor.usage import DAY, Room, Usage, look_at

HOUR = 3600.0
MB = 10**6


def test_nothing_came() -> None:
    disk = Usage(0.0).disk(10.0, Room(500 * MB, holds_originals=True), 200 * MB)
    assert (disk.free, disk.min_free) == (500 * MB, 200 * MB)
    assert (disk.bytes_a_photo, disk.bytes_a_day, disk.days_left) == (None, 0, None)


@pytest.mark.parametrize(("holds_originals", "a_day"), [(True, 60 * MB), (False, 50 * MB)])
def test_the_rate_of_a_day_with_originals_where_they_lie_on_the_same_disk(
    holds_originals: bool, a_day: int
) -> None:
    usage = Usage(0.0)
    usage.add(2 * HOUR, results=20 * MB, original=4 * MB)
    usage.add(9 * HOUR, results=30 * MB, original=3 * MB)
    usage.add(9 * HOUR, results=0, original=3 * MB)  # it failed
    disk = usage.disk(DAY, Room(2 * a_day + 7, holds_originals), 7)
    assert (disk.bytes_a_photo, disk.photos_a_day) == (25 * MB, 2.0)
    assert disk.bytes_a_day == a_day
    assert disk.days_left == 2.0


def test_a_service_that_has_just_started_counts_as_an_hour_old() -> None:
    usage = Usage(1000.0)
    usage.add(1001.0, results=MB, original=0)
    assert usage.disk(1002.0, Room(0, holds_originals=False), 0).bytes_a_day == 24 * MB
    assert usage.disk(1000.0 + 12 * HOUR, Room(0, holds_originals=False), 0).bytes_a_day == 2 * MB


def test_what_came_more_than_a_day_ago_is_forgotten() -> None:
    usage = Usage(0.0)
    for hour in range(100):
        usage.add(hour * HOUR, results=MB, original=0)
    assert usage.disk(99 * HOUR, Room(0, holds_originals=False), 0).bytes_a_day == 24 * MB
    assert usage.disk(110 * HOUR, Room(0, holds_originals=False), 0).bytes_a_day == 13 * MB
    assert usage.disk(200 * HOUR, Room(0, holds_originals=False), 0).days_left is None


def test_what_retention_removes_makes_room() -> None:
    usage = Usage(0.0)
    usage.add(HOUR, results=10 * MB, original=0)
    usage.heed(2 * HOUR, Event.RETENTION_OVER, {"removed": 1, "bytes": 6 * MB})
    usage.heed(2 * HOUR, Event.PHOTO_REMOVED, {"bytes": 6 * MB})  # of which that one tells
    disk = usage.disk(DAY, Room(8 * MB, holds_originals=False), 0)
    assert (disk.bytes_a_day, disk.days_left) == (10 * MB, 2.0)
    usage.heed(3 * HOUR, Event.RETENTION_OVER, {"removed": 1, "bytes": 5 * MB})
    assert usage.disk(DAY, Room(8 * MB, holds_originals=False), 0).days_left is None


def test_less_than_is_to_be_left_free() -> None:
    usage = Usage(0.0)
    usage.add(0.0, results=MB, original=0)
    assert usage.disk(1.0, Room(5, holds_originals=False), 10).days_left == 0.0


def test_a_look_at_a_real_disk(tmp_path: Path) -> None:
    (tmp_path / "done").mkdir()
    assert look_at(tmp_path, tmp_path / "done").holds_originals
    assert not look_at(tmp_path, Path("/proc")).holds_originals
    assert not look_at(tmp_path, tmp_path / "missing").holds_originals
    assert look_at(tmp_path, tmp_path).free > 0
    with pytest.raises(FileNotFoundError):
        look_at(tmp_path / "missing", tmp_path)
