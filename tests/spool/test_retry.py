"""A failed photo that is moved back keeps its name; its old reason stays while it is true."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from spool.parts import Parts, look, visible

from depthd.contract.errors import FaultCode
from depthd.spool import Job, Verdict

EMPTY = Verdict(FaultCode.EMPTY)


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[Parts]:
    with Parts.open(tmp_path) as parts:
        yield parts


def move_back(parts: Parts, name: str) -> Job:
    """What the documentation says, and the next claim."""
    (parts.root / "failed" / name).rename(parts.root / "inbox" / name)
    return parts.spool.claim(look(parts.root, name))


def test_it_keeps_its_name_and_its_reason_goes_when_it_succeeds(parts: Parts) -> None:
    name = parts.spool.fail(parts.claim(), EMPTY)
    job = move_back(parts, name)
    target = parts.publish(job)
    assert target.path == name == "cam/a.jpg"
    assert parts.spool.finish(job, target) == name
    assert visible(parts.root / "failed") == set()


def test_its_reason_is_replaced_when_it_fails_again(parts: Parts) -> None:
    name = parts.spool.fail(parts.claim(), EMPTY)
    assert parts.spool.fail(move_back(parts, name), Verdict(FaultCode.TRUNCATED)) == name
    assert visible(parts.root / "failed") == {name, f"{name}.error.json"}
    reason = json.loads((parts.root / f"failed/{name}.error.json").read_bytes())
    assert reason["code"] == "truncated"


def test_a_second_retry_does_not_double_the_mark(parts: Parts) -> None:
    parts.spool.fail(parts.claim(content=b"first"), EMPTY)
    first = parts.claim(content=b"second")
    marked = parts.spool.fail(first, EMPTY)
    assert marked == f"cam/a~{first.stamp}.jpg"
    again = move_back(parts, marked)
    assert parts.spool.fail(again, EMPTY) == marked
    again = move_back(parts, marked)
    (parts.root / "done" / marked).parent.mkdir(exist_ok=True)
    (parts.root / "done" / marked).write_bytes(b"somebody else's")
    assert parts.spool.fail(again, EMPTY) == f"cam/a~{again.stamp}.jpg"


def test_a_reason_of_others_stays_and_takes_the_name(parts: Parts) -> None:
    """It is not ours, whatever it says."""
    note = parts.root / "failed/cam/a.jpg.error.json"
    note.parent.mkdir(parents=True)
    note.write_text('{"schema": "somebody.else/1"}')
    job = parts.claim()
    target = parts.publish(job)
    assert target.path == f"cam/a~{job.stamp}.jpg"
    parts.spool.finish(job, target)
    assert note.exists()


def test_a_reason_stays_with_another_photo_that_has_failed_since(parts: Parts) -> None:
    name = parts.spool.fail(parts.claim(content=b"first"), EMPTY)
    job = move_back(parts, name)
    assert parts.spool.fail(parts.claim(content=b"second"), EMPTY) == name
    target = parts.publish(job)
    assert target.path == f"cam/a~{job.stamp}.jpg"
    parts.spool.finish(job, target)
    assert (parts.root / "failed" / name).read_bytes() == b"second"
    assert (parts.root / "failed" / f"{name}.error.json").exists()


def test_a_reason_in_a_folder_that_is_closed_holds_nothing_up(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = parts.spool.fail(parts.claim(), EMPTY)
    job = move_back(parts, name)
    target = parts.publish(job)
    unlink = os.unlink

    def refuse(path: str, **where: int) -> None:
        if path.endswith(".error.json"):
            raise PermissionError(13, "Permission denied")
        unlink(path, **where)

    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", refuse)
        assert parts.spool.finish(job, target) == name
