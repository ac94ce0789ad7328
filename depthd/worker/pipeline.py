"""Jobs through decode, infer and publish, overlapped.

While the network runs on one photo, or on two (see `streams`), the next is decoded and the last two
are rendered and written: one waits for the disk while the other is encoded. Queues of one hold the
look-ahead, and with it the memory, bounded. A fault in one photo is reported for that photo alone;
the caller decides what follows from it.
"""

from __future__ import annotations

import errno
import hashlib
import os
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from queue import Queue
from typing import Generic, Protocol, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from depthd import __version__
from depthd.contract import manifest
from depthd.contract.errors import FaultCode, PhotoError
from depthd.contract.messages import Blocked, Broken, Message, Published, Refused
from depthd.contract.names import candidates, readable
from depthd.contract.status import moment
from depthd.estimate.estimator import DepthEstimator, Estimate, Prepared
from depthd.publish.publisher import NamesTaken, PublishedFile, Publisher
from depthd.render.render import Rendered, render
from depthd.spool import NO_PLACE, Job, original_path
from depthd.system import files
from depthd.worker.streams import Streams

_DISK_TROUBLE = frozenset({errno.EIO, errno.EBADMSG, errno.EUCLEAN})
# Nothing that this photo has done, nor what will last.
_SHORTAGE = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EACCES, errno.ENOSPC})
_BYTES_A_PIXEL = 8  # in a file; 16-bit RGBA without compression has as many


@dataclass(frozen=True)
class Task:
    """One photo on its way through the worker."""

    id: str
    name: str
    stamp: str
    claimed: float  # seconds since the epoch
    attempts: int
    path: Path

    @classmethod
    def of(cls, job: Job, work: Path) -> Task:
        path = original_path(work, job.id)
        return cls(job.id, job.name, job.stamp, job.claimed, job.attempts, path)


@dataclass(frozen=True)
class _Decoded:
    """A task after the first stage."""

    task: Task
    started: float  # seconds since the epoch
    source: manifest.Source
    prepared: Prepared
    read: float  # milliseconds


@dataclass(frozen=True)
class _Inferred:
    """A task after the second stage."""

    task: Task
    decoded: _Decoded
    raw: NDArray[np.float32]
    infer: float  # milliseconds


class _HasTask(Protocol):
    @property
    def task(self) -> Task: ...


@dataclass(frozen=True)
class _Submitted:
    """A task before the first stage."""

    task: Task


_In = TypeVar("_In", bound=_HasTask)
_Out = TypeVar("_Out")


@dataclass
class _Stage(Generic[_In, _Out]):
    """Work that a number of threads do on what comes in; None ends them all."""

    name: str
    threads: int
    inlet: Queue[_In | None]
    work: Callable[[_In], _Out]
    outlet: Queue[_Out | None] | None
    _leaving: threading.Lock = field(default_factory=threading.Lock)

    def leave(self) -> None:
        """A thread has seen None: the next one sees it too, and after the last the next stage."""
        with self._leaving:
            self.threads -= 1
            if self.threads:
                self.inlet.put(None)
            elif self.outlet is not None:
                self.outlet.put(None)


class Pipeline:
    """Takes tasks, says one message about each.

    Args:
        estimator: decodes, infers and resizes.
        publisher: the outbox.
        say: called from several threads, once for each task, in any order.
    """

    def __init__(
        self, estimator: DepthEstimator, publisher: Publisher, say: Callable[[Message], None]
    ) -> None:
        self._estimator = estimator
        self._policy = estimator.config.output
        self._publisher = publisher
        self._say = say
        # The stages keep the processors busy; OpenCV's own threads would only wait for each other.
        cv2.setNumThreads(1)
        self._streams = Streams(estimator.engine)
        self._submitted: Queue[_Submitted | None] = Queue()
        decoded: Queue[_Decoded | None] = Queue(1)
        inferred: Queue[_Inferred | None] = Queue(1)
        self._threads = [
            threading.Thread(target=self._run, args=[stage], name=stage.name, daemon=True)
            for stage in (
                _Stage("decode", 1, self._submitted, self._decode, decoded),
                _Stage("infer", estimator.engine.most_streams, decoded, self._infer, inferred),
                _Stage("publish", 2, inferred, self._publish, None),
            )
            for _ in range(stage.threads)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, task: Task) -> None:
        """Take a task; the caller bounds how many are on their way."""
        self._submitted.put(_Submitted(task))

    def close(self) -> None:
        """Finish what was submitted, then end."""
        self._submitted.put(None)
        for thread in self._threads:
            thread.join()
        self._streams.close()

    def _run(self, stage: _Stage[_In, _Out]) -> None:
        """A stage's thread: take, work, hand on; a fault ends that one photo's way."""
        while (item := stage.inlet.get()) is not None:
            try:
                result = stage.work(item)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is said of this photo
                self._say(_account(item.task, error))
            else:
                if stage.outlet is not None:
                    stage.outlet.put(result)
                del result
            del item  # not to be kept while waiting for the next
        stage.leave()

    # stages -----------------------------------------------------------------------------------

    def _decode(self, submitted: _Submitted) -> _Decoded:
        started = time.time()
        clock = time.perf_counter()
        task = submitted.task
        data = _read(task.path, _BYTES_A_PIXEL * self._estimator.config.worker.max_pixels)
        sha256 = hashlib.sha256(data).hexdigest()
        source = manifest.Source.of(task.name, sha256, len(data))
        read = _since(clock)
        return _Decoded(task, started, source, self._estimator.prepare(data, self._policy), read)

    def _infer(self, decoded: _Decoded) -> _Inferred:
        with self._streams.enter():
            clock = time.perf_counter()
            raw = self._estimator.infer(decoded.prepared)
        return _Inferred(decoded.task, decoded, raw, _since(clock))

    def _publish(self, inferred: _Inferred) -> None:
        task = inferred.task
        estimate = self._estimator.finish(inferred.decoded.prepared, inferred.raw, self._policy)
        milliseconds = {"read": inferred.decoded.read, "infer": inferred.infer}
        milliseconds.update(estimate.info.milliseconds)
        clock = time.perf_counter()
        rendered = render(estimate, self._policy)
        milliseconds["render"] = _since(clock)
        clock = time.perf_counter()

        def make_manifest(listed: Sequence[PublishedFile]) -> bytes:
            milliseconds["write"] = _since(clock)
            return _manifest(inferred, estimate, milliseconds, _list(listed, rendered))

        try:
            target = self._publisher.publish(
                task.id, task.name, task.stamp, rendered, make_manifest
            )
        except OSError as error:
            if error.errno in NO_PLACE:
                raise PhotoError(FaultCode.NO_PLACE, str(error)) from error
            self._say(Blocked(job=task.id, detail=f"the outbox cannot be written: {error}"))
            return
        milliseconds["publish"] = _since(clock)
        self._say(
            Published(
                job=task.id,
                candidate=_number(target, candidates(task.name, task.stamp)),
                milliseconds=milliseconds,
                notes=estimate.info.photo.notes,
            )
        )


