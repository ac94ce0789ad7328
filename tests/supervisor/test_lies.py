"""A worker that somebody has taken over: what it says is believed only where it can be true."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from typing import Any

import pytest
from stage import Stage, facts, said_ready

from depthd.channel.line import Line
from depthd.channel.messages import (
    Blocked,
    FromWorker,
    Hello,
    ProtocolError,
    Refused,
    Rendered,
    Started,
    Step,
    Unavailable,
    decode,
    encode,
)
from depthd.config import Config
from depthd.contract.errors import ExitCode, FaultCode
from depthd.contract.events import Event
from depthd.contract.formats import Format
from depthd.contract.manifest import FileFacts
from depthd.supervisor import report
from depthd.supervisor.worker_process import WorkerProcess

Set = Callable[..., Stage]
Lie = Callable[[str], FromWorker]


def rendered(job: str, **changes: Any) -> Rendered:
    return Rendered(job=job, facts=facts().model_copy(update=changes))


def file_facts(*kinds: Format) -> tuple[FileFacts, ...]:
    return tuple(FileFacts(format=kind, sha256="0" * 64, bytes=6) for kind in kinds)


def with_files(*kinds: Format) -> Lie:
    return lambda job: rendered(job, files=file_facts(*kinds))


def with_percentiles(job: str) -> Rendered:
    return rendered(job, depth=facts().depth.model_copy(update={"percentiles": {}}))


LIES: dict[str, Lie] = {
    "a job that is not": lambda _: Started(job="x"),
    "results of a job that is not": lambda _: rendered("../../x"),
    "a refusal of a job that is not": lambda _: Refused(
        job="", code=FaultCode.TRUNCATED, detail=""
    ),
    "no room for a job that is not": lambda _: Blocked(job="x", detail=""),
    "no results": with_files(),
    "too few results": with_files(Format.NPY),
    "a format that was not asked for": with_files(Format.NPY, Format.HEATMAP, Format.GLB),
    "one format twice": with_files(Format.NPY, Format.HEATMAP, Format.NPY),
    "no percentiles": with_percentiles,
    "another version": lambda _: Hello(version="0.0.0"),
    "a step": lambda _: Step(text="x"),
    "ready again": lambda _: said_ready(Config(), fallback=False),
    "not to be had": lambda _: Unavailable(message="", hint="", exit_code=ExitCode.CONFIGURATION),
}


@pytest.mark.parametrize("kind", LIES)
def test_who_says_what_cannot_be_is_killed_and_its_photos_are_made_by_another(
    set_stage: Set, kind: str
) -> None:
    stage = set_stage(output={"range": "rolling"})
    stage.ready()
    jobs = [stage.claim(f"{name}.jpg") for name in "ab"]
    for _ in range(100):
        stage.worker.say(LIES[kind](jobs[0].id))
    stage.replace()
    assert len(stage.workers) == 2
    (killed,) = stage.said(Event.WORKER_KILLED)
    assert len(str(killed["reason"])) < 1000
    for _ in jobs:
        ((job, _),) = stage.worker.given.items()  # alone: one of them is to blame
        stage.worker.start(job)
        stage.worker.render(job)
        stage.play()
    assert len(stage.said(Event.PHOTO_DONE)) == 2
    assert not stage.said(Event.SERVICE_PAUSED)


def test_who_begins_again_and_again_gets_no_more_time(stage: Stage) -> None:
    job = stage.claim("a.jpg")
    stage.worker.start(job.id)
    stage.play(1)
    stage.worker.start(job.id)
    stage.play()
    assert stage.said(Event.WORKER_KILLED)


def test_who_says_nothing_at_all_is_killed_in_time(stage: Stage) -> None:
    jobs = [stage.claim(f"{name}.jpg") for name in "abc"]
    stage.play(stage.config.worker.timeout + 1)
    (killed,) = stage.said(Event.WORKER_KILLED)
    assert killed["jobs"] == [jobs[0].id]
    (retried,) = stage.said(Event.PHOTO_RETRIED)
    assert retried["job"] == jobs[0].id


@pytest.mark.parametrize("length", [0, 5, 10**18, 10**30])
def test_files_that_are_not_as_long_as_it_says_are_made_anew(stage: Stage, length: int) -> None:
    for number in range(3):  # what was believed would make the results of an ordinary photo
        job = stage.claim(f"{number}.jpg")
        files = [file.model_copy(update={"bytes": length}) for file in facts().files]
        for descriptor in stage.worker.given[job.id][1:]:
            os.write(descriptor, b"result")
        stage.worker.drop(job.id)
        stage.worker.say(rendered(job.id, files=tuple(files)))
        stage.play()
    assert len(stage.said(Event.PHOTO_SET_ASIDE)) == 3
    assert not stage.said(Event.PHOTO_PUBLISHED)
    stage.play(2)
    for job_id in list(stage.worker.given):
        stage.worker.render(job_id)
    stage.play()
    assert len(stage.said(Event.PHOTO_DONE)) == 3
    assert stage.dispatcher.home.typical_size == 12


@pytest.mark.parametrize("high", [1.7e308, 1.0, 0.0])
def test_a_rolling_range_stays_one(set_stage: Set, high: float) -> None:
    stage = set_stage(output={"range": "rolling"})
    stage.ready()
    percentiles = dict(facts().depth.percentiles) | {"2": -high, "98": high}
    for number in range(3):
        job = stage.claim(f"{number}.jpg")
        depth = facts().depth.model_copy(update={"percentiles": percentiles})
        for descriptor in stage.worker.given[job.id][1:]:
            os.write(descriptor, b"result")
        stage.worker.drop(job.id)
        stage.worker.say(rendered(job.id, depth=depth))
        stage.play()
    policies = [work.policy for work in stage.worker.works]
    assert all(type(one).model_validate_json(one.model_dump_json()) for one in policies)


# the line ------------------------------------------------------------------------------------


def process(line: Line) -> WorkerProcess:
    """The supervisor's hold on a worker whose end of the line the test has."""
    held = WorkerProcess.__new__(WorkerProcess)
    held._line = line
    line.socket.setblocking(False)
    return held


