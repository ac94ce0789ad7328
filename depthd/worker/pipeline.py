"""Jobs through decode, infer and render, overlapped.

While the network runs on one photo, or on two (see `streams`), the next is decoded and the last two
are rendered and written: one waits for the disk while the other is encoded. Queues of one hold the
look-ahead, and with it the memory, bounded. A fault in one photo is reported for that photo alone;
the caller decides what follows from it. Knows open descriptors, no names and no folders.
"""

from __future__ import annotations

import errno
import hashlib
import os
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from queue import Queue
from typing import Generic, Protocol, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from depthd.channel.messages import Blocked, Broken, Message, Refused, Rendered, Started, Work
from depthd.config import FolderPolicy
from depthd.contract.errors import FaultCode, PhotoError, words_of
from depthd.contract.formats import Format
from depthd.contract.manifest import Facts, FileFacts
from depthd.contract.status import moment
from depthd.estimate.estimator import DepthEstimator, Prepared
from depthd.render.promise import promised_bytes
from depthd.render.render import Rendered as RenderedFile
from depthd.render.render import render
from depthd.system import files
from depthd.worker.room import NoRoom, Room
from depthd.worker.streams import Streams

_DISK_TROUBLE = frozenset({errno.EIO, errno.EBADMSG, errno.EUCLEAN})
_BYTES_A_PIXEL = 8  # in a file; 16-bit RGBA without compression has as many
_READ_AT_ONCE = 1 << 22
_LONGEST_TRACE = 4000  # characters
_FRAMES = 6


@dataclass(frozen=True)
class Task:
    """One photo on its way through the worker, with the descriptors that are now its own.

    Attributes:
        id: of the job.
        policy: of its folder.
        original: the photo, for reading.
        files: for writing, one for each format of the policy.
    """

    id: str
    policy: FolderPolicy
    original: int
    files: dict[Format, int]

    @classmethod
    def of(cls, work: Work, descriptors: Sequence[int]) -> Task:
        original, *results = descriptors
        files = dict(zip(work.policy.formats, results, strict=True))
        return cls(work.job, work.policy, original, files)

    def close(self) -> None:
        """Close all of them.

        Raises:
            OSError: a result has not reached its disk; network file systems write this late.
        """
        with ExitStack() as all_of_them:
            for descriptor in (self.original, *self.files.values()):
                all_of_them.callback(os.close, descriptor)


@dataclass(frozen=True)
class _Decoded:
    """A task after the first stage."""

    task: Task
    started: float  # seconds since the epoch
    sha256: str
    size: int  # bytes of the photo
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


class _Unread(Exception):
    """A photo cannot be read now; it may pass."""


class Pipeline:
    """Takes tasks, says one last message about each.

    Args:
        estimator: decodes, infers and resizes.
        say: called from several threads: `Started` and one answer for each task, in any order.
        min_free: bytes that the results leave free on the disk.
    """

    def __init__(
        self, estimator: DepthEstimator, say: Callable[[Message], None], *, min_free: int = 0
    ) -> None:
        self._estimator = estimator
        self._say = say
        self._room = Room(min_free)
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
                _Stage("render", 2, inferred, self._render, None),
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
                self._answer(item.task, _account(item.task, error))
            else:
                if stage.outlet is not None:
                    stage.outlet.put(result)
                del result
            del item  # not to be kept while waiting for the next
        stage.leave()

    def _answer(self, task: Task, message: Message) -> None:
        self._room.release(task.id)
        try:
            task.close()
        except OSError as error:
            if isinstance(message, Rendered):
                message = _account(task, error)
        self._say(message)

    # stages -----------------------------------------------------------------------------------

    def _decode(self, submitted: _Submitted) -> _Decoded:
        task = submitted.task
        self._say(Started(job=task.id))
        started = time.time()
        clock = time.perf_counter()
        data = _read(task.original, _BYTES_A_PIXEL * self._estimator.config.worker.max_pixels)
        sha256 = hashlib.sha256(data).hexdigest()
        read = _since(clock)
        header = self._estimator.header(data)
        input_size = self._estimator.config.model.input_size
        needs = promised_bytes(header.width, header.height, task.policy, input_size)
        self._room.promise(task.id, task.files, needs)
        prepared = self._estimator.prepare(data, task.policy)
        return _Decoded(task, started, sha256, len(data), prepared, read)

    def _infer(self, decoded: _Decoded) -> _Inferred:
        with self._streams.enter():
            clock = time.perf_counter()
            raw = self._estimator.infer(decoded.prepared)
        return _Inferred(decoded.task, decoded, raw, _since(clock))

    def _render(self, inferred: _Inferred) -> None:
        task, decoded = inferred.task, inferred.decoded
        stages = {"read": decoded.read, **decoded.prepared.milliseconds, "infer": inferred.infer}
        prepared = replace(decoded.prepared, milliseconds=stages)
        estimate = self._estimator.finish(prepared, inferred.raw, task.policy)
        milliseconds = {**estimate.info.milliseconds}
        clock = time.perf_counter()
        rendered = render(estimate, task.policy)
        milliseconds["render"] = _since(clock)
        clock = time.perf_counter()
        written = tuple(_write(result, task.files[result.format]) for result in rendered)
        milliseconds["write"] = _since(clock)
        facts = Facts(
            source_sha256=decoded.sha256,
            source_size=decoded.size,
            photo=estimate.info.photo,
            model=estimate.info.model,
            depth=estimate.info.depth,
            metres=estimate.info.metres,
            space=estimate.info.space,
            started=moment(decoded.started),
            milliseconds=milliseconds,
            files=written,
        )
        self._answer(task, Rendered(job=task.id, facts=facts))