def _number(target: str, names: Iterable[str]) -> int:
    return next(number for number, name in enumerate(names) if name == target)


def rehearse(estimator: DepthEstimator) -> None:
    """Take two tiny pictures through every stage, so that nothing is left to be loaded later.

    A module that fails to load in the middle of a photo (no descriptor free, say) would spoil
    this one and all that follow.
    """
    policy = estimator.config.output
    Image.init()
    for kind in (".png", ".jpg"):
        _, data = cv2.imencode(kind, np.zeros((32, 32, 3), np.uint8))
        prepared = estimator.prepare(data.tobytes(), policy)
    render(estimator.finish(prepared, estimator.infer(prepared), policy), policy)


def _list(
    published: Sequence[PublishedFile], rendered: Sequence[Rendered]
) -> tuple[manifest.OutputFile, ...]:
    return tuple(
        manifest.OutputFile(
            format=result.format,
            name=readable(file.name),
            suffix=file.suffix,
            sha256=file.sha256,
            bytes=file.bytes,
            scale=result.scale,
            offset=result.offset,
        )
        for file, result in zip(published, rendered, strict=True)
    )


def _manifest(
    inferred: _Inferred,
    estimate: Estimate,
    milliseconds: dict[str, float],
    listed: tuple[manifest.OutputFile, ...],
) -> bytes:
    info, task = estimate.info, inferred.task
    return manifest.Manifest(
        depthd=__version__,
        job=task.id,
        attempts=task.attempts,
        source=inferred.decoded.source,
        photo=info.photo,
        model=info.model,
        depth=info.depth,
        times=manifest.Times(
            claimed=moment(task.claimed),
            started=moment(inferred.decoded.started),
            published=moment(time.time()),
        ),
        milliseconds=milliseconds,
        files=listed,
    ).to_bytes()


def _account(task: Task, error: Exception) -> Message:
    """What is said of a task that ended with an exception."""
    if isinstance(error, PhotoError):
        return Refused(job=task.id, code=error.code, detail=error.detail)
    if isinstance(error, NamesTaken):
        return Refused(job=task.id, code=FaultCode.NO_PLACE, detail="every name is taken")
    if isinstance(error, OSError) and error.errno in _SHORTAGE:
        return Blocked(job=task.id, detail=f"photos cannot be read: {error}")
    if isinstance(error, MemoryError):
        return Broken(job=task.id, code=FaultCode.WORKER_OUT_OF_MEMORY, detail=str(error))
    where = traceback.extract_tb(error.__traceback__)[-1]
    detail = f"{type(error).__name__}: {error} ({os.path.basename(where.filename)}:{where.lineno})"
    return Broken(job=task.id, code=FaultCode.WORKER_CRASHED, detail=detail)


def _read(path: Path, limit: int) -> bytes:
    """A photo's bytes.

    Raises:
        PhotoError: it is larger than any photo of max_pixels, or the disk reports an error.
    """
    try:
        with (
            files.directory(path.parent) as folder,
            os.fdopen(files.open_regular(path.name, folder), "rb") as file,
        ):
            size = os.fstat(file.fileno()).st_size
            if size > limit:
                raise PhotoError(FaultCode.TOO_LARGE, f"the file has {size} bytes")
            return file.read(limit + 1)
    except OSError as error:
        if error.errno not in _DISK_TROUBLE:
            raise
        raise PhotoError(FaultCode.UNREADABLE, error.strerror or str(error)) from error


def _since(clock: float) -> float:
    """Milliseconds since a time of time.perf_counter."""
    return round((time.perf_counter() - clock) * 1000, 3)
