"""Native events: what is reported, what is not, and what happens when reports get lost."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from depthd.intake import watch
from depthd.intake.notes import OVERFLOW, Note, Notes
from depthd.intake.patterns import Names
from depthd.intake.probe import probe
from depthd.intake.scan import walk
from depthd.intake.watch import Happening, Kind, Watcher

NAMES = Names(["*.jpg"], [])


class Ears:
    """A watcher, what it reported, and the scans that it asks for; `wait` ends with a deadline."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.woken = threading.Event()
        handle = os.open(folder, os.O_RDONLY)
        try:
            self.watcher = Watcher(handle, self.woken.set, NAMES.wants)
        finally:
            os.close(handle)
        self.heard: list[Happening] = []
        self.scan()

    def scan(self, top: str = "") -> None:
        self.watcher.look_anew(top)
        for _ in walk(self.folder, top, NAMES, self.watcher.watch, recursive=True):
            pass

    def wait(self, condition: Callable[[], object]) -> None:
        end = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < end, self.heard
            self.woken.wait(0.1)
            self.woken.clear()
            for happening in self.watcher.happenings():
                if happening is not None:
                    self.heard.append(happening)
                    if happening.kind is Kind.FOLDER and (self.folder / happening.name).is_dir():
                        self.scan(happening.name)

    def wait_for(self, kind: Kind, name: str = "") -> None:
        self.wait(lambda: Happening(kind, name) in self.heard)

    @property
    def names(self) -> list[str]:
        return [happening.name for happening in self.heard]


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    (tmp_path / "inbox").mkdir()
    return tmp_path / "inbox"


@pytest.fixture
def ears(inbox: Path) -> Iterator[Ears]:
    listening = Ears(inbox)
    yield listening
    listening.watcher.stop()


def drop(path: Path) -> None:
    path.write_bytes(b"x")


def test_a_closed_file_and_a_moved_one_are_told_apart(ears: Ears, inbox: Path) -> None:
    drop(inbox / "written.jpg")
    ears.wait_for(Kind.CLOSED, "written.jpg")
    drop(inbox.parent / "outside.jpg")
    os.rename(inbox.parent / "outside.jpg", inbox / "from outside.jpg")
    ears.wait_for(Kind.DONE, "from outside.jpg")
    drop(inbox / "partial.jpg.part")
    os.rename(inbox / "partial.jpg.part", inbox / "whole.jpg")
    ears.wait_for(Kind.DONE, "whole.jpg")
    os.rename(inbox / "written.jpg", inbox / "renamed.jpg")  # its writer need not be done
    ears.wait_for(Kind.CLOSED, "renamed.jpg")


def test_a_hard_link_and_a_new_file_get_a_name(ears: Ears, inbox: Path) -> None:
    drop(inbox.parent / "outside.jpg")
    os.link(inbox.parent / "outside.jpg", inbox / "linked.jpg")
    ears.wait_for(Kind.NAMED, "linked.jpg")


def test_a_file_that_is_still_open_is_not_reported_as_closed(ears: Ears, inbox: Path) -> None:
    with (inbox / "slow.jpg").open("wb") as slow:
        slow.write(b"x")
        slow.flush()
        drop(inbox / "after.jpg")
        ears.wait_for(Kind.CLOSED, "after.jpg")
        assert Happening(Kind.CLOSED, "slow.jpg") not in ears.heard
    ears.wait_for(Kind.CLOSED, "slow.jpg")


def test_names_of_any_bytes_are_reported_as_they_are(ears: Ears, inbox: Path) -> None:
    name = os.fsdecode(b"new\nline \xff.jpg")
    drop(inbox / name)
    ears.wait_for(Kind.CLOSED, name)


def test_folders_made_moved_in_and_renamed_are_watched(ears: Ears, inbox: Path) -> None:
    (inbox / "cam" / "made").mkdir(parents=True)
    ears.wait_for(Kind.FOLDER, "cam")
    outside = inbox.parent / "outside"
    (outside / "deep").mkdir(parents=True)
    os.rename(outside, inbox / "cam" / "moved")
    ears.wait_for(Kind.FOLDER, "cam/moved")
    drop(inbox / "cam" / "moved" / "deep" / "a.jpg")
    ears.wait_for(Kind.CLOSED, "cam/moved/deep/a.jpg")
    os.rename(inbox / "cam" / "moved", inbox / "cam" / "renamed")
    ears.wait_for(Kind.FOLDER, "cam/renamed")
    drop(inbox / "cam" / "renamed" / "deep" / "b.jpg")
    ears.wait_for(Kind.CLOSED, "cam/renamed/deep/b.jpg")
    os.rename(inbox / "cam", inbox / "cam2")
    ears.wait_for(Kind.FOLDER, "cam2")
    drop(inbox / "cam2" / "renamed" / "deep" / "c.jpg")
    ears.wait_for(Kind.CLOSED, "cam2/renamed/deep/c.jpg")
    assert ears.watcher.is_alive


