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
from depthd.cli.photos import Photo
from depthd.cli.progress import progress_bar
from depthd.cli.report import report
from depthd.cli.results import Done
from depthd.config import Config, FolderPolicy
from depthd.config.rolling import RollingRanges
from depthd.contract.errors import FAULTS, ExitCode, OutputError, words_of
from depthd.contract.manifest import Facts
from depthd.contract.names import printable, timestamp
from depthd.estimate.estimator import DepthEstimator
from depthd.publish.manifests import manifest_maker
from depthd.publish.places import Places
from depthd.publish.publisher import Claimed, NamesTaken, Outlets, Publisher
from depthd.system import files
from depthd.worker.pipeline import Pipeline, Task

_IN_FLIGHT = 4  # one in each stage of the pipeline, and one on its way


def process(
    photos: list[Photo], config: Config, state: Path, folder: Path, done: Done | None = None
) -> ExitCode:
    """Run photos through the worker's pipeline into a folder, and say how it went.

    Args:
        photos: files that stay where they are.
        config: the sections model, worker and output are used.
        state: folder of weights and converted networks.
        folder: where results go.
        done: knows photos that are to be passed over.

    Raises:
        DepthdError: no model can be had, or the folder cannot be written.
    """
    estimator = DepthEstimator(config, state=state, report=report, is_busy=len(photos) > 1)
    started = time.monotonic()
    with progress_bar() as bar:
        batch = _Batch(estimator, folder, photos, done, bar)
        try:
            batch.run()
        finally:
            batch.close()
    seconds = time.monotonic() - started
    model = estimator.weights.spec.name
    if estimator.weights.fallback:
        model += " (built-in, stands in for the real one)"
    made = len(photos) - batch.failed - batch.skipped
    before = f", {batch.skipped} done before" if done else ""
    rate = (made + batch.failed) / seconds
    click.echo(
        f"{made} done, {batch.failed} failed{before} in {seconds:.1f} s, {rate:.1f} a second"
    )
    click.echo(f"served by {model}; results are in {printable(str(folder))}")
    return ExitCode.FAILURE if batch.failed else ExitCode.OK


@dataclass(frozen=True)
class _Job:
    """A photo on its way."""

    photo: Photo
    claimed: Claimed
    since: float  # seconds since the epoch
    outlets: Outlets
    policy: FolderPolicy


class _Batch:
    """Keeps the pipeline busy, and publishes what it answers.

    Attributes:
        failed: photos that came to nothing, each said in a line.
        skipped: photos that were done before.
    """

    def __init__(
        self,
        estimator: DepthEstimator,
        folder: Path,
        photos: list[Photo],
        done: Done | None,
        bar: Progress,
    ) -> None:
        self._config = estimator.config
        self._instance = secrets.token_hex(4)
        self._publisher = Publisher(Places(folder), self._config.output.mode, self._instance)
        self._messages: SimpleQueue[Message] = SimpleQueue()
        self._pipeline = Pipeline(estimator, self._messages.put)
        self._ranges = RollingRanges()
        self._jobs: dict[str, _Job] = {}
        self._done = done
        self._bar = bar
        self._line = bar.add_task("", total=len(photos))
        self._waiting = self._open(photos)
        self.failed = 0
        self.skipped = 0

    def run(self) -> None:
        """Process every photo."""
        for _ in range(_IN_FLIGHT):
            self._submit_next()
        while self._jobs:
            answer = self._messages.get()
            if isinstance(answer, Rendered | Refused | Broken | Blocked):
                job = self._jobs.pop(answer.job)
                try:
                    reason = self._conclude(job, answer)
                finally:
                    job.outlets.close()
                if reason:
                    self._say_failed(job.photo, reason)
                self._bar.advance(self._line)
                self._submit_next()

    def close(self) -> None:
        self._pipeline.close()
        for job in self._jobs.values():
            job.outlets.close()
        self._publisher.sweep()

    def _open(self, photos: list[Photo]) -> Iterator[tuple[int, Photo, int]]:
        """Number, photo and descriptor of each that can be opened and is not done."""
        for number, photo in enumerate(photos):
            try:
                if self._done is None or not self._done.has(photo.path, photo.name):
                    yield number, photo, _open(photo.path)
                    continue
                self.skipped += 1
            except OSError as error:
                self._say_failed(photo, words_of(error))
            self._bar.advance(self._line)

    def _submit_next(self) -> None:
        for number, photo, original in self._waiting:
            now = time.time()
            stamp = timestamp(now)
            claimed = Claimed(f"{stamp}-{self._instance}.{number}", photo.name, stamp)
            asked = self._config.policy(photo.name)
            policy = self._ranges.resolve(photo.name, asked)
            try:
                outlets = self._publisher.open(claimed.id, policy.formats)
            except OSError as error:
                os.close(original)
                raise _cannot_write(error) from error
            self._jobs[claimed.id] = _Job(photo, claimed, now, outlets, asked)
            results = {kind: os.dup(handle) for kind, handle in outlets.files.items()}
            self._pipeline.submit(Task(claimed.id, policy, original, results))
            return

    def _conclude(self, job: _Job, answer: Rendered | Refused | Broken | Blocked) -> str:
        """Publish, or say why not."""
        match answer:
            case Rendered():
                self._note(job, answer.facts)
                return self._publish(job, answer.facts)
            case Blocked() if answer.is_unread:
                self._publisher.discard(job.claimed.id)
                return answer.detail
            case Blocked():
                raise _cannot_write(answer.detail)
            case Refused() | Broken():
                self._publisher.discard(job.claimed.id)
                return f"{answer.code}: {answer.detail or FAULTS[answer.code].sentence}"

    def _publish(self, job: _Job, facts: Facts) -> str:
        make = manifest_maker(job.claimed, facts, claimed=job.since, attempts=1)
        try:
            self._publisher.publish(job.claimed, job.outlets, facts.files, make)
        except NamesTaken:
            return "every name that its results could have is taken"
        except OSError as error:
            raise _cannot_write(error) from error
        return ""

    def _note(self, job: _Job, facts: Facts) -> None:
        """Never metres without their error, and no silence where they were hoped for."""
        self._ranges.note(job.photo.name, job.policy, facts.depth)
        if facts.metres is not None:
            text = f"no metres: {facts.metres.reason}"
            if facts.metres.reason is None:
                text = (
                    f"metres from {facts.metres.used} of {facts.metres.points} reference points, "
                    f"expected error {facts.metres.error_percent:.0f} %"
                )
            self._bar.console.print(printable(f"{job.photo.path}: {text}"), soft_wrap=True)

    def _say_failed(self, photo: Photo, reason: str) -> None:
        self.failed += 1
        self._bar.console.print(printable(f"{photo.path}: {reason}"), soft_wrap=True)


def _open(path: Path) -> int:
    real = path.resolve()
    with files.directory(real.parent) as folder:
        return files.open_regular(real.name, folder)


def _cannot_write(reason: OSError | str) -> OutputError:
    return OutputError(
        f"the results cannot be written: {reason}",
        "make room there, or correct the folder's rights",
    )
