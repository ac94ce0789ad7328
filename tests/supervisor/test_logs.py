"""One event is one safe line, and a log in trouble troubles nobody."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import pty
import re
import resource
import select
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from depthd.config.declaration import Log
from depthd.contract.events import LOG_FILE, MEANINGS, Event, most_a_minute
from depthd.supervisor import flood, log_line, logs
from depthd.supervisor.log_line import for_people

HOSTILE = [
    "line\nbreak\r.jpg",
    "\x1b[2J\x1b]0;title\x07.jpg",
    "next\x85line\u2028sep\u2029.jpg",
    "\u202egpj.exe\u2066\u200f",
    os.fsdecode(b"latin\xe9\xff.jpg"),
    'quote" back\\slash =',
    "\x00\x7f\u200b\ufeff",
    "\ud800 alone",
    "\U000e0041 tag",
]

DEADLINE = 20.0  # seconds

Capture = tuple[int, Callable[[], list[str]]]


@pytest.fixture
def stderr(tmp_path: Path) -> Iterator[Capture]:
    """A file in standard error's place: its descriptor, and its lines so far."""
    path = tmp_path / "stderr"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    yield descriptor, lambda: path.read_bytes().decode().split("\n")[:-1]
    os.close(descriptor)


def entries(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().decode().split("\n")[:-1]]


def test_an_event_is_the_same_json_line_in_both_places(tmp_path: Path, stderr: Capture) -> None:
    log = logs.configure(Log(), tmp_path / "log", stderr=stderr[0])
    log.emit(Event.PHOTO_CLAIMED, job="j1", name="größe 1.jpg", bytes=5, path=Path("/a"), at=None)
    log.close()
    (line,) = stderr[1]()
    assert (tmp_path / "log" / "depthd.jsonl").read_text() == line + "\n"
    assert "größe 1.jpg" in line
    entry = json.loads(line)
    assert list(entry) == ["timestamp", "level", "event", "job", "name", "bytes", "path", "at"]
    assert entry | {"timestamp": ""} == {
        "timestamp": "",
        "level": "info",
        "event": "photo.claimed",
        "job": "j1",
        "name": "größe 1.jpg",
        "bytes": 5,
        "path": "/a",
        "at": None,
    }
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", entry["timestamp"])
    age = datetime.now().astimezone() - datetime.fromisoformat(entry["timestamp"])
    assert abs(age.total_seconds()) < 60


def test_every_event_has_its_declared_level(tmp_path: Path, stderr: Capture) -> None:
    log = logs.configure(Log(level="debug", file=False), tmp_path, stderr=stderr[0])
    for event in Event:
        log.emit(event)
    log.close()
    said = {json.loads(line)["event"]: json.loads(line)["level"] for line in stderr[1]()}
    assert said == {event: meaning.level for event, meaning in MEANINGS.items()}
    assert not (tmp_path / LOG_FILE).exists()


def test_events_below_the_level_are_not_written(tmp_path: Path, stderr: Capture) -> None:
    log = logs.configure(Log(level="warning"), tmp_path, stderr=stderr[0])
    for event in (Event.PHOTO_DONE, Event.SERVICE_PAUSED, Event.PHOTO_FAILED):
        log.emit(event)
    log.close()
    assert [entry["level"] for entry in entries(tmp_path / LOG_FILE)] == ["warning", "error"]
    assert len(stderr[1]()) == 2


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("style", ["json", "console"])
def test_hostile_names_stay_one_printable_line(
    name: str, style: str, tmp_path: Path, stderr: Capture
) -> None:
    log = logs.configure(Log.model_validate({"format": style}), tmp_path, stderr=stderr[0])
    log.emit(Event.PHOTO_DONE, job="j", name=name)
    log.close()
    (line,) = stderr[1]()
    assert line.isprintable()
    assert len(line.splitlines()) == 1
    (entry,) = entries(tmp_path / LOG_FILE)
    entry["name"].encode()  # no half of a surrogate pair is left: strict readers refuse the line
    if all(not "\ud800" <= letter <= "\udfff" for letter in name):
        assert entry["name"] == name


def test_undecodable_bytes_become_readable_text() -> None:
    assert json.loads(log_line.encode(os.fsdecode(b"a\xe9\xff"))) == r"a\xe9\xff"


