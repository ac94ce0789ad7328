"""Photos in failed/ on real file systems: found whatever lies beside them, and put back whole."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from spool.parts import Parts, look, visible
from spool.world import LAYOUTS, NEVER, Layout, ProcessEnds, World, has_other_disk
from unprivileged import NOBODY, needs_root

from depthd.contract.errors import FAULTS, FaultCode
from depthd.contract.names import MAX_DEPTH, SetName
from depthd.publish import returning
from depthd.publish.failures import Failed, failed_photos
from depthd.publish.returning import put_back
from depthd.spool import Verdict
from depthd.system import files

NAME = SetName.of("cam/a.jpg")
EMPTY = Verdict(FaultCode.EMPTY)


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[Parts]:
    with Parts.open(tmp_path) as parts:
        yield parts


def fail(parts: Parts, name: str = NAME.path, content: bytes = b"photo") -> None:
    assert parts.spool.fail(parts.claim(name, content), EMPTY) == name


def found(parts: Parts) -> set[str]:
    assert parts.places.failed is not None
    return {
        f"{each.errno} {each.filename}" if isinstance(each, OSError) else each.name.path
        for each in failed_photos(parts.places.failed)
    }


def back(parts: Parts, name: str = NAME.path) -> SetName:
    assert parts.places.failed is not None
    return put_back(parts.places.failed, parts.config.folder("inbox"), SetName.of(name))


def test_a_failed_photo_is_told_with_code_and_reason(parts: Parts) -> None:
    fail(parts)
    assert parts.places.failed is not None
    sentence = FAULTS[FaultCode.EMPTY].sentence
    assert list(failed_photos(parts.places.failed)) == [Failed(NAME, "empty", sentence)]


def test_photos_of_all_folders_are_found_and_hidden_and_unwanted_ones_passed_over(
    parts: Parts,
) -> None:
    fail(parts, "top.jpg")
    fail(parts, "cam/day 1/Grüße\n.jpg")
    fail(parts, os.fsdecode(b"caf\xe9/a.jpg"))
    fail(parts, "#recycle/a.jpg")
    failed = parts.root / "failed"
    (failed / "hidden").mkdir()
    for name in ("top.jpg", "top.jpg.error.json"):
        (failed / f".{name}").write_bytes((failed / name).read_bytes())
        (failed / ".depthd" / name).write_bytes((failed / name).read_bytes())
    assert parts.places.failed is not None
    told = failed_photos(parts.places.failed, lambda name: name == "#recycle")
    names = {each.name.path for each in told if isinstance(each, Failed)}
    assert names == {"top.jpg", "cam/day 1/Grüße\n.jpg", os.fsdecode(b"caf\xe9/a.jpg")}


def test_only_what_has_a_reason_is_a_failed_photo(parts: Parts) -> None:
    fail(parts)
    failed = parts.root / "failed"
    reason = (failed / "cam/a.jpg.error.json").read_bytes()
    (failed / "stray.jpg").write_bytes(b"nobody knows")
    for name in ("link.jpg", "pipe.jpg", "folder.jpg", "note.jpg", "pipe_note.jpg", "foreign.jpg"):
        (failed / f"{name}.error.json").write_bytes(reason)
    (failed / "link.jpg").symlink_to(failed / "cam/a.jpg")
    os.mkfifo(failed / "pipe.jpg")
    (failed / "folder.jpg").mkdir()
    for name in ("pipe_note.jpg", "foreign.jpg", "deep.jpg"):
        (failed / name).write_bytes(b"photo")
    (failed / "pipe_note.jpg.error.json").unlink()
    os.mkfifo(failed / "pipe_note.jpg.error.json")
    (failed / "foreign.jpg.error.json").write_bytes(b'{"schema": "somebody.else/1"}')
    (failed / "deep.jpg.error.json").write_bytes(b"[" * 100_000)
    (failed / "ring").symlink_to(failed)
    assert found(parts) == {"cam/a.jpg"}


@needs_root
def test_a_reason_that_another_user_has_planted_is_not_believed(parts: Parts) -> None:
    fail(parts)
    os.chown(parts.root / "failed/cam/a.jpg.error.json", NOBODY, NOBODY)
    assert found(parts) == set()


def test_nothing_is_looked_for_deeper_than_photos_are_taken_from(parts: Parts) -> None:
    """Folders inside each other without end would take all memory and handles."""
    for depth in (MAX_DEPTH, MAX_DEPTH + 1):
        fail(parts, "d/" * depth + "a.jpg")
    assert found(parts) == {"d/" * MAX_DEPTH + "a.jpg"}


def test_a_folder_that_becomes_a_link_while_it_is_listed_is_not_followed(
    parts: Parts, tmp_path: Path
) -> None:
    fail(parts)
    folder = parts.root / "failed/cam"
    assert parts.places.failed is not None

    def swap(name: str) -> bool:
        if not folder.is_symlink():
            folder.symlink_to(folder.rename(tmp_path / "elsewhere"))
        return False

    assert list(failed_photos(parts.places.failed, swap)) == []


def test_what_cannot_be_looked_at_is_told_and_the_others_too(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail(parts)
    fail(parts, "closed/b.jpg")
    inner = os.open

    def refuse(path: str, flags: int, *more: int, **where: int) -> int:
        if path == "closed":
            raise PermissionError(13, "Permission denied", path)
        return inner(path, flags, *more, **where)

    monkeypatch.setattr(os, "open", refuse)
    assert found(parts) == {"cam/a.jpg", "13 closed"}


def test_a_photo_that_fails_meanwhile_is_not_told(parts: Parts) -> None:
    fail(parts, "1/a.jpg")
    fail(parts, "2/a.jpg")
    assert parts.places.failed is not None
    told = failed_photos(parts.places.failed)
    first = next(told)
    assert isinstance(first, Failed)
    fail(parts, "1/new.jpg")
    fail(parts, "2/new.jpg")
    rest = {each.name.path for each in told if isinstance(each, Failed)}
    assert {first.name.path, *rest} == {"1/a.jpg", "2/a.jpg"}
    assert len(found(parts)) == 4


def test_a_photo_goes_back_and_its_reason_until_it_succeeds(parts: Parts) -> None:
    fail(parts)
    (parts.root / "inbox/cam").rmdir()
    assert back(parts) == NAME
    assert (parts.root / "inbox/cam/a.jpg").read_bytes() == b"photo"
    assert visible(parts.root / "failed") == {"cam/a.jpg.error.json"}
    assert found(parts) == set()
    job = parts.spool.claim(look(parts.root, NAME.path))
    target = parts.publish(job)
    assert parts.spool.finish(job, target) == NAME.path
    assert visible(parts.root / "failed") == set()


def test_nothing_in_the_inbox_is_replaced(parts: Parts) -> None:
    fail(parts)
    (parts.root / "inbox/cam/a.jpg").write_bytes(b"newer")
    with pytest.raises(FileExistsError, match="inbox has a file of this name"):
        back(parts)
    assert (parts.root / "inbox/cam/a.jpg").read_bytes() == b"newer"
    assert (parts.root / "failed/cam/a.jpg").read_bytes() == b"photo"


def test_the_portable_form_is_found_by_the_true_name(parts: Parts) -> None:
    portable = SetName.of("what?.jpg").portable()
    fail(parts, portable.path)
    assert back(parts, "what?.jpg") == portable
    assert visible(parts.root / "inbox") == {portable.path}


@pytest.mark.parametrize(
    "name",
    [
        *("../done/a.jpg", "cam/../cam/a.jpg", "/cam/a.jpg", "cam/", "", ".depthd/a.jpg"),
        *("cam/a\0.jpg", "cam/\ud800.jpg", "cam/a.jpg.error.json", "x" * 5000, "cam", "link.jpg"),
        *("pipe.jpg", "ring/a.jpg"),
    ],
)
def test_what_is_no_failed_photo_stays_where_it_is(parts: Parts, name: str) -> None:
    fail(parts)
    failed = parts.root / "failed"
    (parts.root / "done/a.jpg").write_bytes(b"")
    (failed / ".depthd/a.jpg").write_bytes(b"")
    (failed / "link.jpg").symlink_to(failed / "cam/a.jpg")
    (failed / "ring").symlink_to(failed / "cam")
    os.mkfifo(failed / "pipe.jpg")
    with pytest.raises(FileNotFoundError, match="no photo of this name"):
        back(parts, name)
    assert visible(parts.root / "inbox") == set()
    assert visible(parts.root / "done") == {"a.jpg"}


def test_a_link_in_the_inbox_is_not_followed(parts: Parts, tmp_path: Path) -> None:
    fail(parts)
    (parts.root / "inbox/cam").rmdir()
    (tmp_path / "elsewhere").mkdir()
    (parts.root / "inbox/cam").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(NotADirectoryError):
        back(parts)
    assert not os.listdir(tmp_path / "elsewhere")
    assert found(parts) == {"cam/a.jpg"}


@pytest.fixture(params=LAYOUTS, ids=str)
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    layout: Layout = request.param
    if layout.elsewhere and not has_other_disk():
        pytest.skip("needs /dev/shm on a disk of its own")
    world = World(layout)
    yield world
    world.close()


def test_no_cut_loses_a_photo_and_another_try_ends_it(world: World) -> None:
    """Whatever the folders lie on, and at whatever step the process ends."""
    parts = world.parts
    inbox, failed = parts.root / "inbox/cam/a.jpg", world.failed / "cam/a.jpg"
    for steps in range(100):
        fail(parts)
        world.steps_left = steps
        try:
            back(parts)
        except ProcessEnds:
            is_cut = True
        else:
            is_cut = False
        world.steps_left = NEVER
        places = [path.read_bytes() for path in (inbox, failed) if path.exists()]
        assert b"photo" in places
        assert set(places) <= {b"photo", b""}  # without links a name may be reserved
        if not is_cut:
            assert places == [b"photo"]
            assert not failed.exists()
            break
        if not inbox.exists() or (failed.exists() and inbox.samefile(failed)):
            back(parts)
            assert inbox.read_bytes() == b"photo"
            assert not failed.exists()
        inbox.unlink()
        failed.unlink(missing_ok=True)
    assert steps > 2
    assert steps < 99


def test_a_name_that_is_taken_after_the_look_is_not_replaced(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail(world.parts)
    newer = world.parts.root / "inbox/cam/a.jpg"

    def too_early(name: str, folder: int) -> bool:
        newer.write_bytes(b"newer")
        return False

    monkeypatch.setattr(files, "exists", too_early)
    with pytest.raises(FileExistsError):
        back(world.parts)
    assert newer.read_bytes() == b"newer"
    assert (world.failed / "cam/a.jpg").read_bytes() == b"photo"


elsewhere = pytest.mark.parametrize(
    "world", [layout for layout in LAYOUTS if layout.elsewhere], ids=str, indirect=True
)


@elsewhere
def test_a_photo_that_is_changed_while_it_is_copied_stays(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail(world.parts)
    photo = world.failed / "cam/a.jpg"
    copy = files.copy_durably

    def copy_and_change(*names: Any) -> None:
        copy(*names)
        photo.write_bytes(b"changed")

    monkeypatch.setattr(files, "copy_durably", copy_and_change)
    with pytest.raises(OSError, match="changed while it was copied"):
        back(world.parts)
    assert photo.read_bytes() == b"changed"


@elsewhere
def test_a_copy_that_was_killed_leaves_nothing_for_ever(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail(world.parts)
    back(world.parts)
    private = world.parts.root / "inbox/.depthd"
    (private / "0123.retry").write_bytes(b"half")
    fail(world.parts, "b.jpg")
    back(world.parts, "b.jpg")
    assert os.listdir(private) == ["0123.retry"]
    monkeypatch.setattr(returning, "_LEFT_BEHIND", -1)
    fail(world.parts, "c.jpg")
    back(world.parts, "c.jpg")
    assert os.listdir(private) == []
    assert (world.parts.root / "inbox/c.jpg").read_bytes() == b"photo"
