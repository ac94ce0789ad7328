"""Photos through the worker's own pipeline in this process; heavy to import."""

from __future__ import annotations

import secrets
import time
from pathlib import Path
from queue import SimpleQueue

import click
from rich.progress import Progress

from depthd.cli.process import Photo
from depthd.cli.progress import progress_bar
from depthd.cli.report import report
from depthd.config import Config
from depthd.contract.errors import FAULTS, ExitCode, OutputError
from depthd.contract.messages import Blocked, Broken, Message, Published, Refused
from depthd.contract.names import printable, timestamp
from depthd.estimate.estimator import DepthEstimator
from depthd.publish.publisher import Publisher
from depthd.worker.pipeline import Pipeline, Task

_IN_FLIGHT = 4  # one in each stage of the pipeline, and one on its way


def process(photos: list[Photo], config: Config, state: Path, folder: Path) -> ExitCode:
    """Run photos through the worker's pipeline into a folder, and say how it went.

    Args:
        photos: files that stay where they are.
        config: the sections model, worker and output are used.
        state: folder of weights and converted networks.
        folder: where results go.

    Raises:
        DepthdError: no model can be had, or the folder cannot be written.
    """
    estimator = DepthEstimator(config, state=state, report=report, is_busy=len(photos) > 1)
    instance = secrets.token_hex(4)
    publisher = Publisher(folder, (), config.output.mode, instance)
    messages: SimpleQueue[Message] = SimpleQueue()
    pipeline = Pipeline(estimator, publisher, messages.put)
    started = time.monotonic()
    try:
        with progress_bar() as bar:
            failed = _feed(photos, instance, pipeline, messages, bar)
    finally:
        pipeline.close()
        publisher.sweep()
    seconds = time.monotonic() - started
    rate = len(photos) / seconds
    model = estimator.weights.spec.name
    if estimator.weights.fallback:
        model += " (built-in, stands in for the real one)"
    click.echo(
        f"{len(photos) - failed} done, {failed} failed in {seconds:.1f} s, {rate:.1f} a second"
    )
    click.echo(f"served by {model}; results are in {printable(str(folder))}")
    return ExitCode.FAILURE if failed else ExitCode.OK


def _feed(
    photos: list[Photo],
    instance: str,
    pipeline: Pipeline,
    messages: SimpleQueue[Message],
    bar: Progress,
) -> int:
    """Keep the pipeline busy until every photo was answered; returns how many failed."""
    line = bar.add_task("", total=len(photos))
    waiting = iter(enumerate(photos))
    in_flight: dict[str, Photo] = {}
    failed = 0

    def submit_next() -> None:
        if (numbered := next(waiting, None)) is not None:
            task = _task(*numbered, instance)
            in_flight[task.id] = numbered[1]
            pipeline.submit(task)

    for _ in range(_IN_FLIGHT):
        submit_next()
    while in_flight:
        answer = messages.get()
        if isinstance(answer, Blocked):
            raise OutputError(answer.detail, "make room there, or correct the folder's rights")
        if isinstance(answer, Published | Refused | Broken):
            photo = in_flight.pop(answer.job)
            if not isinstance(answer, Published):
                failed += 1
                bar.console.print(_reason(photo, answer), soft_wrap=True)
            bar.advance(line)
            submit_next()
    return failed


def _task(number: int, photo: Photo, instance: str) -> Task:
    now = time.time()
    stamp = timestamp(now)
    return Task(
        id=f"{stamp}-{instance}.{number}",
        name=photo.name,
        stamp=stamp,
        claimed=now,
        attempts=1,
        path=photo.path.resolve(),
    )


def _reason(photo: Photo, answer: Refused | Broken) -> str:
    detail = answer.detail or FAULTS[answer.code].sentence
    return printable(f"{photo.path}: {answer.code}: {detail}")