@given(st.text(st.characters(codec=None), max_size=20))
def test_any_text_is_one_line_of_valid_json(text: str) -> None:
    line = log_line.encode({"name": text})
    assert line.isprintable()
    line.encode()
    value = json.loads(line)["name"]
    value.encode()
    if not re.search("[\ud800-\udfff]", text):
        assert value == text


def test_console_style_is_for_people(stderr: Capture) -> None:
    log = logs.configure(Log(format="console"), None, stderr=stderr[0])
    log.emit(Event.PHOTO_DONE, job="j1", name="two words.jpg", ms=1.5, empty="")
    log.close()
    (line,) = stderr[1]()
    pattern = r'\S+Z info    photo.done        job=j1 name="two words.jpg" ms=1.5 empty=""'
    assert re.fullmatch(pattern, line)


def test_a_terminal_gets_console_style_with_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    for environment, has_colour in (({}, True), ({"NO_COLOR": "1"}, False)):
        monkeypatch.delenv("NO_COLOR", raising=False)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        ours, theirs = pty.openpty()
        try:
            log = logs.configure(Log(), None, stderr=theirs)
            log.emit(Event.PHOTO_DONE, name="\x1b[7m")
            line = os.read(ours, 4096).decode()
            log.close()
        finally:
            os.close(ours)
            os.close(theirs)
        assert "photo.done" in line
        assert not line.startswith("{")
        assert ("\x1b[32minfo" in line) is has_colour
        assert "\x1b[7m" not in line


