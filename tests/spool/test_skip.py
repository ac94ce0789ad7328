"""Photos that are skipped for a newer one: into done/ with a note, whatever cuts it short."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from spool.parts import Parts, drop, visible

from depthd.spool import Job

NAME = "cam/a.jpg"
BOTH = {NAME, f"{NAME}.skipped.json"}


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[Parts]:
    with Parts.open(tmp_path) as parts:
        yield parts


def claim(parts: Parts, name: str = NAME) -> Job:
    return parts.spool.claim(replace(drop(parts.root, name), newer="cam/b.jpg"))


def test_it_comes_to_done_with_a_note(parts: Parts) -> None:
    job = claim(parts)
    assert (job.attempts, job.newer) == (0, "cam/b.jpg")
    assert parts.spool.skip(job) == NAME
    assert visible(parts.root / "done") == BOTH
    assert visible(parts.root / "outbox") == set()
    note = json.loads((parts.root / f"done/{NAME}.skipped.json").read_bytes())
    assert note.pop("skipped").endswith("Z")
    assert note == {
        "schema": "depthd.skipped/1",
        "job": job.id,
        "name": NAME,
        "newer": "cam/b.jpg",
        "message": "It was not worked on: its folder has `policy: latest`, and a newer photo came.",
    }
    assert parts.jobs() == []


def test_a_restart_knows_that_it_is_to_be_skipped(tmp_path: Path) -> None:
    with Parts.open(tmp_path) as parts:
        job = claim(parts)
    with Parts.open(tmp_path) as parts:
        assert list(parts.spool.sweep()) == [job]


def test_a_taken_name_gets_another_for_both(parts: Parts) -> None:
    parts.spool.skip(claim(parts))
    place = parts.spool.skip(claim(parts))
    assert place != NAME
    assert visible(parts.root / "done") == BOTH | {place, f"{place}.skipped.json"}


def test_a_note_whose_photo_was_taken_away_is_replaced(parts: Parts) -> None:
    parts.spool.skip(claim(parts))
    (parts.root / "done" / NAME).unlink()
    assert parts.spool.skip(claim(parts)) == NAME
    assert visible(parts.root / "done") == BOTH


def test_somebody_elses_file_under_the_notes_name_stays(parts: Parts) -> None:
    note = parts.root / f"done/{NAME}.skipped.json"
    note.parent.mkdir(parents=True)
    note.write_bytes(b"mine")
    assert parts.spool.skip(claim(parts)) != NAME
    assert note.read_bytes() == b"mine"
