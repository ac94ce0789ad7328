"""What the daemon says of itself in state/status.json, for `depthd status` and for programs.

Knows the shape of that file and when it is out of date; nothing of how the figures come about.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from depthd.contract.errors import FaultCode, NoInputError
from depthd.contract.names import printable

FILE_NAME = "status.json"
HEARTBEAT = 10.0  # seconds between two writings while nothing changes
_OUT_OF_DATE = timedelta(seconds=3 * HEARTBEAT)


StatusState = Literal["starting", "running", "paused", "stopping", "stopped"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Queue(_Part):
    """Photos known in the inbox, and those in work/ with the time of the oldest claim."""

    waiting: int
    in_work: int
    oldest: datetime | None = None
    aside: int = 0


class Aside(_Part):
    """A photo in work/ that cannot be gone on with now; it is tried again by itself."""

    name: Annotated[str, BeforeValidator(printable)]
    reason: str
    tries: int


class Rates(_Part):
    """Photos that were done or failed, a minute."""

    last_minute: float
    last_15_minutes: float


class Failure(_Part):
    name: Annotated[str, BeforeValidator(printable)]
    code: FaultCode
    at: datetime


class Worker(_Part):
    pid: int | None
    ready: bool
    restarts: int
    trouble: str = ""  # why none serves
    cage: str = ""  # what shuts it in


class Model(_Part):
    """What serves. `fallback` means that it is not the network that was asked for."""

    name: str
    sha256: str
    fallback: bool
    engine: str
    precision: str


class Status(_Part):
    """The whole file. Times are UTC; totals count since `started`."""

    version: str
    pid: int
    state: StatusState
    why: str = ""
    started: datetime
    updated: datetime
    queue: Queue
    done: int
    failed: int
    rates: Rates
    worker: Worker
    model: Model | None = None
    last_failures: tuple[Failure, ...] = ()
    aside: tuple[Aside, ...] = ()  # the first of them
    held_folders: dict[str, str] = {}  # of the inbox, with the reason
    held_by_operator: dict[str, datetime] = {}  # folders of the inbox, `.` for all, since when

    def trouble(self, now: datetime) -> str:
        """Why this is not the present: the daemon ended or hangs; empty when it is."""
        if self.state == "stopped":
            return f"the daemon was stopped at {self.updated:%Y-%m-%dT%H:%M:%SZ}"
        if not _is_alive(self.pid):
            return f"the daemon (process {self.pid}) is gone; it was not stopped in order"
        if now - self.updated > _OUT_OF_DATE:
            return f"the daemon has said nothing since {self.updated:%Y-%m-%dT%H:%M:%SZ}"
        return ""


def read(state: Path) -> Status:
    """The status that the daemon wrote last.

    Raises:
        NoInputError: there is none, or it cannot be read.
    """
    path = state / FILE_NAME
    hint = "Is this the daemon's root? Give its -c FILE or --root; 'depthd run' starts one."
    try:
        return Status.model_validate_json(path.read_bytes())
    except OSError as error:
        raise NoInputError(f"no status in {path}: {error.strerror}.", hint) from error
    except ValidationError as error:
        raise NoInputError(f"{path} is not a status of this version.", hint) from error


def rates(finished: Sequence[float], now: float) -> Rates:
    """Rates from the moments at which photos were finished, oldest first, in seconds.

    A list that does not reach back far enough is taken for the time that it covers.
    """
    recent = [now - at for at in finished if now - at <= 900]
    covered = max(60.0, recent[0] if recent else 0.0)
    last_minute = sum(age <= 60 for age in recent)
    return Rates(last_minute=last_minute, last_15_minutes=round(len(recent) * 60 / covered, 1))


def moment(seconds: float) -> datetime:
    """Seconds since the epoch as a time in UTC, to the millisecond."""
    return datetime.fromtimestamp(round(seconds, 3), UTC)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
