"""What a photo costs, in counts that no noisy machine changes: imports, decodes, syncs, copies."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import simplejpeg
from daemon import Daemon, drop
from depthd.contract.messages import Published

from depthd.bench import processes
from depthd.config import Config, Output
from depthd.estimate.estimator import DepthEstimator
from depthd.publish.publisher import Publisher
from depthd.render.render import render
from depthd.worker.pipeline import Pipeline, Task

SHAPES = [(64, 48), (48, 64), (64, 64), (96, 32), (32, 96), (80, 60), (60, 80), (128, 72)]
SUPERVISOR_CALLS = 45  # system calls a photo: claim, job record, messages, three log lines, done
SUPERVISOR_SYNCS = 3  # the job's record, its folder, done/
WORKER_SYNCS = 4  # heatmap, array, manifest, the folder of their names


def jpeg(width: int, height: int) -> bytes:
    pixels = np.random.default_rng(width).integers(0, 255, (height, width, 3), np.uint8)
    return cv2.imencode(".jpg", pixels)[1].tobytes()


@pytest.fixture
def settings(random_weights: Path) -> tuple[str, ...]:
    return f"model.weights={random_weights}", "intake.settle=0s", "disk.min_free=0"


@pytest.fixture
def root(prepared_state: Path) -> Path:
    return prepared_state.parent


@pytest.fixture(scope="module")
def pipeline_run(
    random_weights: Path, _prepared_once: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[bytes], Published]:
    """One photo through the worker's own pipeline, in this process."""
    model = {"weights": random_weights}
    config = Config.model_validate({"root": tmp_path_factory.mktemp("root"), "model": model})
    estimator = DepthEstimator(config, state=_prepared_once)
    folder = tmp_path_factory.mktemp("photos")
    outbox = tmp_path_factory.mktemp("outbox")
    count = iter(range(1000))

    def run(data: bytes) -> Published:
        number = next(count)
        path = folder / f"{number}.jpg"
        path.write_bytes(data)
        said: list[object] = []
        pipeline = Pipeline(estimator, Publisher(outbox, (), 0o640, "counts"), said.append)
        pipeline.submit(Task(f"{number}-counts", path.name, "", 0.0, 1, path))
        pipeline.close()
        (message,) = said
        assert isinstance(message, Published), message
        return message

    return run


def counted(monkeypatch: pytest.MonkeyPatch, module: object, name: str) -> list[None]:
    """Let calls of a function through, and count them."""
    calls: list[None] = []
    real = getattr(module, name)

    def call(*arguments: object, **keywords: object) -> object:
        calls.append(None)
        return real(*arguments, **keywords)

    monkeypatch.setattr(module, name, call)
    return calls


def test_a_photo_is_decoded_once(
    pipeline_run: Callable[[bytes], Published], monkeypatch: pytest.MonkeyPatch
) -> None:
    decodes = counted(monkeypatch, simplejpeg, "decode_jpeg")
    pipeline_run(jpeg(64, 48))
    assert len(decodes) == 1


def test_the_worker_syncs_each_result_and_their_folder_once(
    pipeline_run: Callable[[bytes], Published], monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline_run(jpeg(64, 48))  # makes the outbox's own folder
    syncs = counted(monkeypatch, os, "fsync")
    pipeline_run(jpeg(64, 48))
    assert len(syncs) == WORKER_SYNCS


def test_the_array_is_written_without_a_copy(random_weights: Path, prepared_state: Path) -> None:
    config = Config.model_validate({"model": {"weights": random_weights}})
    estimate = DepthEstimator(config, state=prepared_state).estimate(jpeg(64, 48))
    (npy,) = render(estimate, Output(formats=("npy",)))
    assert np.shares_memory(np.asarray(npy.parts[-1]), estimate.depth)


def calls_of(root: Path, settings: tuple[str, ...], photos: int) -> dict[str, int]:
    """System calls of the supervisor's thread while it drains an inbox, by name."""
    for number in range(photos):
        drop(root, f"{photos}-{number}.jpg", jpeg(64, 48))
    table = root.parent / f"calls-{photos}"
    prefix = ("strace", "-c", "-U", "calls,name", "-o", str(table))
    with Daemon(root, *settings, arguments=["--once"], prefix=prefix) as daemon:
        assert daemon.exit_code() == 0, daemon.tail()
    rows = [line.split() for line in table.read_text().splitlines()]
    return {row[1]: int(row[0]) for row in rows if len(row) == 2 and row[0].isdigit()}


def test_the_supervisors_system_calls_a_photo_are_few(
    root: Path, settings: tuple[str, ...]
) -> None:
    few, many = 12, 32  # both more than there are folders of jobs
    before, after = (calls_of(root, settings, photos) for photos in (few, many))
    a_photo = {name: (after[name] - before.get(name, 0)) / (many - few) for name in after}
    del a_photo["total"]
    waiting = {"epoll_wait", "recvfrom", "clock_nanosleep"}  # more of them on a slow machine
    files = sum(count for name, count in a_photo.items() if name not in waiting)
    # status.json is no photo's.
    assert a_photo["fsync"] <= SUPERVISOR_SYNCS + 0.5
    assert a_photo["mkdir"] < 0.5
    assert files <= SUPERVISOR_CALLS


def test_the_worker_maps_no_torch_and_its_memory_stays_flat_over_shapes(
    root: Path, settings: tuple[str, ...]
) -> None:
    def round_of_photos(number: int) -> int:
        for width, height in SHAPES:
            drop(root, f"{number}-{width}x{height}.jpg", jpeg(8 * width, 8 * height))
        daemon.wait_for("photo.done", count=(number + 1) * len(SHAPES))
        return processes.resident(worker)

    with Daemon(root, *settings) as daemon:
        (ready,) = daemon.ready().wait_for("worker.started")
        worker = ready["pid"]
        memory = [round_of_photos(number) for number in range(4)]
        assert "libtorch" not in Path(f"/proc/{worker}/maps").read_text()
    assert memory[-1] - memory[0] < 40e6
