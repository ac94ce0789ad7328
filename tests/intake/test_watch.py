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

from depthd.intake.watch import Kind, Note, Notes, Watcher


class Ears:
    """A watcher and what it reported; `wait` ends with a deadline."""

    def __init__(self, folder: Path) -> None:
        self.woken = threading.Event()
        self.notes = Notes(self.woken.set)
        self.watcher = Watcher(str(folder), recursive=True, notes=self.notes)
        self.heard: list[Note] = []

    def wait(self, condition: Callable[[], object]) -> None:
        end = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < end, self.heard
            self.woken.wait(0.1)
            self.woken.clear()
            self.heard += self.notes

    def wait_for(self, kind: Kind, name: str = "") -> None:
        self.wait(lambda: Note(kind, name) in self.heard)

    def kinds(self) -> set[Kind]:
        return {note.kind for note in self.heard}


@pytest.fixture
def ears(tmp_path: Path) -> Iterator[Ears]:
    (tmp_path / "inbox").mkdir()
    listening = Ears(tmp_path / "inbox")
    yield listening
    listening.watcher.stop()


def test_a_closed_file_and_a_moved_one_are_whole(ears: Ears, tmp_path: Path) -> None:
    (tmp_path / "inbox" / "written.jpg").write_bytes(b"x")
    ears.wait_for(Kind.WHOLE, "written.jpg")
    (tmp_path / "outside.jpg").write_bytes(b"x")
    os.rename(tmp_path / "outside.jpg", tmp_path / "inbox" / "from outside.jpg")
    ears.wait_for(Kind.WHOLE, "from outside.jpg")
    os.rename(tmp_path / "inbox" / "written.jpg", tmp_path / "inbox" / "renamed.jpg")
    ears.wait_for(Kind.WHOLE, "renamed.jpg")


def test_a_file_that_is_still_open_is_not_reported(ears: Ears, tmp_path: Path) -> None:
    with (tmp_path / "inbox" / "slow.jpg").open("wb") as slow:
        slow.write(b"x")
        slow.flush()
        (tmp_path / "inbox" / "after.jpg").write_bytes(b"x")
        ears.wait_for(Kind.WHOLE, "after.jpg")
        assert Note(Kind.WHOLE, "slow.jpg") not in ears.heard
    ears.wait_for(Kind.WHOLE, "slow.jpg")


def test_names_of_any_bytes_are_reported_as_they_are(ears: Ears, tmp_path: Path) -> None:
    name = os.fsdecode(b"new\nline \xff.jpg")
    (tmp_path / "inbox" / name).write_bytes(b"x")
    ears.wait_for(Kind.WHOLE, name)


def test_folders_made_moved_in_and_renamed_are_watched(ears: Ears, tmp_path: Path) -> None:
    inbox = tmp_path / "inbox"
    (inbox / "made").mkdir()
    ears.wait_for(Kind.FOLDER, "made")
    (tmp_path / "outside" / "deep").mkdir(parents=True)
    os.rename(tmp_path / "outside", inbox / "moved")
    ears.wait_for(Kind.FOLDER, "moved")
    (inbox / "moved" / "deep" / "a.jpg").write_bytes(b"x")
    ears.wait_for(Kind.WHOLE, "moved/deep/a.jpg")
    os.rename(inbox / "moved", inbox / "renamed")
    ears.wait_for(Kind.FOLDER, "renamed")
    (inbox / "renamed" / "deep" / "b.jpg").write_bytes(b"x")
    ears.wait_for(Kind.WHOLE, "renamed/deep/b.jpg")
    assert ears.watcher.is_alive


def test_reading_claiming_and_writing_are_not_even_asked_for(ears: Ears) -> None:
    """A rename out of the inbox would hold back what follows it for half a second."""
    inotify = [
        entry.name
        for entry in Path("/proc/self/fd").iterdir()
        if os.path.lexists(entry) and os.readlink(entry) == "anon_inode:inotify"
    ]
    masks = [
        int(line.split("mask:")[1].split()[0], 16)
        for number in inotify
        for line in Path("/proc/self/fdinfo", number).read_text().splitlines()
        if line.startswith("inotify")
    ]
    access, modify, close_without_writing, opening, moved_from = 0x01, 0x02, 0x10, 0x20, 0x40
    assert masks
    unwanted = access | modify | close_without_writing | opening | moved_from
    assert not any(mask & unwanted for mask in masks)


