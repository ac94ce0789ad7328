"""What supervisor and worker say to each other: one JSON object a line over a socket pair.

No file name crosses it: the worker reads work/JOB/job.json, and answers with the number of the
name that the set got. Whatever does not parse is a fault of the worker.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from depthd.contract.errors import ExitCode, FaultCode

_LONGEST_LINE = 1 << 20


class Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Work(Message):
    """To the worker: this job is yours; its attempt is on disk."""

    kind: Literal["work"] = "work"
    job: str


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
    engine: str
    engine_version: str
    precision: str
    threads: int


class Unavailable(Message):
    """From the worker: it can never be ready without somebody's help."""

    kind: Literal["unavailable"] = "unavailable"
    message: str
    hint: str
    exit_code: ExitCode


class Published(Message):
    """From the worker: the whole set of a job is in the outbox."""

    kind: Literal["published"] = "published"
    job: str
    candidate: int = Field(ge=0)  # which of names.candidates() the set got
    milliseconds: dict[str, float]
    notes: tuple[str, ...]


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
    """From the worker: results cannot be written (disk full, folder away)."""

    kind: Literal["blocked"] = "blocked"
    job: str
    detail: str


FromWorker = Annotated[
    Step | Ready | Unavailable | Published | Refused | Broken | Blocked,
    Field(discriminator="kind"),
]
_FROM_WORKER: TypeAdapter[FromWorker] = TypeAdapter(FromWorker)


class ProtocolError(Exception):
    """The other side said something that is no message."""


def encode(message: Message) -> bytes:
    """One line."""
    return message.model_dump_json().encode() + b"\n"


class Reader:
    """Cuts a stream of bytes into messages of the worker."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[FromWorker]:
        """The messages that are complete with `data`.

        Raises:
            ProtocolError: a line is no message, or has no end.
        """
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > _LONGEST_LINE:
            raise ProtocolError("a line without an end")
        try:
            return [_FROM_WORKER.validate_json(line) for line in lines]
        except ValidationError as error:
            raise ProtocolError(str(error)) from error
