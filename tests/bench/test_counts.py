"""What a photo costs, in counts that no noisy machine changes: imports, decodes, syncs, copies."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import simplejpeg
from daemon import Daemon, drop

from depthd.bench import processes
from depthd.channel.messages import Rendered
from depthd.config import Config, Output
from depthd.estimate.estimator import DepthEstimator
from depthd.publish.manifests import manifest_maker
from depthd.publish.places import Places
from depthd.publish.publisher import Claimed, Publisher
from depthd.render.render import render
from depthd.worker.pipeline import Pipeline, Task

SHAPES = [(64, 48), (48, 64), (64, 64), (96, 32), (32, 96), (80, 60), (60, 80), (128, 72)]
SUPERVISOR_CALLS = 95  # system calls a photo: claim, descriptors, messages, set, log lines, done
SUPERVISOR_SYNCS = 7  # the job's record and folder, heatmap, array, manifest, their folder, done/
PUBLISHER_SYNCS = 4  # heatmap, array, manifest, the folder of their names
ON_LOOP = (
    "import sys; from depthd.supervisor import loop; loop.FILE_THREADS = 0\n"
    "from depthd.cli import main; sys.exit(main())"
)


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
) -> Callable[[bytes], None]:
    """One photo through the worker's own pipeline and into an outbox, in this process."""
    model = {"weights": random_weights}
    config = Config.model_validate({"root": tmp_path_factory.mktemp("root"), "model": model})
    estimator = DepthEstimator(config, state=_prepared_once)
    folder = tmp_path_factory.mktemp("photos")
    outbox = tmp_path_factory.mktemp("outbox")
    publisher = Publisher(Places(outbox), 0o640, "counts")
    count = iter(range(1000))

    def run(data: bytes) -> None:
        number = next(count)
        path = folder / f"{number}.jpg"
        path.write_bytes(data)
        said: list[object] = []
        job = Claimed(f"{number}-counts", path.name, "")
        outlets = publisher.open(job.id, config.output.formats)
        results = {kind: os.dup(handle) for kind, handle in outlets.files.items()}
        pipeline = Pipeline(estimator, said.append)
        pipeline.submit(Task(job.id, config.output, os.open(path, os.O_RDONLY), results))
        pipeline.close()
        message = said[-1]
        assert isinstance(message, Rendered), message
        make = manifest_maker(job, message.facts, claimed=0.0, attempts=1)
        publisher.publish(job, outlets, message.facts.files, make)
        outlets.close()

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
    pipeline_run: Callable[[bytes], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    decodes = counted(monkeypatch, simplejpeg, "decode_jpeg")
    pipeline_run(jpeg(64, 48))
    assert len(decodes) == 1


def test_each_result_and_their_folder_are_synced_once(
    pipeline_run: Callable[[bytes], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline_run(jpeg(64, 48))  # makes the outbox's own folder
    syncs = counted(monkeypatch, os, "fsync")
    pipeline_run(jpeg(64, 48))
    assert len(syncs) == PUBLISHER_SYNCS


def test_the_array_is_written_without_a_copy(random_weights: Path, prepared_state: Path) -> None:
    config = Config.model_validate({"model": {"weights": random_weights}})
    estimate = DepthEstimator(config, state=prepared_state).estimate(jpeg(64, 48))
    (npy,) = render(estimate, Output(formats=("npy",)))
    assert np.shares_memory(np.asarray(npy.parts[-1]), estimate.depth)


def calls_of(root: Path, settings: tuple[str, ...], photos: int) -> dict[str, int]:
    """System calls of the supervisor while it drains an inbox, by name.

    Its work on files is done on the loop here: strace cannot follow threads and leave the worker.
    """
    for number in range(photos):
        drop(root, f"{photos}-{number}.jpg", jpeg(64, 48))
    table = root.parent / f"calls-{photos}"
    command = ["strace", "-c", "-U", "calls,name", "-o", str(table), sys.executable, "-c", ON_LOOP]
    command += ["run", "--root", str(root), "--once"]
    command += [word for setting in settings for word in ("--set", setting)]
    subprocess.run(command, check=True, capture_output=True)
    rows = [line.split() for line in table.read_text().splitlines()]
    return {row[1]: int(row[0]) for row in rows if len(row) == 2 and row[0].isdigit()}


def test_the_supervisors_system_calls_a_photo_are_few(
    root: Path, settings: tuple[str, ...]
) -> None:
    few, many = 12, 32  # both more than there are folders of jobs
    before, after = (calls_of(root, settings, photos) for photos in (few, many))
    a_photo = {name: (after[name] - before.get(name, 0)) / (many - few) for name in after}
    del a_photo["total"]
    waiting = {
        "epoll_wait",
        "recvfrom",
        "clock_nanosleep",
        "futex",
        "wait4",
    }  # more of them on a slow machine
    files = sum(count for name, count in a_photo.items() if name not in waiting)
    print({name: round(count, 1) for name, count in sorted(a_photo.items()) if count >= 0.5}, files)
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
