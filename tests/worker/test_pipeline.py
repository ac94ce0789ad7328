"""The pipeline's last words of a photo, where a disk has trouble when its files are closed."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from pathlib import Path
from queue import Queue
from types import SimpleNamespace
from typing import Any, cast

import pytest

from depthd.channel.messages import Blocked, Message, Refused, Rendered
from depthd.config import Config, FolderPolicy
from depthd.contract.errors import FaultCode, PhotoError
from depthd.estimate.estimator import DepthEstimator
from depthd.worker.pipeline import Pipeline, Task

SAMPLES = Path(__file__).parents[2] / "depthd/samples"


def _refuse(_: bytes) -> None:
    raise PhotoError(FaultCode.NOT_AN_IMAGE, "no picture")


@pytest.fixture
def said() -> Queue[Message]:
    return Queue()


@pytest.fixture
def pipeline(said: Queue[Message], tmp_path: Path) -> Pipeline:
    engine = SimpleNamespace(most_streams=1, streams=1)
    estimator = SimpleNamespace(engine=engine, config=Config(root=tmp_path), header=_refuse)
    return Pipeline(cast("DepthEstimator", estimator), said.put)


def _task(folder: Path, job: str) -> Task:
    policy = FolderPolicy()
    original = folder / job
    original.write_bytes(b"photo")
    results = {
        kind: os.open(folder / f"{job}.{kind}", os.O_CREAT | os.O_WRONLY) for kind in policy.formats
    }
    return Task(job, policy, os.open(original, os.O_RDONLY), results)


@pytest.fixture
def full_when_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network file system whose server has no room: it writes when a file is closed."""
    close = os.close

    def full(handle: int) -> None:
        path = os.readlink(f"/proc/self/fd/{handle}")
        close(handle)
        if path.endswith(".npy"):
            raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

    monkeypatch.setattr(os, "close", full)


@pytest.mark.usefixtures("full_when_closed")
def test_every_photo_has_its_answer(
    pipeline: Pipeline, said: Queue[Message], tmp_path: Path
) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for job in ("a", "b"):
        pipeline.submit(_task(tmp_path, job))
        answers = [said.get(timeout=10), said.get(timeout=10)]
        assert isinstance(answers[1], Refused)
        assert answers[1].job == job
    pipeline.close()
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_photo_that_cannot_be_read_now_is_not_said_of_its_results(
    pipeline: Pipeline, said: Queue[Message], tmp_path: Path
) -> None:
    unread = os.open(tmp_path, os.O_RDONLY)  # a folder: as little to be read as a stale handle
    task = _task(tmp_path, "a")
    os.close(task.original)
    pipeline.submit(replace(task, original=unread))
    answers = [said.get(timeout=10), said.get(timeout=10)]
    detail = "the photo cannot be read: Is a directory"
    assert answers[1] == Blocked(job="a", detail=detail, is_unread=True)
    pipeline.close()


@pytest.mark.usefixtures("full_when_closed")
def test_results_that_did_not_reach_the_disk_are_none(
    pipeline: Pipeline, said: Queue[Message], tmp_path: Path
) -> None:
    rendered = Rendered.model_construct(job="a", facts=cast("Any", None))
    pipeline._answer(_task(tmp_path, "a"), rendered)
    answer = said.get(timeout=10)
    assert isinstance(answer, Blocked)
    assert "quota" in answer.detail
    pipeline.close()


def test_times_stand_in_the_order_of_the_work(said: Queue[Message], tmp_path: Path) -> None:
    config = Config.model_validate({"root": tmp_path, "model": {"name": "builtin"}})
    pipeline = Pipeline(DepthEstimator(config, report=print), said.put)
    task = _task(tmp_path, "a")
    (tmp_path / "a").write_bytes((SAMPLES / "cat.jpg").read_bytes())
    pipeline.submit(task)
    answer = [said.get(timeout=10), said.get(timeout=10)][1]
    pipeline.close()
    assert isinstance(answer, Rendered)
    order = ["read", "decode", "preprocess", "infer", "resize", "render", "write"]
    assert list(answer.facts.milliseconds) == order