def rehearse(estimator: DepthEstimator) -> None:
    """Take tiny pixels through every stage, so that nothing is left to be loaded later.

    Afterwards the worker is shut in, and can open no file and load no module any more. The
    decoders need no rehearsal: `load_decoders` has loaded all that they will.
    """
    corners = ((1, 1, 1), (31, 1, 2), (1, 31, 3), (31, 31, 4))
    policy = FolderPolicy(formats=tuple(Format), references=corners)
    prepared = estimator.prepare(np.zeros((32, 32, 3), np.uint8), policy)
    render(estimator.finish(prepared, estimator.infer(prepared), policy), policy)


def _write(result: RenderedFile, descriptor: int) -> FileFacts:
    """Write a result; the disk works while it is hashed."""
    for part in result.parts:
        files.write_all(descriptor, part)
    files.begin_to_sync(descriptor)
    return result.facts()


def _account(task: Task, error: Exception) -> Message:
    """What is said of a task that ended with an exception."""
    match error:
        case PhotoError():
            return Refused(job=task.id, code=error.code, detail=error.detail)
        case NoRoom() | _Unread():
            is_unread = isinstance(error, _Unread)
            return Blocked(job=task.id, detail=str(error), is_unread=is_unread)
        case PermissionError() if error.errno == errno.EPERM:  # the cage says so, no disk
            return Broken(job=task.id, code=FaultCode.FORBIDDEN_ACCESS, detail=_trace(error))
        case OSError():
            return Blocked(job=task.id, detail=words_of(error))
        case MemoryError():
            detail = str(error)
            return Broken(job=task.id, code=FaultCode.WORKER_OUT_OF_MEMORY, detail=detail)
        case _:
            return Broken(job=task.id, code=FaultCode.INTERNAL_ERROR, detail=_trace(error))


def _trace(error: Exception) -> str:
    """Where an error of ours came from: the innermost frames, in one line."""
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
    way = " < ".join(
        f"{os.path.basename(frame.filename)}:{frame.lineno} {frame.name}"
        for frame in reversed(frames)
    )
    return f"{type(error).__name__}: {error} ({way})"[:_LONGEST_TRACE]


def _read(descriptor: int, limit: int) -> bytes:
    """A photo's bytes.

    Raises:
        PhotoError: it is larger than any photo of max_pixels, or the disk reports an error.
        _Unread: it cannot be read now.
    """
    pieces: list[bytes] = []
    size = 0
    try:
        while piece := os.read(descriptor, _READ_AT_ONCE):
            pieces.append(piece)
            size += len(piece)
            if size > limit:
                raise PhotoError(FaultCode.TOO_LARGE, f"the file has more than {limit} bytes")
    except OSError as error:
        words = words_of(error)
        if error.errno in _DISK_TROUBLE:
            raise PhotoError(FaultCode.UNREADABLE, words) from error
        raise _Unread(f"the photo cannot be read: {words}") from error
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _since(clock: float) -> float:
    """Milliseconds since a time of time.perf_counter."""
    return round((time.perf_counter() - clock) * 1000, 3)
