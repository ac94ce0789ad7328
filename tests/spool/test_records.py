"""Records of jobs that other versions, or an ill disk, have left: a name is never lost."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from spool.parts import Parts

from depthd.config import Config, FolderPolicy
from depthd.contract.errors import FaultCode
from depthd.contract.formats import Format
from depthd.spool import Job, Verdict

NAME = 'cam/"id": 7, \\ é\n.jpg'


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[Parts]:
    with Parts.open(tmp_path) as parts:
        yield parts


@pytest.fixture
def job(parts: Parts) -> Job:
    """One with a value of its own in every field."""
    job = replace(
        parts.claim(NAME),
        attempts=2,
        crashes=1,
        isolated=True,
        home="somewhere",
        verdict=Verdict(FaultCode.TRUNCATED, "at byte 5"),
        policy=FolderPolicy(formats=(Format.PFM,), colormap="gray", range=(1.0, 2.0)),
    )
    return parts.spool.rewrite(job)


def record(parts: Parts, job: Job) -> Path:
    return parts.root / "work" / job.id / "job.json"


def test_a_record_says_all(parts: Parts, job: Job) -> None:
    assert list(parts.spool.sweep()) == [job]


@pytest.mark.parametrize(
    "lost",
    [
        *("stamp", "claimed", "size", "mtime_ns", "owner", "attempts", "crashes", "isolated"),
        *("home", "verdict", "policy", "schema", "id"),
    ],
)
@pytest.mark.parametrize("how", ["missing", "of another kind", "null"])
def test_a_field_that_is_not_as_we_write_it_gets_its_default(
    parts: Parts, job: Job, lost: str, how: str
) -> None:
    content = json.loads(record(parts, job).read_bytes())
    if how == "missing":
        del content[lost]
    else:
        content[lost] = None if how == "null" else {"unheard": ["of"]}
    record(parts, job).write_text(json.dumps(content))
    [found] = parts.spool.sweep()
    assert (found.id, found.name, found.stamp) == (job.id, NAME, job.stamp)
    kept = {field for field in content if field not in {lost, "schema"}}
    assert all(getattr(found, field) == getattr(job, field) for field in kept)


def test_a_later_version_may_have_added_whatever_it_likes(parts: Parts, job: Job) -> None:
    content = json.loads(record(parts, job).read_bytes())
    content |= {"schema": "depthd.job/9", "colour": "blue"}
    content["policy"] |= {"depth": "metres"}
    content["verdict"] |= {"since": 1}
    record(parts, job).write_text(json.dumps(content))
    [found] = parts.spool.sweep()
    assert found == job


def test_a_verdict_of_a_later_version_is_found_out_again(parts: Parts, job: Job) -> None:
    content = json.loads(record(parts, job).read_bytes())
    content["verdict"] = {"code": "too_blue", "detail": ""}
    record(parts, job).write_text(json.dumps(content))
    assert list(parts.spool.sweep()) == [replace(job, verdict=None)]


def test_the_first_released_records_are_read(parts: Parts, job: Job) -> None:
    """As depthd 0.1 wrote them."""
    kept = ("id", "name", "stamp", "claimed", "size", "attempts", "crashes")
    first = {field: getattr(job, field) for field in kept} | {"alone": True}
    record(parts, job).write_text(json.dumps(first))
    [found] = parts.spool.sweep()
    assert (found.id, found.name, found.claimed) == (job.id, NAME, job.claimed)
    assert (found.attempts, found.crashes, found.isolated) == (2, 1, True)


def test_a_record_that_ends_early_still_tells_the_name(parts: Parts, job: Job) -> None:
    """At whichever byte; what is not in it gets its default."""
    whole = record(parts, job).read_bytes()
    named = whole.index(b".jpg") + len(b'.jpg",')
    condemned = whole.index(b"}", whole.index(b'"verdict"')) + len(b"},")
    for end in range(len(whole)):
        record(parts, job).write_bytes(whole[:end])
        [found] = parts.spool.sweep()
        assert found.id == job.id
        assert found.name == (NAME if end >= named else job.id)
        assert (found.verdict is None) == (named <= end < condemned)


@pytest.mark.parametrize("has_policy", [True, False])
def test_what_a_record_does_not_say_of_the_policy_is_as_it_is_configured_now(
    tmp_path: Path, has_policy: bool
) -> None:
    config = Config.model_validate({"root": tmp_path, "output": {"formats": ["pfm"]}})
    parts = Parts.start(config)
    job = parts.claim()
    content = json.loads(record(parts, job).read_bytes())
    content["policy"] = {"colormap": "gray", "range": "too far", "new": 1} if has_policy else None
    record(parts, job).write_text(json.dumps(content))
    [found] = parts.spool.sweep()
    parts.spool.close()
    assert found.policy == FolderPolicy(
        formats=(Format.PFM,), colormap="gray" if has_policy else "inferno"
    )


@pytest.mark.parametrize("content", [None, b"", b"{half", b"[]", b"null", b"[" * 100_000, b"\xff"])
def test_a_photo_without_a_record_goes_to_failed_under_its_jobs_name(
    parts: Parts, job: Job, content: bytes | None
) -> None:
    record(parts, job).unlink()
    if content is not None:
        record(parts, job).write_bytes(content)
    [found] = parts.spool.sweep()
    assert found.verdict is not None
    assert found.verdict.code == FaultCode.UNREADABLE
    assert parts.spool.fail(found, found.verdict) == job.id
    assert (parts.root / "failed" / job.id).read_bytes() == b"photo"
    reason = json.loads((parts.root / f"failed/{job.id}.error.json").read_bytes())
    assert reason["code"] == "unreadable"
    assert "job.json" in reason["detail"]