def test_a_flood_is_heard_piece_by_piece() -> None:
    ours, theirs = Line.pair()
    theirs.socket.setblocking(False)
    sent = 0
    try:
        while True:
            theirs.send(encode(Started(job="x")))
            sent += 1
    except BlockingIOError:
        pass
    held = process(ours)
    heard = [len(held.hear()) for _ in range(sent)]
    assert max(heard) < 100
    assert sum(heard) == sent
    ours.close()
    theirs.close()


def test_descriptors_that_come_back_are_closed() -> None:
    ours, theirs = Line.pair()
    before = len(os.listdir("/proc/self/fd"))
    for count in (1, 40, 200):
        socket.send_fds(theirs.socket, [encode(Started(job="x"))], [0] * count)
    assert len(process(ours).hear()) == 3
    assert len(os.listdir("/proc/self/fd")) == before
    ours.close()
    theirs.close()


@pytest.mark.parametrize(
    "packet",
    [
        b"[" * 100_000,
        b'{"kind": "started", "job": ' + b"9" * 100_000 + b"}",
        b'{"kind": "started", "job": "\\ud800"}',
        b'{"kind": "blocked", "job": "x", "detail": "", "needs": -1}',
        b'{"kind": "started", "job": "x", '
        + b", ".join(b'"%d": "\\u001b[2J"' % number for number in range(5000))
        + b"}",
        b"\xff\x00",
        b"null",
    ],
    ids=["deep", "long", "half a letter", "negative", "unknown keys", "no text", "nothing"],
)
def test_what_is_no_message_is_said_in_few_words(packet: bytes) -> None:
    with pytest.raises(ProtocolError) as caught:
        decode(packet)
    assert len(str(caught.value)) <= 300


def test_its_words_stay_one_line_in_the_status(stage: Stage) -> None:
    assert report._shown("\x1b[2J\nREADY=1" + "x" * 100_000) == (
        "\\x1b[2J\\nREADY=1" + "x" * (500 - 12)
    )
