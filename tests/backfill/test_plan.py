"""What is still to be done: the source and the index side by side."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from unittest.mock import patch

import pytest
from nested import nested

pytest.importorskip("pyarrow", reason="needs pyarrow: pip install 'depthd[test-cluster]'")

from depthd.backfill.index import Index, failed_row, part_name
from depthd.backfill.places import Entry, Place
from depthd.backfill.plan import Plan
from depthd.backfill.sources import photos
from depthd.backfill.store import open_store
from depthd.backfill.units import Photo, Unit
from depthd.config import Intake
from depthd.contract.errors import FaultCode, NoInputError, UsageError

from .conftest import needs

FIRST, SECOND, THIRD = (f"2026112{day}T000000Z" for day in range(3))


def named(*names: str) -> list[Photo]:
    return [Photo(name, f"/a/{name}") for name in names]


def listed(*names: str) -> list[Photo]:
    return [Photo(name, f"/a/{name}", position) for position, name in enumerate(names)]


@pytest.fixture
def index(tmp_path: Path) -> Index:
    return Index(open_store(Place.of(str(tmp_path))))


def write(index: Index, unit: Unit, failed: Iterable[str] = ()) -> None:
    rows = []
    for number, photo in enumerate(unit.photos):
        row = failed_row(photo, f"{unit.part}-{number}", FaultCode.EMPTY, "")
        if photo.name not in failed:
            row |= {"done": True, "code": None, "sentence": None}
        rows.append(row)
    index.write(unit.part, rows, unit.part.partition("-")[0])


def plan(
    index: Index, source: Iterable[Photo], run: str = FIRST, *, size: int = 2, retry: bool = False
) -> Plan:
    return Plan(source, index, index.parts(), run=run, size=size, retry_failed=retry)


def names(units: Iterable[Unit]) -> list[list[str]]:
    return [[photo.name for photo in unit.photos] for unit in units]


def test_what_no_part_lists_is_missing_whatever_order_the_parts_came_in(index: Index) -> None:
    source = named("a", "b", "c", "d", "e", "f", "g")
    units = list(plan(index, source).units())
    assert names(units) == [["a", "b"], ["c", "d"], ["e", "f"], ["g"]]
    write(index, units[2])
    write(index, units[0], failed=["b"])
    later = plan(index, source, SECOND)
    assert names(later.units()) == [["c", "d"], ["g"]]
    assert (later.before.done, later.before.failed) == (3, 1)


def test_a_source_may_grow_and_shrink_over_several_runs(index: Index) -> None:
    for unit in plan(index, named("b", "d", "f", "h")).units():
        write(index, unit)
    second = list(plan(index, named("a", "b", "e", "f", "h", "z"), SECOND).units())
    assert names(second) == [["a", "e"], ["z"]]
    for unit in second:
        write(index, unit)
    third = plan(index, named("a", "aa", "b", "c", "e", "h", "z"), THIRD)
    assert names(third.units()) == [["aa", "c"]]
    assert third.before.done == 5


def test_names_are_compared_as_bytes(index: Index) -> None:
    """Not as letters: the order of S3, of folders here, and of what is no UTF-8."""
    source = named("a.jpg", "a/b.jpg", "ab.jpg", "z.jpg", "é.jpg", "\U0001f600.jpg", "\udcff.jpg")
    for unit in plan(index, source, size=3).units():
        write(index, unit)
    again = plan(index, source, SECOND)
    assert list(again.units()) == []
    assert again.before.done == 7


def test_failed_photos_are_tried_again_in_the_parts_that_they_are_in(index: Index) -> None:
    source = named("a", "b", "c", "d")
    for unit in plan(index, source).units():
        write(index, unit, failed=["b", "c"])
    again = list(plan(index, named("a", "b", "bb", "c", "d"), SECOND, retry=True).units())
    assert names(again) == [["bb"], ["b"], ["c"]]
    assert [unit.retries for unit in again] == [False, True, True]
    assert [unit.part for unit in again] == [
        part_name(SECOND, 0), part_name(FIRST, 0), part_name(FIRST, 1),
    ]  # fmt: skip
    assert Unit.from_json(again[1].to_json()) == again[1]


def test_a_list_may_be_appended_to_and_not_changed(index: Index) -> None:
    for unit in plan(index, listed("x", "a", "x")).units():
        write(index, unit)
    assert names(plan(index, listed("x", "a", "x", "b"), SECOND).units()) == [["b"]]
    with pytest.raises(UsageError, match="line 2 of the list is /a/c, and was /a/a"):
        list(plan(index, listed("x", "c", "x"), SECOND).units())


def test_a_source_that_is_not_in_order_is_none(index: Index) -> None:
    with pytest.raises(NoInputError, match="a is listed after b"):
        list(plan(index, named("b", "a")).units())


def test_it_is_read_as_a_stream(index: Index) -> None:
    """Of a source without end the first units come, and no more of it is read than they hold."""
    read = 0

    def endless() -> Iterable[Photo]:
        nonlocal read
        while True:
            read += 1
            yield from named(f"{read:09d}")

    units = plan(index, endless(), size=100).units()
    assert [len(next(units).photos) for _ in range(5)] == [100] * 5
    assert read <= 501


def test_folders_are_walked_in_order_and_nothing_is_followed(tmp_path: Path) -> None:
    for name in ("a/b.jpg", "a.jpg", "ab.jpg", ".x/c.jpg", "@eaDir/d.jpg", "n.txt", "e.jpg.part"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "link.jpg").symlink_to("a.jpg")
    (tmp_path / "back").symlink_to(".")
    found = list(photos(Place.of(str(tmp_path)), Intake()))
    assert [photo.name for photo in found] == ["a.jpg", "a/b.jpg", "ab.jpg"]
    assert found == sorted(found, key=lambda photo: photo.order)


def test_folders_may_be_as_deep_as_paths_are(tmp_path: Path) -> None:
    with nested(tmp_path) as innermost:
        found = list(photos(Place.of(str(tmp_path)), Intake()))
    assert [photo.name for photo in found] == [f"{innermost}/x.jpg"]


def test_folders_without_end_have_one() -> None:
    """As a store may imitate them."""
    place = Place.of("ftp://h/top")
    with patch("depthd.backfill.sources.entries", lambda _: iter([Entry("d" * 100, True)])):
        (found,) = photos(place, Intake())
    assert found.trouble == "File name too long"


def test_a_list_that_is_none_is_said(tmp_path: Path) -> None:
    import pyarrow as pa  # noqa: PLC0415
    from pyarrow import parquet  # noqa: PLC0415

    path = tmp_path / "list.parquet"
    place = Place.of(str(path))
    ends = pa.array([0, 2, 4], pa.int32()).buffers()[1]
    not_text = pa.Array.from_buffers(pa.string(), 2, [None, ends, pa.py_buffer(b"ab\xff\xfe")])
    parquet.write_table(pa.table({"address": not_text}), path)
    with pytest.raises(NoInputError, match="cannot be listed"):
        list(photos(place, Intake()))
    twice = pa.table([pa.array(["/a.jpg"])] * 2, names=["address", "address"])
    parquet.write_table(twice, path)
    with pytest.raises(NoInputError, match="cannot be listed"):
        list(photos(place, Intake()))


def test_credentials_that_cannot_be_had_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    needs("boto3")
    monkeypatch.setenv("AWS_PROFILE", "of-nobody")
    with pytest.raises(NoInputError, match="of-nobody"):
        list(photos(Place.of("s3://bucket/photos"), Intake()))


def test_lists_say_where_photos_are(tmp_path: Path) -> None:
    from pyarrow import parquet, table  # noqa: PLC0415

    addresses = ["s3://bucket/2019/a b?.jpg", "/etc/../photos/x.jpg"]
    (tmp_path / "list.csv").write_text("id,address\n" + "".join(f"1,{a}\n" for a in addresses))
    parquet.write_table(table({"address": addresses}), tmp_path / "list.parquet")
    for kind in ("csv", "parquet"):
        place = Place.of(str(tmp_path / f"list.{kind}"))
        found = list(photos(place, Intake()))
        assert [photo.address for photo in found] == addresses
        assert [photo.name for photo in found] == ["bucket/2019/a b?.jpg", "etc/photos/x.jpg"]
        assert place.file(addresses[0]) == Place("s3", "bucket", "2019/a b?.jpg")
    (tmp_path / "list.csv").write_text("path\n/x.jpg\n")
    with pytest.raises(NoInputError, match="has no column address; it has path"):
        list(photos(Place.of(str(tmp_path / "list.csv")), Intake()))


@pytest.mark.parametrize("name", ["nothing", "list.csv", "list.parquet"])
def test_a_source_that_is_not_there(tmp_path: Path, name: str) -> None:
    with pytest.raises(NoInputError, match=name):
        list(photos(Place.of(str(tmp_path / name)), Intake()))