def test_a_full_queue_of_ours_becomes_one_overflow() -> None:
    wakes: list[int] = []
    notes = Notes(lambda: wakes.append(1), limit=3)
    for number in range(10):
        notes.add(Note(Kind.WHOLE, f"{number}.jpg"))
    assert len(wakes) == 2  # for the first note and for the overflow
    kinds = [note.kind for note in notes]
    assert kinds == [Kind.OVERFLOW, Kind.WHOLE, Kind.WHOLE, Kind.WHOLE]
    notes.add(Note(Kind.WHOLE, "later.jpg"))
    assert len(wakes) == 3


def test_a_wake_up_that_fails_harms_no_watcher() -> None:
    def fail() -> None:
        raise OSError

    notes = Notes(fail)
    notes.add(Note(Kind.WHOLE, "a.jpg"))
    assert [note.name for note in notes] == ["a.jpg"]


def test_the_kernels_overflow_is_reported_and_new_folders_are_watched_after_it(
    ears: Ears, tmp_path: Path
) -> None:
    inbox = tmp_path / "inbox"
    limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    if limit > 50_000:
        pytest.skip(f"the kernel queues {limit} events")
    emitter = next(iter(ears.watcher._observer.emitters))
    with emitter._inotify._lock:  # the reader stalls
        for number in range(2 * limit):  # two names by turns, or the kernel merges the events
            os.close(os.open(inbox / f"{number % 2}.jpg", os.O_CREAT | os.O_WRONLY))
        (inbox / "unseen").mkdir()
    ears.wait_for(Kind.OVERFLOW)
    (inbox / "unseen" / "a.jpg").write_bytes(b"x")
    ears.wait_for(Kind.WHOLE, "unseen/a.jpg")


def test_a_removed_folder_is_reported(ears: Ears, tmp_path: Path) -> None:
    (tmp_path / "inbox").rmdir()
    ears.wait_for(Kind.LOST)


def test_a_muddle_of_folders_is_reported_and_ends_no_thread(ears: Ears, tmp_path: Path) -> None:
    folder, outside = tmp_path / "inbox" / "cam", tmp_path / "outside"
    folder.mkdir()
    ears.wait_for(Kind.FOLDER, "cam")
    folder.rename(outside)
    folder.mkdir()
    ears.wait(lambda: ears.heard.count(Note(Kind.FOLDER, "cam")) == 2)
    folder.rmdir()
    outside.rmdir()
    ears.wait_for(Kind.BROKEN)
    assert ears.watcher.is_alive


def test_stopping_is_not_taken_for_a_loss(ears: Ears) -> None:
    ears.watcher.stop()
    assert list(ears.notes) == []


@pytest.mark.parametrize("part", ["emitter", "observer", "reader"])
def test_the_death_of_any_thread_shows(ears: Ears, part: str) -> None:
    observer = ears.watcher._observer
    emitter = next(iter(observer.emitters))
    victim = {"emitter": emitter, "observer": observer, "reader": observer._inotify_fd}[part]
    assert ears.watcher.is_alive
    victim.stop()
    victim.join(5)
    assert not ears.watcher.is_alive


def test_nothing_is_left_after_many_starts(tmp_path: Path) -> None:
    def left() -> tuple[int, int]:
        return threading.active_count(), len(os.listdir("/proc/self/fd"))

    before = left()
    for _ in range(5):
        Ears(tmp_path).watcher.stop()
    assert left() == before


def test_a_folder_that_is_not_there_cannot_be_watched(tmp_path: Path) -> None:
    before = threading.active_count()
    with pytest.raises(OSError):
        Ears(tmp_path / "nowhere")
    assert threading.active_count() == before


def test_intake_needs_nothing_heavy() -> None:
    code = (
        "import sys, depthd.intake;"
        "heavy = {'numpy', 'cv2', 'torch', 'openvino', 'timm', 'torchvision'};"
        "assert not heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
