"""Every way in which something can go wrong, each declared once.

Two families: `DepthdError` ends a command (it carries the exit code and the advice),
`PhotoError` fails one photo (it carries a stable fault code). Nothing here does I/O.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum


class ExitCode(IntEnum):
    """Exit codes of every command (sysexits.h); systemd does not restart on 64, 69 and 78."""

    OK = 0
    FAILURE = 1  # photos failed, a check found what would not work, or the service is degraded
    DOWN = 2  # only of `depthd status`
    USAGE = 64
    NO_INPUT = 66
    UNAVAILABLE = 69
    CANNOT_CREATE = 73
    TEMPORARY = 75
    CONFIGURATION = 78


EXIT_MEANINGS: dict[ExitCode, str] = {
    ExitCode.OK: "all went well",
    ExitCode.FAILURE: "some photos failed, a check found something that would not work, or the "
    "service is degraded (`status`)",
    ExitCode.DOWN: "the service is down (`status`)",
    ExitCode.USAGE: "the command line is wrong",
    ExitCode.NO_INPUT: "a file or folder to read is not there",
    ExitCode.UNAVAILABLE: "weights or engine cannot be had; trying again does not help",
    ExitCode.CANNOT_CREATE: "a folder or file cannot be created",
    ExitCode.TEMPORARY: "an unexpected error; trying again may help",
    ExitCode.CONFIGURATION: "the configuration is wrong; all errors are listed",
}


def words_of(error: BaseException) -> str:
    """An error for people: what the system said, without number and path, or its own text."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error)


class DepthdError(Exception):
    """A command cannot go on. `message` says what and where, `hint` what to do."""

    exit_code = ExitCode.TEMPORARY

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(DepthdError):
    exit_code = ExitCode.USAGE


class NoInputError(DepthdError):
    exit_code = ExitCode.NO_INPUT


class TemporaryError(DepthdError):
    """It may pass by itself: trying again later helps."""


class UnavailableError(DepthdError):
    """Weights or engine cannot be had; trying again without a change will not help."""

    exit_code = ExitCode.UNAVAILABLE


class OutputError(DepthdError):
    """A folder or file that depthd must write cannot be written."""

    exit_code = ExitCode.CANNOT_CREATE


class ConfigurationError(DepthdError):
    exit_code = ExitCode.CONFIGURATION


class FaultCode(StrEnum):
    """Why a photo went to failed/; stable, written to NAME.error.json as `code`."""

    EMPTY = "empty"
    NOT_AN_IMAGE = "not_an_image"
    UNSUPPORTED = "unsupported"
    TRUNCATED = "truncated"
    DAMAGED = "damaged"
    TOO_MANY_PIXELS = "too_many_pixels"
    TOO_LARGE = "too_large"
    TOO_COSTLY = "too_costly"
    UNREADABLE = "unreadable"
    NO_PLACE = "no_place"
    FORBIDDEN_ACCESS = "forbidden_access"
    INTERNAL_ERROR = "internal_error"
    WORKER_CRASHED = "worker_crashed"
    WORKER_TIMEOUT = "worker_timeout"
    WORKER_OUT_OF_MEMORY = "worker_out_of_memory"


@dataclass(frozen=True)
class Fault:
    """What a fault code means, and what the person who dropped the photo can do."""

    sentence: str
    hint: str


FAULTS: dict[FaultCode, Fault] = {
    FaultCode.EMPTY: Fault(
        "The file holds no bytes.",
        "The upload probably broke off; send the photo again.",
    ),
    FaultCode.NOT_AN_IMAGE: Fault(
        "The file's content is not an image, whatever its name says.",
        "Open it with an image viewer; if it really is a picture, save it as JPEG or PNG.",
    ),
    FaultCode.UNSUPPORTED: Fault(
        "The file is an image of a kind that depthd does not read.",
        "See what was found; save it as JPEG or PNG with one ordinary picture in it.",
    ),
    FaultCode.TRUNCATED: Fault(
        "The file ends before the picture does.",
        "The upload probably broke off; send the photo again.",
    ),
    FaultCode.DAMAGED: Fault(
        "Part of the picture's data is damaged and cannot be shown.",
        "Send the photo again from the camera; check the card or disk that it came from.",
    ),
    FaultCode.TOO_MANY_PIXELS: Fault(
        "The picture has more pixels than worker.max_pixels allows.",
        "Scale it down, or raise worker.max_pixels (and the memory of the box).",
    ),
    FaultCode.TOO_LARGE: Fault(
        "The file or one of its metadata blocks is larger than depthd accepts.",
        "Save the picture again without embedded data.",
    ),
    FaultCode.TOO_COSTLY: Fault(
        "The picture is made so that reading it takes far more time or memory than its size tells.",
        "Save it again as an ordinary JPEG (not progressive) or PNG.",
    ),
    FaultCode.UNREADABLE: Fault(
        "The operating system reports an error when the file is read.",
        "Check the disk that holds the inbox, then move the photo back to the inbox.",
    ),
    FaultCode.NO_PLACE: Fault(
        "The results' names or folder are taken by something else.",
        "Look for a file where the outbox needs a folder of that name, and move it away.",
    ),
    FaultCode.FORBIDDEN_ACCESS: Fault(
        "While this photo was read, something tried to open a file, a socket or a process.",
        "The worker is shut in, so it could not; the photo may be an attack on a decoder.",
    ),
    FaultCode.INTERNAL_ERROR: Fault(
        "A fault of depthd's own kept it from working on this photo.",
        "Please report it with the detail given here; other photos are not affected.",
    ),
    FaultCode.WORKER_CRASHED: Fault(
        "The worker process died each time it worked on this photo alone.",
        "Keep the file and report it; other photos are not affected.",
    ),
    FaultCode.WORKER_TIMEOUT: Fault(
        "The photo took longer than worker.timeout, alone too.",
        "Raise worker.timeout if the photo is large and the box is slow.",
    ),
    FaultCode.WORKER_OUT_OF_MEMORY: Fault(
        "The memory of the worker did not suffice for this photo, tried alone.",
        "Scale the photo down, or raise worker.max_memory or the service's memory limit.",
    ),
}


class PhotoError(Exception):
    """One photo cannot become depth, and that is the photo's own fault.

    Args:
        code: the stable code.
        detail: what exactly was found, for people; may be empty.
    """

    def __init__(self, code: FaultCode, detail: str = "") -> None:
        super().__init__(f"{code}: {detail or FAULTS[code].sentence}")
        self.code = code
        self.detail = detail
