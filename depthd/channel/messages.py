"""What supervisor and worker say to each other: one JSON object a packet over a socket pair.

No file name crosses it. With each `Work` go open descriptors: the photo, to be read, and one file
for each format of its policy, in that order, to be written. Whatever does not parse is a fault of
the other side. `Hello` keeps its form for ever, so that two versions can tell each other apart.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from depthd.config import FolderPolicy
from depthd.contract.errors import ExitCode, FaultCode
from depthd.contract.manifest import Facts

LARGEST_PACKET = 1 << 17  # bytes; below what a socket takes in one piece
MOST_DESCRIPTORS = 32
_LONGEST_COMPLAINT = 300  # characters


class Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Setup(Message):
    """To the worker, first: what it serves with."""

    kind: Literal["setup"] = "setup"
    version: str
    config: dict[str, Any]
    is_busy: bool  # a stream of photos waits for it


class Work(Message):
    """To the worker: this job is yours; its attempt is on disk."""

    kind: Literal["work"] = "work"
    job: str
    policy: FolderPolicy


class Hello(BaseModel):
    """From the worker, first: which version it is."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    kind: Literal["hello"] = "hello"
    version: str


class Step(Message):
    """From the worker, before it is ready: what it is doing."""

    kind: Literal["step"] = "step"
    text: str


class Ready(Message):
    """From the worker: the model is loaded and has run once."""

    kind: Literal["ready"] = "ready"
    model: str
    sha256: str
    fallback: bool
    source: str
    weights: str  # path of the file
    engine: str
    engine_version: str
    precision: str
    threads: int
    cage: str  # what shuts it in, in words


class Unavailable(Message):
    """From the worker: it cannot be ready; the code says whether trying again may help."""

    kind: Literal["unavailable"] = "unavailable"
    message: str
    hint: str
    exit_code: ExitCode


class Started(Message):
    """From the worker: it works on a job now, and no longer keeps it waiting."""

    kind: Literal["started"] = "started"
    job: str


class Rendered(Message):
    """From the worker: the files of a job hold its results."""

    kind: Literal["rendered"] = "rendered"
    job: str
    facts: Facts


class Refused(Message):
    """From the worker: the photo itself is at fault."""

    kind: Literal["refused"] = "refused"
    job: str
    code: FaultCode
    detail: str


class Broken(Message):
    """From the worker: work on a job failed for a reason that may not be the photo's."""

    kind: Literal["broken"] = "broken"
    job: str
    code: FaultCode
    detail: str


class Blocked(Message):
    """From the worker: a job's results cannot be written, or its photo not read, now."""

    kind: Literal["blocked"] = "blocked"
    job: str
    detail: str
    is_unread: bool = False  # its photo; else its results


FromWorker = Annotated[
    Hello | Step | Ready | Unavailable | Started | Rendered | Refused | Broken | Blocked,
    Field(discriminator="kind"),
]
_FROM_WORKER: TypeAdapter[FromWorker] = TypeAdapter(FromWorker)


class ProtocolError(Exception):
    """The other side said something that is no message."""


def encode(message: BaseModel) -> bytes:
    """One packet."""
    return message.model_dump_json().encode()


def decode(packet: bytes) -> FromWorker:
    """A message of the worker.

    Raises:
        ProtocolError: it is none.
    """
    try:
        return _FROM_WORKER.validate_json(packet)
    except ValidationError as error:
        words = " ".join(str(error).split())
        raise ProtocolError(words[:_LONGEST_COMPLAINT]) from error
