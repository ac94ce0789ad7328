"""Intake as the supervisor uses it: what is handed out, when, how often, and at what cost."""

from __future__ import annotations

import errno
import os
import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from inbox_loop import Loop, Start

from depthd.contract.events import Event
from depthd.intake import Intake, entries, inbox
from depthd.intake.notes import Notes
from depthd.intake.refusals import Refusals
from depthd.intake.rights import Refusal
from depthd.intake.scan import Looker


def drop(loop: Loop, *names: str) -> None:
    for name in names:
        (loop.inbox / name).parent.mkdir(parents=True, exist_ok=True)
        (loop.inbox / name).write_bytes(b"x")


@pytest.fixture
def loop(start: Start) -> Loop:
    """Native events, and no quiet time: a close is enough."""
    started = start(watch="native", settle="0s")
    started.until_drained()
    return started


def test_what_lies_there_at_the_start_is_found(start: Start, tmp_path: Path) -> None:
    names = ["a.jpg", "cam1/b.PNG", "cam1/day2/c.tiff"]
    for name in names:
        path = tmp_path / "inbox" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    loop = start()
    loop.until_drained()
    assert sorted(loop.names) == sorted(names)


def test_an_empty_inbox_is_drained_only_after_a_scan(start: Start) -> None:
    loop = start()
    assert not loop.intake.drained
    loop.until_drained()
    assert loop.intake.backlog == 0


def test_a_candidate_tells_what_a_look_shows(loop: Loop) -> None:
    drop(loop, "a.jpg")
    status = (loop.inbox / "a.jpg").stat()
    loop.until_taken("a.jpg")
    seen = loop.taken[0]
    assert (seen.size, seen.mtime_ns) == (status.st_size, status.st_mtime_ns)
    assert (seen.device, seen.inode) == (status.st_dev, status.st_ino)


def test_each_is_handed_out_once(loop: Loop) -> None:
    drop(loop, "a.jpg", "b.jpg", "c.jpg")
    loop.until(lambda: loop.intake.backlog == 3, take=False)
    first = loop.intake.take(2)
    second = loop.intake.take(2)
    assert [seen.name for seen in first + second] == ["a.jpg", "b.jpg", "c.jpg"]
    assert loop.intake.take(2) == []
    assert loop.intake.backlog == 0


def test_what_was_put_back_is_handed_out_again(loop: Loop) -> None:
    drop(loop, "a.jpg")
    loop.until(lambda: loop.intake.backlog, take=False)
    (candidate,) = loop.intake.take(1)
    loop.intake.put_back(candidate)
    assert not loop.intake.drained
    loop.until_taken("a.jpg")


def test_what_was_put_back_and_is_gone_is_forgotten(loop: Loop) -> None:
    drop(loop, "a.jpg")
    loop.until(lambda: loop.intake.backlog, take=False)
    (candidate,) = loop.intake.take(1)
    (loop.inbox / "a.jpg").unlink()
    loop.intake.put_back(candidate)
    loop.until_drained()
    assert not loop.taken


def test_what_changed_while_it_waited_and_was_put_back_is_handed_out_as_it_is(loop: Loop) -> None:
    drop(loop, "a.jpg", "b.jpg", "c.jpg")
    loop.until(lambda: loop.intake.backlog == 3, take=False)
    (loop.inbox / "a.jpg").write_bytes(b"longer")
    (loop.inbox / "b.jpg").unlink()
    for candidate in loop.intake.take(3):  # whoever takes them looks at them
        loop.intake.put_back(candidate)
    loop.until_taken("a.jpg", "c.jpg")
    assert {seen.size for seen in loop.taken} == {1, 6}


def test_a_photo_that_is_deleted_or_exchanged_while_it_is_held_waits_no_more(loop: Loop) -> None:
    take = loop.intake.take
    loop.intake.take = lambda count: take(count, {"cam"})
    drop(loop, "cam/a.jpg", "cam/b.jpg", "cam/c.jpg")
    loop.until(lambda: loop.intake.remaining().count == 3)
    (loop.inbox / "cam/a.jpg").unlink()
    (loop.inbox / "cam/b.jpg").unlink()
    (loop.inbox / "cam/b.jpg").symlink_to("c.jpg")
    loop.intake.rescan()
    loop.until(lambda: loop.intake.backlog == 1)
    assert loop.intake.remaining().examples[0][0] == "cam/c.jpg"
    assert loop.ignored() == {"cam/b.jpg": Refusal.SYMLINK}
    loop.intake.take = take
    loop.until_taken("cam/c.jpg")


