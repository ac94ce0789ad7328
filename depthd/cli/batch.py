"""Photos through the worker's own pipeline in this process; heavy to import."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

import click
from rich.progress import Progress

from depthd.channel.messages import Blocked, Broken, Message, Refused, Rendered
from depthd.cli.process import Photo
from depthd.cli.progress import progress_bar
from depthd.cli.report import report
from depthd.config import Config
from depthd.contract.errors import FAULTS, ExitCode, OutputError
from depthd.contract.manifest import Facts
from depthd.contract.names import printable, timestamp
from depthd.estimate.estimator import DepthEstimator
from depthd.publish.manifests import manifest_maker
from depthd.publish.places import Places
from depthd.publish.publisher import Claimed, NamesTaken, Outlets, Publisher
from depthd.system import files
from depthd.worker.pipeline import Pipeline, Task

_IN_FLIGHT = 4  # one in each stage of the pipeline, and one on its way


@dataclass(frozen=True)
class _Job:
    """A photo on its way."""

    photo: Photo
    claimed: Claimed
    since: float  # seconds since the epoch
    outlets: Outlets


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
    batch = _Batch(estimator, folder)
    started = time.monotonic()
    try:
        with progress_bar() as bar:
            failed = batch.run(photos, bar)
    finally:
        batch.close()
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


class _Batch:
    """Keeps the pipeline busy, and publishes what it answers."""

    def __init__(self, estimator: DepthEstimator, folder: Path) -> None:
        self._config = estimator.config
        self._instance = secrets.token_hex(4)
        self._publisher = Publisher(Places(folder), self._config.output.mode, self._instance)
        self._messages: SimpleQueue[Message] = SimpleQueue()
        self._pipeline = Pipeline(estimator, self._messages.put)
        self._jobs: dict[str, _Job] = {}

    def run(self, photos: list[Photo], bar: Progress) -> int:
        """Process every photo; returns how many failed."""
        line = bar.add_task("", total=len(photos))
        waiting = iter(enumerate(photos))
        failed = 0
        for _ in range(_IN_FLIGHT):
            failed += self._submit_next(waiting, bar)
        while self._jobs:
            answer = self._messages.get()
            if not isinstance(answer, Rendered | Refused | Broken | Blocked):
                continue
            job = self._jobs.pop(answer.job)
            reason = self._conclude(job, answer)
            if reason:
                failed += 1
                bar.console.print(printable(f"{job.photo.path}: {reason}"), soft_wrap=True)
            bar.advance(line)
            failed += self._submit_next(waiting, bar)
        return failed

    def close(self) -> None:
        self._pipeline.close()
        for job in self._jobs.values():
            job.outlets.close()
        self._publisher.sweep()

    def _submit_next(self, waiting: Iterator[tuple[int, Photo]], bar: Progress) -> int:
        """Give the next photo that can be read to the pipeline; returns how many could not."""
        for failed, (number, photo) in enumerate(waiting):
            try:
                original = _open(photo.path)
            except OSError as error:
                reason = error.strerror or str(error)
                bar.console.print(printable(f"{photo.path}: {reason}"), soft_wrap=True)
                continue
            self._submit(number, photo, original)
            return failed
        return 0

    def _submit(self, number: int, photo: Photo, original: int) -> None:
        now = time.time()
        stamp = timestamp(now)
        claimed = Claimed(f"{stamp}-{self._instance}.{number}", photo.name, stamp)
        policy = self._config.policy(photo.name)
        try:
            outlets = self._publisher.open(claimed.id, policy.formats)
        except OSError as error:
            raise _cannot_write(error) from error
        self._jobs[claimed.id] = _Job(photo, claimed, now, outlets)
        results = {kind: os.dup(handle) for kind, handle in outlets.files.items()}
        self._pipeline.submit(Task(claimed.id, policy, original, results))

    def _conclude(self, job: _Job, answer: Rendered | Refused | Broken | Blocked) -> str:
        """Publish, or say why not."""
        try:
            match answer:
                case Rendered():
                    return self._publish(job, answer.facts)
                case Blocked():
                    raise _cannot_write(answer.detail)
                case Refused() | Broken():
                    self._publisher.discard(job.claimed.id)
                    return f"{answer.code}: {answer.detail or FAULTS[answer.code].sentence}"
        finally:
            job.outlets.close()

    def _publish(self, job: _Job, facts: Facts) -> str:
        make = manifest_maker(job.claimed, facts, claimed=job.since, attempts=1)
        try:
            self._publisher.publish(job.claimed, job.outlets, facts.files, make)
        except NamesTaken:
            return "every name that its results could have is taken"
        except OSError as error:
            raise _cannot_write(error) from error
        return ""


def _open(path: Path) -> int:
    with files.directory(path.resolve().parent) as folder:
        return files.open_regular(path.resolve().name, folder)


def _cannot_write(reason: OSError | str) -> OutputError:
    return OutputError(
        f"the results cannot be written: {reason}",
        "make room there, or correct the folder's rights",
    )