@pytest.mark.parametrize("style", ["auto", "console"])
def test_the_journal_keeps_the_time_itself(
    style: str, stderr: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    status = os.fstat(stderr[0])
    monkeypatch.setenv("JOURNAL_STREAM", f"{status.st_dev}:{status.st_ino}")
    log = logs.configure(Log.model_validate({"format": style}), tmp_path, stderr=stderr[0])
    log.emit(Event.PHOTO_DONE, name="a.jpg")
    log.close()
    (line,) = stderr[1]()
    assert line.startswith("<6>")
    assert "photo.done" in line
    assert "Z" not in line
    assert entries(tmp_path / LOG_FILE)[0]["timestamp"]


@pytest.mark.parametrize("style", ["json", "console"])
def test_the_journal_is_told_how_severe_each_line_is(
    style: str, stderr: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    status = os.fstat(stderr[0])
    monkeypatch.setenv("JOURNAL_STREAM", f"{status.st_dev}:{status.st_ino}")
    log = logs.configure(
        Log.model_validate({"format": style, "level": "debug"}), None, stderr=stderr[0]
    )
    for event in Event:
        log.emit(event)
    log.close()
    said = dict(zip(Event, stderr[1](), strict=True))
    # sd-daemon(3): without them "journalctl -p err" finds nothing
    priorities = {"error": "<3>", "warning": "<4>", "info": "<6>", "debug": "<7>"}
    for event, line in said.items():
        assert event in line
        assert line.startswith(priorities[MEANINGS[event].level])


def test_another_stream_than_the_journals_keeps_the_timestamp(
    stderr: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOURNAL_STREAM", "1:2")
    log = logs.configure(Log(), None, stderr=stderr[0])
    log.emit(Event.PHOTO_DONE)
    log.close()
    assert "timestamp" in json.loads(stderr[1]()[0])


def test_a_new_file_has_its_mode_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        log = logs.configure(Log(), tmp_path / "log", stderr=-1)
        log.emit(Event.PHOTO_DONE)
        log.close()
    finally:
        os.umask(before)
    assert (tmp_path / "log" / LOG_FILE).stat().st_mode & 0o777 == 0o640


def test_an_existing_file_is_continued_with_its_own_mode(tmp_path: Path) -> None:
    path = tmp_path / LOG_FILE
    path.write_text('{"old": 1}\n')
    path.chmod(0o600)
    log = logs.configure(Log(), tmp_path, stderr=-1)
    log.emit(Event.PHOTO_DONE)
    log.close()
    assert [next(iter(entry)) for entry in entries(path)] == ["old", "timestamp"]
    assert path.stat().st_mode & 0o777 == 0o600


def test_reopen_follows_a_rotation_at_once(tmp_path: Path) -> None:
    path = tmp_path / LOG_FILE
    log = logs.configure(Log(), tmp_path, stderr=-1)
    log.emit(Event.SERVICE_STARTED)
    path.rename(tmp_path / "old")
    log.reopen()
    log.emit(Event.SERVICE_STOPPED)
    log.close()
    assert [entry["event"] for entry in entries(tmp_path / "old")] == ["service.started"]
    assert [entry["event"] for entry in entries(path)] == ["service.stopped"]


def test_a_moved_or_removed_file_is_noticed_within_a_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(logs.time, "monotonic", lambda: now[0])
    path = tmp_path / LOG_FILE
    log = logs.configure(Log(), tmp_path, stderr=-1)
    log.emit(Event.SERVICE_STARTED)
    path.rename(tmp_path / "old")
    log.emit(Event.SERVICE_READY)
    now[0] += 1.0
    log.emit(Event.SERVICE_STOPPING)
    path.unlink()
    now[0] += 1.0
    log.emit(Event.SERVICE_STOPPED)
    log.close()
    old = [entry["event"] for entry in entries(tmp_path / "old")]
    assert old == ["service.started", "service.ready"]
    assert [entry["event"] for entry in entries(path)] == ["service.stopped"]


def test_a_folder_that_cannot_be_made_costs_lines_until_it_can(
    tmp_path: Path, stderr: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(logs.time, "monotonic", lambda: now[0])
    (tmp_path / "log").write_text("in the way")
    log = logs.configure(Log(), tmp_path / "log", stderr=stderr[0])
    for _ in range(3):
        log.emit(Event.PHOTO_DONE)
    (tmp_path / "log").unlink()
    now[0] += 1.0
    log.emit(Event.PHOTO_FAILED)
    log.close()
    written = entries(tmp_path / "log" / LOG_FILE)
    assert [entry["event"] for entry in written] == ["log.found", "photo.failed"]
    assert written[0]["lost"] == 3
    said = [json.loads(line)["event"] for line in stderr[1]()]
    assert said == ["photo.done", "log.lost", *["photo.done"] * 2, "photo.failed", "log.found"]


def test_a_full_disk_costs_lines_and_never_tears_one(tmp_path: Path, stderr: Capture) -> None:
    """A limit on the file's size stands for the disk: the kernel cuts a write the same way."""
    path = tmp_path / LOG_FILE
    log = logs.configure(Log(), tmp_path, stderr=stderr[0])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    log.emit(Event.SERVICE_STARTED)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 20, hard))
    try:
        log.emit(Event.PHOTO_DONE, number=1)
        log.emit(Event.PHOTO_DONE, number=2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    log.emit(Event.PHOTO_DONE, number=3)
    log.emit(Event.PHOTO_DONE, number=4)
    log.close()
    whole, torn, *rest = path.read_text().splitlines()
    assert json.loads(whole)["event"] == "service.started"
    assert len(torn) == 20
    found, *done = (json.loads(line) for line in rest)
    assert (found["event"], found["lost"]) == ("log.found", 2)
    assert [entry["number"] for entry in done] == [3, 4]


def test_a_really_full_file_system(tmp_path: Path, stderr: Capture) -> None:
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(tmp_path / "full")]
    (tmp_path / "full").mkdir()
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a tmpfs is not permitted here")
    try:
        filler = tmp_path / "full" / "filler"
        log = logs.configure(Log(), tmp_path / "full", stderr=stderr[0])
        with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
            filler.write_bytes(bytes(100_000))
        log.emit(Event.PHOTO_DONE)
        filler.unlink()
        log.emit(Event.PHOTO_DONE)
        log.close()
        written = entries(tmp_path / "full" / LOG_FILE)
        assert [entry["event"] for entry in written] == ["log.found", "photo.done"]
    finally:
        subprocess.run(["umount", str(tmp_path / "full")], check=True)


def test_a_reader_that_went_away_stops_nothing(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    log = logs.configure(Log(), tmp_path, stderr=writer)
    os.close(reader)
    log.emit(Event.PHOTO_DONE)
    os.close(writer)
    log.emit(Event.PHOTO_DONE)
    log.close()
    assert len(entries(tmp_path / LOG_FILE)) == 2


class Reader:
    """The other end of standard error, which reads when it is told to."""

    def __init__(self) -> None:
        self._reader, self.writer = os.pipe()
        self._read = b""

    def line(self) -> dict[str, Any]:
        while b"\n" not in self._read:
            readable, _, _ = select.select([self._reader], [], [], DEADLINE)
            assert readable, "nothing more comes"
            self._read += os.read(self._reader, 65536)
        line, _, self._read = self._read.partition(b"\n")
        entry: dict[str, Any] = json.loads(line)
        return entry

    def close(self) -> None:
        os.close(
            self._reader
        )  # whoever still writes gets an error, before the number is used again
        for thread in threading.enumerate():
            if thread.name == "stderr":
                thread.join(DEADLINE)
        os.close(self.writer)


@pytest.fixture
def reader() -> Iterator[Reader]:
    reader = Reader()
    yield reader
    reader.close()


def test_a_reader_that_is_stuck_costs_counted_lines(tmp_path: Path, reader: Reader) -> None:
    log = logs.configure(Log(), tmp_path, stderr=reader.writer)
    many = 2000  # more than the pipe and the queue hold
    for number in range(many):
        log.emit(Event.PHOTO_DONE, number=number)
    assert os.get_blocking(reader.writer)  # it may be a terminal that others write to
    assert len(entries(tmp_path / LOG_FILE)) == many
    numbers = []
    while (entry := reader.line())["event"] == "photo.done":
        numbers.append(entry["number"])
    assert entry["event"] == "log.stderr_behind"
    assert numbers == list(range(len(numbers)))
    assert len(numbers) + entry["lost"] == many
    log.emit(Event.PHOTO_FAILED)
    assert reader.line()["event"] == "photo.failed"
    log.close()


def test_a_reader_that_is_stuck_does_not_hold_up_the_end(
    tmp_path: Path, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "_PATIENCE", 0.01)
    log = logs.configure(Log(), tmp_path, stderr=reader.writer)
    for _ in range(1000):
        log.emit(Event.PHOTO_DONE)
    log.close()


def test_standard_error_that_others_made_non_blocking_loses_nothing(reader: Reader) -> None:
    os.set_blocking(reader.writer, False)
    log = logs.configure(Log(), None, stderr=reader.writer)
    for number in range(900):  # more than the pipe holds
        log.emit(Event.PHOTO_DONE, number=number)
    assert [reader.line()["number"] for _ in range(900)] == list(range(900))
    log.close()


def test_a_fifo_in_the_files_place_does_not_block(tmp_path: Path, stderr: Capture) -> None:
    os.mkfifo(tmp_path / LOG_FILE)
    log = logs.configure(Log(), tmp_path, stderr=stderr[0])
    log.emit(Event.PHOTO_DONE)
    log.close()
    assert [json.loads(line)["event"] for line in stderr[1]()] == ["photo.done", "log.lost"]


def test_lines_of_many_threads_do_not_mix(tmp_path: Path) -> None:
    log = logs.configure(Log(), tmp_path, stderr=-1)

    def write(number: int) -> None:
        for _ in range(50):
            log.emit(Event.PHOTO_NOTE, number=number, note="x" * 200)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.close()
    numbers = [entry["number"] for entry in entries(tmp_path / LOG_FILE)]
    assert sorted(numbers) == sorted(list(range(8)) * 50)


def test_standard_error_may_be_closed(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path\nfrom depthd.supervisor import logs\n"
        "from depthd.contract.events import Event\n"
        "from depthd.config.declaration import Log\n"
        f"log = logs.configure(Log(), Path({str(tmp_path)!r})); log.emit(Event.PHOTO_DONE)\n"
    )
    subprocess.run(["/bin/sh", "-c", 'exec "$0" -c "$1" 2>&-', sys.executable, code], check=True)
    assert len(entries(tmp_path / LOG_FILE)) == 1


LONG = "cam1/" + "ü" * 1000 + "/end.jpg"


@pytest.mark.parametrize("style", ["json", "console"])
def test_a_long_name_keeps_its_ends_and_its_hash(
    style: str, tmp_path: Path, stderr: Capture
) -> None:
    log = logs.configure(Log.model_validate({"format": style}), tmp_path, stderr=stderr[0])
    whole = "a" * 255
    log.emit(Event.PHOTO_CLAIMED, job="j", name=LONG)
    log.emit(Event.PHOTO_CLAIMED, job="j", name=whole)
    log.close()
    short, untouched = entries(tmp_path / LOG_FILE)
    assert untouched["name"] == whole
    digest = hashlib.sha256(LONG.encode()).hexdigest()[:16]
    assert re.fullmatch(
        rf"cam1/ü+ \.\.\. ü+/end\.jpg \(2013 bytes, SHA-256 {digest}\)", short["name"]
    )
    assert len(short["name"].encode()) < 600
    assert digest in stderr[1]()[0]


def test_the_hash_is_of_the_bytes_on_the_disk() -> None:
    raw = b"\xff" * 300
    text = log_line.bounded({"name": os.fsdecode(raw)}).fields["name"]
    assert hashlib.sha256(raw).hexdigest()[:16] in text


@example({f"text{number}": "x" * 590 for number in range(7)})
@given(
    st.dictionaries(
        st.sampled_from(["name", "reason", "path", "list", "to", "code", "hint", "at"]),
        st.one_of(
            st.text(st.characters(codec=None)).map(lambda text: text * 50),
            st.lists(st.text(st.characters(codec=None))).map(lambda texts: texts * 50),
            st.integers(),
            st.none(),
        ),
    )
)
def test_no_line_is_longer_than_a_pipe_takes_at_once(fields: dict[str, object]) -> None:
    entry = log_line.entry_of(Event.PHOTO_FAILED, **fields)
    line = entry.line
    assert len(f"<3>{line}\n".encode()) <= select.PIPE_BUF
    assert len(log_line.for_people(entry.fields, with_colour=False).encode()) <= select.PIPE_BUF
    assert json.loads(line)["event"] == "photo.failed"
    assert line.isprintable()


class TestFlood:
    """An event that comes too often is written at first and counted then."""

    def test_the_first_of_a_minute_and_the_number_of_the_others(self) -> None:
        limiter = flood.Flood(lambda event: 2)
        said = [limiter.admits(Event.ENTRY_IGNORED, now) for now in (0, 1, 2, 59.9)]
        assert said == [True, True, False, False]
        assert limiter.admits(Event.WATCH_LOST, 2)  # each event has its own
        assert limiter.next_end() == 60
        assert limiter.over(59.9) == []
        assert limiter.over(60) == [(Event.ENTRY_IGNORED, 2)]
        assert limiter.admits(Event.ENTRY_IGNORED, 60)
        assert limiter.over(200) == []
        assert limiter.next_end() is None

    def test_it_is_said_when_the_minute_is_over_and_nothing_else_happens(
        self, tmp_path: Path, reader: Reader, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(flood, "WINDOW", 0.5)
        log = logs.configure(Log(), tmp_path, stderr=reader.writer)
        most = most_a_minute(Event.ENTRY_IGNORED)
        for _ in range(most + 7):
            log.emit(Event.ENTRY_IGNORED)
        written, left_out = 0, 0
        while written + left_out < most + 7:  # more than one window on a slow machine
            entry = reader.line()
            if entry["event"] == "inbox.entry_ignored":
                written += 1
            else:
                assert (entry["event"], entry["of"]) == ("log.shortened", "inbox.entry_ignored")
                left_out += entry["left_out"]
        log.close()

    def test_it_is_said_at_the_end_at_the_latest(self, tmp_path: Path) -> None:
        log = logs.configure(Log(level="warning"), tmp_path, stderr=-1)
        most = most_a_minute(Event.ENTRY_IGNORED)
        for _ in range(most + 1000):
            log.emit(Event.ENTRY_IGNORED, name="n" * 2000)
            log.emit(Event.WATCH_STARTED)  # below the level: neither written nor counted
        log.close()
        *ignored, last = entries(tmp_path / LOG_FILE)
        assert len(ignored) == most
        assert (last["event"], last["of"], last["left_out"]) == (
            "log.shortened",
            "inbox.entry_ignored",
            1000,
        )

    def test_photos_at_any_real_pace_are_all_written(self, tmp_path: Path) -> None:
        log = logs.configure(Log(), tmp_path, stderr=-1)
        for _ in range(5000):
            log.emit(Event.PHOTO_DONE)
        log.close()
        assert len(entries(tmp_path / LOG_FILE)) == 5000


def test_nothing_of_a_strange_log_reaches_the_terminal() -> None:
    odd = "\x1b]0;x\x07\u202e"
    line = for_people(
        {"timestamp": odd, "level": "info", "event": odd, odd: odd}, with_colour=False
    )
    assert line.isprintable()