def test_a_folder_that_left_is_not_watched_any_more(ears: Ears, inbox: Path) -> None:
    (inbox / "cam" / "day").mkdir(parents=True)
    ears.wait_for(Kind.FOLDER, "cam")
    before = kernel_watches()
    os.rename(inbox / "cam", inbox.parent / "away")
    drop(inbox / "after.jpg")
    ears.wait_for(Kind.CLOSED, "after.jpg")
    drop(inbox.parent / "away" / "day" / "not ours.jpg")
    (inbox / "cam" / "day").mkdir(parents=True)
    ears.wait(lambda: ears.heard.count(Happening(Kind.FOLDER, "cam")) == 2)
    drop(inbox / "cam" / "day" / "ours.jpg")
    ears.wait_for(Kind.CLOSED, "cam/day/ours.jpg")
    assert not any("not ours" in name for name in ears.names)
    assert kernel_watches() == before


def kernel_watches() -> list[int]:
    """The masks of all watches of this process."""
    inotify = [
        entry.name
        for entry in Path("/proc/self/fd").iterdir()
        if os.path.lexists(entry) and os.readlink(entry) == "anon_inode:inotify"
    ]
    return [
        int(line.split("mask:")[1].split()[0], 16)
        for number in inotify
        for line in Path("/proc/self/fdinfo", number).read_text().splitlines()
        if line.startswith("inotify")
    ]


def test_reading_and_writing_are_not_even_asked_for(ears: Ears, inbox: Path) -> None:
    (inbox / "cam").mkdir()
    ears.wait_for(Kind.FOLDER, "cam")
    ears.watcher.probe(inbox)
    ears.wait_for(Kind.PROBE)
    ears.watcher.end_probe(inbox)
    access, modify, close_without_writing, opening = 0x01, 0x02, 0x10, 0x20
    masks = kernel_watches()
    assert len(masks) == 2
    assert not any(mask & (access | modify | close_without_writing | opening) for mask in masks)


def test_a_folder_is_never_watched_through_a_symlink(ears: Ears, inbox: Path) -> None:
    (inbox.parent / "secret").mkdir()
    (inbox / "link").symlink_to(inbox.parent / "secret")
    ears.scan()
    drop(inbox.parent / "secret" / "s.jpg")
    drop(inbox / "after.jpg")
    ears.wait_for(Kind.CLOSED, "after.jpg")
    assert not any("s.jpg" in name for name in ears.names)


def test_a_folder_gets_so_many_watches_and_no_more(
    inbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "WATCHES_PER_TOP", 5)
    for number in range(20):
        (inbox / "greedy" / f"{number}").mkdir(parents=True)
    (inbox / "modest" / "day").mkdir(parents=True)
    ears = Ears(inbox)
    assert len(kernel_watches()) == 1 + 5 + 2
    assert list(ears.watcher.blind) == ["greedy"]
    drop(inbox / "modest" / "day" / "a.jpg")
    ears.wait_for(Kind.CLOSED, "modest/day/a.jpg")
    for number in range(18):
        (inbox / "greedy" / f"{number}").rmdir()
    drop(inbox / "b.jpg")
    ears.wait_for(Kind.CLOSED, "b.jpg")
    ears.scan("greedy")
    assert not ears.watcher.blind
    drop(inbox / "greedy" / "19" / "c.jpg")
    ears.wait_for(Kind.CLOSED, "greedy/19/c.jpg")
    ears.watcher.stop()


def test_half_of_the_watches_is_kept_for_folders_below_the_inbox(
    inbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "_WATCHES", 20)
    for top in "abcdef":
        for number in range(3):
            (inbox / top / f"{number}").mkdir(parents=True)
    ears = Ears(inbox)
    for top in "abcdef":
        drop(inbox / top / "photo.jpg")
        ears.wait_for(Kind.CLOSED, f"{top}/photo.jpg")
    assert ears.watcher.blind
    assert len(kernel_watches()) <= 20
    ears.watcher.stop()


def test_a_full_queue_of_ours_becomes_one_overflow() -> None:
    wakes: list[int] = []
    notes = Notes(lambda: wakes.append(1), limit=3)
    for number in range(10):
        notes.add(Note(1, 8, 0, b"%d.jpg" % number))
    assert len(wakes) == 1
    assert [note.mask for note in notes] == [OVERFLOW, 8, 8, 8]
    notes.add(Note(1, 8, 0, b"later.jpg"))
    assert len(wakes) == 2


