"""What photos take of the disk, by a clock that is set."""

from __future__ import annotations

from pathlib import Path

import pytest

from depthd.contract.events import Event
from depthd.supervisor.usage import DAY, Room, Usage, look_at

HOUR = 3600.0
MB = 10**6
RESULTS = frozenset({"outbox"})
ALL = frozenset({"outbox", "done", "failed"})


def test_nothing_came() -> None:
    disk = Usage(0.0).disk(10.0, Room(500 * MB, ALL), 200 * MB)
    assert (disk.free, disk.min_free) == (500 * MB, 200 * MB)
    assert (disk.bytes_a_photo, disk.bytes_a_day, disk.days_left) == (None, 0, None)


@pytest.mark.parametrize(
    ("folders", "a_day"),
    [(ALL, 60), (RESULTS, 50), (RESULTS | {"done"}, 57), (RESULTS | {"failed"}, 53)],
)
def test_the_rate_of_a_day_with_originals_where_they_lie_on_the_same_disk(
    folders: frozenset[str], a_day: int
) -> None:
    usage, a_day = Usage(0.0), a_day * MB
    usage.add(2 * HOUR, outbox=20 * MB, done=4 * MB)
    usage.add(9 * HOUR, outbox=30 * MB, done=3 * MB)
    usage.add(9 * HOUR, failed=3 * MB)
    disk = usage.disk(DAY, Room(2 * a_day + 7, folders), 7)
    assert (disk.bytes_a_photo, disk.photos_a_day) == (25 * MB, 2.0)
    assert disk.bytes_a_day == a_day
    assert disk.days_left == 2.0


def test_a_service_that_has_just_started_counts_as_an_hour_old() -> None:
    usage = Usage(1000.0)
    usage.add(1001.0, outbox=MB)
    assert usage.disk(1002.0, Room(0, RESULTS), 0).bytes_a_day == 24 * MB
    assert usage.disk(1000.0 + 12 * HOUR, Room(0, RESULTS), 0).bytes_a_day == 2 * MB


def test_what_came_more_than_a_day_ago_is_forgotten() -> None:
    usage = Usage(0.0)
    for hour in range(100):
        usage.add(hour * HOUR, outbox=MB)
    assert usage.disk(99 * HOUR, Room(0, RESULTS), 0).bytes_a_day == 24 * MB
    assert usage.disk(110 * HOUR, Room(0, RESULTS), 0).bytes_a_day == 13 * MB
    assert usage.disk(200 * HOUR, Room(0, RESULTS), 0).days_left is None


@pytest.mark.parametrize(
    ("folders", "taken", "freed"),
    [(ALL, 15, 10), (RESULTS, 10, 6), (RESULTS | {"done"}, 13, 9), (RESULTS | {"failed"}, 12, 7)],
)
def test_what_retention_removes_makes_room_on_the_disk_where_it_lay(
    folders: frozenset[str], taken: int, freed: int
) -> None:
    usage = Usage(0.0)
    usage.add(HOUR, outbox=10 * MB, done=3 * MB)
    usage.add(HOUR, failed=2 * MB)
    for kind, size, results in (("done", 9 * MB, 6 * MB), ("failed", MB, 0)):
        removed = {"kind": kind, "bytes": size, "results": results}
        usage.heed(2 * HOUR, Event.PHOTO_REMOVED, removed)
    usage.heed(2 * HOUR, Event.LOG_REMOVED, {"kind": "log", "bytes": 99 * MB, "results": 0})
    disk = usage.disk(DAY, Room(2 * (taken - freed) * MB, folders), 0)
    assert (disk.bytes_a_day, disk.days_left) == (taken * MB, 2.0)
    usage.heed(3 * HOUR, Event.PHOTO_REMOVED, {"kind": "done", "bytes": 9 * MB, "results": 9 * MB})
    assert usage.disk(DAY, Room(8 * MB, folders), 0).days_left is None


def test_less_than_is_to_be_left_free() -> None:
    usage = Usage(0.0)
    usage.add(0.0, outbox=MB)
    assert usage.disk(1.0, Room(5, RESULTS), 10).days_left == 0.0


def test_a_look_at_a_real_disk(tmp_path: Path) -> None:
    (tmp_path / "done").mkdir()
    folders = {"outbox": tmp_path, "done": tmp_path / "done", "failed": Path("/proc")}
    room = look_at(folders)
    assert room.folders == {"outbox", "done"}
    assert room.free > 0
    assert look_at({"outbox": tmp_path, "done": tmp_path / "missing"}).folders == RESULTS
    with pytest.raises(FileNotFoundError):
        look_at({"outbox": tmp_path / "missing", "done": tmp_path})