def test_hostile_entries_are_left_alone_and_told_once(loop: Loop, tmp_path: Path) -> None:
    secret = tmp_path / "secret.jpg"
    secret.write_bytes(b"secret")
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "s.jpg").write_bytes(b"secret")
    (loop.inbox / "link.jpg").symlink_to(secret)
    (loop.inbox / "folder").symlink_to(secrets)
    os.mkfifo(loop.inbox / "fifo.jpg")
    (loop.inbox / "folder.jpg").mkdir()
    drop(loop, "notes.txt", "folder.jpg/real.jpg")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(loop.inbox / "socket.jpg"))
        for _ in range(3):
            loop.until_rescanned()
    assert loop.ignored() == {
        "link.jpg": Refusal.SYMLINK,
        "folder": Refusal.SYMLINK,
        "fifo.jpg": Refusal.SPECIAL,
        "socket.jpg": Refusal.SPECIAL,
        "notes.txt": Refusal.NAME,
    }
    assert loop.names == ["folder.jpg/real.jpg"]
    assert secret.read_bytes() == b"secret"


def test_an_entry_that_comes_again_is_told_again(loop: Loop) -> None:
    for _ in range(2):
        (loop.inbox / "link.jpg").symlink_to("nowhere")
        loop.until_rescanned()
        (loop.inbox / "link.jpg").unlink()
        loop.until_rescanned()
        loop.until_rescanned()
    assert len(loop.fields_of(Event.ENTRY_IGNORED)) == 2


def test_a_folder_in_the_place_of_a_file_is_no_offence(start: Start) -> None:
    loop = start(settle="300ms")
    drop(loop, "a.jpg")
    loop.until(lambda: loop.intake.backlog, take=False)
    (loop.inbox / "a.jpg").unlink()
    drop(loop, "a.jpg/b.jpg")
    loop.until_taken("a.jpg/b.jpg")
    loop.until_drained()
    assert loop.ignored() == {}


