"""The log as a rotation leaves it, and what is added to it."""

from __future__ import annotations

import gzip
import json
import os
import tracemalloc
from datetime import UTC, datetime
from pathlib import Path

import pytest

from depthd import cli
from depthd.contract.errors import NoInputError
from depthd.history.log_files import Entry, Follower, entries, log_files
from depthd.history.wanted import Wanted, logged_name, moment_of

NOON = datetime(2026, 11, 27, 12, tzinfo=UTC).timestamp()


def line(number: int, **more: object) -> bytes:
    entry = {
        "timestamp": f"2026-11-27T06:{number:02d}:00.000Z",
        "level": "info",
        "event": "photo.done",
        "job": f"j{number}",
        "name": "a.jpg",
        **more,
    }
    return json.dumps(entry, ensure_ascii=False).encode() + b"\n"


def minutes(found: list[Entry]) -> list[int]:
    return [int(entry["timestamp"][14:16]) for entry in found]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log/ that was rotated three times, the older files compressed."""
    folder = tmp_path / "log"
    folder.mkdir()
    rotated = {
        "depthd.jsonl.3.gz": gzip.compress(line(0) + line(1)),
        "depthd.jsonl-20261127.gz": gzip.compress(line(2)),
        "depthd.jsonl.1": line(3) + b"torn by a full di\n" + line(4),
        "depthd.jsonl": line(5) + b"[1]\n\xff\n" + line(6) + b'{"timestamp": "2026',
    }
    for number, (name, content) in enumerate(rotated.items()):
        (folder / name).write_bytes(content)
        os.utime(folder / name, (NOON + number, NOON + number))
    (folder / "other.jsonl").write_bytes(line(50))
    return folder


def test_rotated_and_compressed_files_come_first_and_in_order(log: Path) -> None:
    assert [path.name[len("depthd.jsonl") :] for path in log_files(log)] == [
        ".3.gz", "-20261127.gz", ".1", "",
    ]  # fmt: skip
    assert minutes(list(entries(log))) == [0, 1, 2, 3, 4, 5, 6]
    assert minutes(list(entries(log, since=NOON + 2))) == [3, 4, 5, 6]


def test_files_that_are_cut_short_or_no_logs_cost_only_themselves(log: Path) -> None:
    whole = (log / "depthd.jsonl.3.gz").read_bytes()
    (log / "depthd.jsonl.3.gz").write_bytes(whole[: len(whole) // 2])
    (log / "depthd.jsonl-20261127.gz").write_bytes(b"no gzip")
    (log / "depthd.jsonl.4").symlink_to("/etc/passwd")
    os.mkfifo(log / "depthd.jsonl.5")
    assert minutes(list(entries(log)))[-4:] == [3, 4, 5, 6]


def test_no_log(tmp_path: Path) -> None:
    with pytest.raises(NoInputError, match="No such file") as caught:
        list(entries(tmp_path / "none"))
    assert "journalctl" in caught.value.hint
    (tmp_path / "log").mkdir()
    with pytest.raises(NoInputError, match=r"no depthd\.jsonl"):
        list(entries(tmp_path / "log"))


def test_memory_is_bounded_whatever_the_log_holds(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "depthd.jsonl.1.gz", "wb") as file:
        file.write(b"x" * 50_000_000 + b"\n" + line(1))
    (tmp_path / "depthd.jsonl").write_bytes(line(2) * 100_000)
    tracemalloc.start()
    try:
        count = sum(1 for _ in entries(tmp_path))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == 100_001
    assert peak < 2_000_000


# follow -----------------------------------------------------------------------------------------


def test_it_follows_what_is_added_and_through_a_rotation(tmp_path: Path) -> None:
    path = tmp_path / "depthd.jsonl"
    path.write_bytes(line(1))
    follower = Follower(tmp_path)
    assert minutes(list(follower.new())) == [1]
    with path.open("ab") as old:
        old.write(line(2) + line(3)[:20])
        old.flush()
        assert minutes(list(follower.new())) == [2]
        old.write(line(3)[20:])
        path.rename(tmp_path / "depthd.jsonl.1")
        old.flush()
        assert minutes(list(follower.new())) == [3]
        path.write_bytes(line(5))  # by `create`, or by the daemon
        old.write(line(4))  # which notices the move only now
        old.flush()
        assert minutes(list(follower.new())) == [4]
    os.utime(tmp_path / "depthd.jsonl.1", (1.0, 1.0))  # it has been quiet for a while
    assert minutes(list(follower.new())) == [5]
    path.write_bytes(b"")  # emptied
    list(follower.new())
    with path.open("ab") as file:
        file.write(line(6))
    assert minutes(list(follower.new())) == [6]
    follower.close()


def test_it_waits_for_a_log_that_is_not_there_yet(tmp_path: Path) -> None:
    path, looks = tmp_path / "depthd.jsonl", 0

    def wait(_: float) -> None:
        nonlocal looks
        looks += 1
        if looks == 2:
            path.write_bytes(line(7))

    follower = Follower(tmp_path, wait)
    assert minutes([next(iter(follower))]) == [7]
    assert looks == 2
    follower.close()


# what is wanted ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "fits"),
    [
        (Wanted(), True),
        (Wanted(level="info"), True),
        (Wanted(level="warning"), False),
        (Wanted(events=("worker.*", "photo.done")), True),
        (Wanted(events=("photo.d",)), False),
        (Wanted.of(("a.jpg",), (), "debug", 0.0), True),
        (Wanted.of(("j9",), (), "debug", 0.0), True),
        (Wanted.of(("b.jpg",), (), "debug", 0.0), False),
        (Wanted.of(("a.jpg",), ("photo.failed",), "debug", 0.0), False),
        (Wanted(since=moment_of(json.loads(line(9)))), True),
        (Wanted(since=moment_of(json.loads(line(10)))), False),
    ],
)
def test_filters_of_different_kinds_must_all_fit(wanted: Wanted, fits: bool) -> None:
    assert wanted.fits(json.loads(line(9))) is fits


def test_a_worker_that_was_killed_with_a_photo_belongs_to_its_story() -> None:
    wanted = Wanted.of(("j9",), (), "debug", 0.0)
    assert wanted.fits({"timestamp": "", "level": "error", "event": "x", "jobs": ["j1", "j9"]})
    assert not wanted.fits({"timestamp": "", "level": "error", "event": "x", "jobs": "j9"})


def test_names_are_found_as_they_are_logged() -> None:
    assert logged_name("cam1/caf\udce9\n.jpg") == "cam1/caf\\xe9\n.jpg"
    long = "x" * 700 + ".jpg"
    assert logged_name(long) != long
    assert Wanted.of((long,), (), "debug", 0.0).fits(json.loads(line(1, name=logged_name(long))))


# the command ------------------------------------------------------------------------------------


def test_the_command_filters_and_counts(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = ["logs", "--root", str(log.parent)]
    assert cli.main([*root, "--json", "-n", "3"]) == 0
    assert minutes([json.loads(each) for each in capsys.readouterr().out.splitlines()]) == [4, 5, 6]
    assert cli.main([*root, "--since", "2026-11-27T06:04", "--photo", "j5"]) == 0
    assert "2026-11-27T06:05:00.000Z info    photo.done" in capsys.readouterr().out
    assert cli.main([*root, "--since", "2026-11-27T06:04", "--photo", "j5"]) == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--since", "yesterday"], "no time"),
        (["--event", "photo.eaten"], "no event is called"),
        (["--level", "loud"], "loud"),
    ],
)
def test_mistakes_are_told(
    arguments: list[str], words: str, log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["logs", "--root", str(log.parent), *arguments]) == 64
    assert words in capsys.readouterr().err