def test_a_note_that_comes_while_others_are_read_wakes_again() -> None:
    wakes: list[int] = []
    notes = Notes(lambda: wakes.append(1))
    notes.add(Note(1, 8, 0, b"a.jpg"))
    reading = iter(notes)
    next(reading)
    notes.add(Note(1, 8, 0, b"b.jpg"))
    assert len(wakes) == 2


def test_a_photo_that_leaves_wakes_nobody() -> None:
    wakes: list[int] = []
    notes = Notes(lambda: wakes.append(1))
    notes.add(Note(1, 0x40, 7, b"claimed.jpg"))
    assert not wakes
    notes.add(Note(1, 8, 0, b"a.jpg"))
    assert len(wakes) == 1


def test_a_wake_up_that_fails_harms_no_watcher() -> None:
    def fail() -> None:
        raise OSError

    notes = Notes(fail)
    notes.add(Note(1, 8, 0, b"a.jpg"))
    assert [note.name for note in notes] == [b"a.jpg"]


def test_the_kernels_overflow_is_reported_and_all_folders_are_watched_after_it(
    ears: Ears, inbox: Path
) -> None:
    limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    if limit > 50_000:
        pytest.skip(f"the kernel queues {limit} events")
    (inbox / "cam").mkdir()
    ears.wait_for(Kind.FOLDER, "cam")
    with ears.watcher._reader._lock:  # the reader stalls
        for number in range(2 * limit):  # two names by turns, or the kernel merges the events
            os.close(os.open(inbox / f"{number % 2}.jpg", os.O_CREAT | os.O_WRONLY))
        (inbox / "cam").rmdir()
        (inbox / "cam").mkdir()  # with the same inode, as it may be
        (inbox / "unseen").mkdir()
    ears.wait_for(Kind.OVERFLOW)
    ears.scan()
    for folder in ("unseen", "cam"):
        drop(inbox / folder / "a.jpg")
        ears.wait_for(Kind.CLOSED, f"{folder}/a.jpg")


def test_a_removed_folder_is_reported(ears: Ears, inbox: Path) -> None:
    inbox.rmdir()
    ears.wait_for(Kind.LOST)


def test_a_muddle_of_folders_ends_no_thread(ears: Ears, inbox: Path) -> None:
    folder, outside = inbox / "cam", inbox.parent / "outside"
    for _ in range(20):
        folder.mkdir()
        folder.rename(outside)
        folder.mkdir()
        folder.rmdir()
        outside.rename(folder)
        folder.rmdir()
    folder.mkdir()
    drop(inbox / "after.jpg")
    ears.wait_for(Kind.CLOSED, "after.jpg")
    drop(folder / "a.jpg")
    ears.wait_for(Kind.CLOSED, "cam/a.jpg")
    assert ears.watcher.is_alive
    assert len(kernel_watches()) == 2


def test_stopping_is_not_taken_for_a_loss(ears: Ears) -> None:
    ears.watcher.stop()
    assert list(ears.watcher.notes) == []


def test_the_death_of_the_reader_shows(ears: Ears) -> None:
    assert ears.watcher.is_alive
    ears.watcher._reader.stop()
    ears.watcher._reader.join(5)
    assert not ears.watcher.is_alive


def test_nothing_is_left_after_many_starts(tmp_path: Path) -> None:
    def left() -> tuple[int, int]:
        return threading.active_count(), len(os.listdir("/proc/self/fd"))

    before = left()
    for _ in range(5):
        Ears(tmp_path).watcher.stop()
    assert left() == before


def test_what_cannot_be_watched_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    before = threading.active_count()
    with pytest.raises(OSError):
        Ears(tmp_path / "file")
    assert threading.active_count() == before


def test_a_probe_says_whether_a_folder_reports_and_leaves_nothing(
    inbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.chmod(inbox, 0o555)  # nothing is written for it
    assert probe(inbox, 60.0) == ""
    assert list(inbox.iterdir()) == []
    assert "cannot be watched" in probe(inbox / "nowhere", 60.0)
    monkeypatch.setattr(Notes, "add", lambda *_: None)
    assert "not reported" in probe(inbox, 0.05)


def test_intake_needs_nothing_heavy() -> None:
    code = (
        "import sys, depthd.intake;"
        "heavy = {'numpy', 'cv2', 'torch', 'openvino', 'timm', 'torchvision'};"
        "assert not heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