def test_a_disk_that_errs_is_told_once(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    def err(*_: object) -> None:
        raise OSError(errno.EIO, "broken")

    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", err)
        for _ in range(2):
            loop.intake.rescan()
            loop.until(lambda: not loop.intake._rounds.is_busy)
    assert loop.ignored() == {".": Refusal.UNREADABLE}
    drop(loop, "a.jpg")
    loop.until_taken("a.jpg")


def test_a_fifo_that_is_written_blocks_nothing(loop: Loop) -> None:
    os.mkfifo(loop.inbox / "fifo.jpg")
    reader = os.open(loop.inbox / "fifo.jpg", os.O_RDONLY | os.O_NONBLOCK)
    os.close(os.open(loop.inbox / "fifo.jpg", os.O_WRONLY))  # closed by a writer, as a photo is
    drop(loop, "after.jpg")
    loop.until_taken("after.jpg")
    os.close(reader)
    assert loop.ignored() == {"fifo.jpg": Refusal.SPECIAL}


def test_no_photo_is_ever_opened(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    real = os.open

    def spy(path: Any, flags: int, *rest: Any, **more: Any) -> int:
        if not flags & os.O_DIRECTORY:
            opened.append(os.fspath(path))
        return real(path, flags, *rest, **more)

    drop(loop, "a.jpg", "cam/b.jpg")
    monkeypatch.setattr(os, "open", spy)
    loop.until_taken("a.jpg", "cam/b.jpg")
    loop.until_rescanned()
    assert opened == []


def test_reading_in_the_inbox_wakes_nobody(loop: Loop) -> None:
    drop(loop, "seen.txt")
    loop.until(loop.ignored)
    before = loop.wakes
    for _ in range(50):
        (loop.inbox / "seen.txt").read_bytes()
        list(loop.inbox.iterdir())
    drop(loop, "a.jpg")
    loop.until_taken("a.jpg")
    assert loop.wakes - before <= 2


def test_nothing_to_do_means_sleep(loop: Loop) -> None:
    before = loop.slices
    loop.run_for(2.0)
    assert loop.slices - before <= 6


def test_patterns_choose_what_is_taken(start: Start) -> None:
    loop = start(include=["*.jpg", "raw/*.dat"], exclude=["thumbs/*", "*_small.jpg"])
    drop(loop, "a.JPG", "raw/b.dat", "c.dat", "d.png", "thumbs/e.jpg", "f_small.jpg")
    loop.until_drained()
    assert sorted(loop.names) == ["a.JPG", "raw/b.dat"]
    assert set(loop.ignored()) == {"c.dat", "d.png"}  # what is excluded is not even told


def test_polling_looks_as_far_apart_as_it_polls(start: Start, tmp_path: Path) -> None:
    """A share answers looks from a cache for some seconds."""
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox" / "a.jpg").write_bytes(b"x")
    loop = start(watch="polling", settle="0s", poll_interval="1h")
    loop.until(lambda: loop.intake.backlog, take=False)
    assert loop.intake._settling.next_due() > time.monotonic() + 3000


def test_a_rescan_finds_what_was_never_reported(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Notes, "add", lambda *_: None)
    drop(loop, "a.jpg")
    loop.until_rescanned()
    assert loop.names == ["a.jpg"]


def test_stopping_twice_and_starting_another_leaves_nothing(tmp_path: Path) -> None:
    def left() -> tuple[int, int]:
        return threading.active_count(), len(os.listdir("/proc/self/fd"))

    before = left()
    for _ in range(3):
        loop = Loop(tmp_path).start()
        loop.until_drained()
        loop.intake.stop()
        loop.close()
    assert left() == before


# Many files -----------------------------------------------------------------------------------


class Counted:
    """How often things were looked at."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.looks = 0
        self.measures = 0
        look, measure = Looker.look, entries.Entries._measure

        def count_look(looker: Looker, name: str) -> os.stat_result | None:
            self.looks += 1
            return look(looker, name)

        def count_measure(*args: Any, **kwargs: Any) -> None:
            self.measures += 1
            measure(*args, **kwargs)

        monkeypatch.setattr(Looker, "look", count_look)
        monkeypatch.setattr(entries.Entries, "_measure", count_measure)


def fill(root: Path, count: int) -> list[str]:
    (root / "inbox").mkdir()
    names = [f"{number:05}.jpg" for number in range(count)]
    for name in names:
        os.mknod(root / "inbox" / name)
    return names


@pytest.mark.parametrize("count", [200, 2000])
def test_two_looks_for_each_file_however_many_there_are(
    start: Start, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, count: int
) -> None:
    names = fill(tmp_path, count)
    counted = Counted(monkeypatch)
    loop = start()
    settling, rounds = loop.intake._settling, loop.intake._rounds
    loop.until(lambda: len(settling) == count and not rounds.is_busy, take=False)
    loop.until(lambda: settling.next_due() == float("inf"), take=False)
    assert (counted.measures, counted.looks) == (count, count)  # found, and looked at again
    loop.intake.rescan()
    loop.until(lambda: not rounds.is_busy, take=False)
    assert (counted.measures, counted.looks) == (count, count)  # a rescan of them costs no look
    taken = [seen.name for seen in loop.intake.take(2 * count)]
    assert sorted(taken) == names
    assert (counted.measures, counted.looks) == (count, count)  # the spool looks before it claims


def test_a_slice_is_bounded_however_much_there_is(start: Start, tmp_path: Path) -> None:
    fill(tmp_path, 3000)
    loop = start()
    sizes = [0]
    loop.until(lambda: sizes.append(loop.intake.backlog) or sizes[-1] == 3000, take=False)
    assert len(sizes) > 4  # it did not happen in one go


def test_no_more_than_the_limit_is_remembered_and_the_rest_is_found_later(
    start: Start, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(inbox, "_TRACKED", 100)
    names = fill(tmp_path, 150)
    loop = start(settle="0s")
    most = [0]
    loop.until(lambda: most.append(loop.intake.backlog) or loop.intake.drained)
    assert max(most) == 50
    assert sorted(loop.names) == names


def test_what_was_told_is_bounded_and_forgotten_with_its_entry() -> None:
    told: list[str] = []

    def emit(event: Event, /, **fields: object) -> None:
        told.append(str(fields["name"]))

    refusals = Refusals(emit, limit=3)
    for number in range(10):
        refusals.say(f"{number}.txt", Refusal.NAME)
    assert told == ["0.txt", "1.txt", "2.txt", "3.txt"]  # the last one says that silence begins
    assert refusals.is_full
    for _ in range(3):
        refusals.end_round()  # the others are not met again
        refusals.meet("0.txt", Refusal.NAME)
    assert refusals.known("0.txt") is Refusal.NAME
    assert refusals.known("2.txt") is None
    refusals.say("1.txt", Refusal.NAME)
    assert told[4:] == ["1.txt"]
    refusals.say("0.txt", Refusal.SYMLINK)  # something else has its name now
    assert told[5:] == ["0.txt"]


def test_intake_may_be_built_before_anything_exists(tmp_path: Path) -> None:
    assert isinstance(Loop(tmp_path).intake, Intake)
