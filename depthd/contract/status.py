"""What the daemon says of itself in state/status.json, for `depthd status` and for programs.

Knows the shape of that file and when it is out of date; nothing of how the figures come about.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from depthd.contract.errors import FaultCode, NoInputError
from depthd.contract.names import printable

FILE_NAME = "status.json"
HEARTBEAT = 10.0  # seconds between two writings while nothing changes
_LATEST = 253_402_300_799.0  # seconds since the epoch: the end of the year 9999
_OUT_OF_DATE = timedelta(seconds=3 * HEARTBEAT)


StatusState = Literal["starting", "running", "paused", "stopping", "stopped"]


class Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Queue(Part):
    """Photos that wait or are at work."""

    waiting: int = Field(description="known in the inbox")
    in_work: int = Field(description="in work/")
    oldest: datetime | None = Field(None, description="the earliest claim of those in work/")
    oldest_waiting: datetime | None = Field(
        None, description="since when a whole photo has waited in the inbox; up to 10 s old"
    )
    aside: int = Field(0, description="in work/, of which the results cannot be written now")

    @property
    def since(self) -> datetime | None:
        """When the photo came that has waited longest, wherever it is."""
        return min(filter(None, (self.oldest, self.oldest_waiting)), default=None)


class Aside(Part):
    """A photo in work/ that cannot be gone on with now; it is tried again by itself."""

    name: Annotated[str, BeforeValidator(printable)] = Field(description="inside the inbox")
    reason: str = Field(description="for people")
    tries: int = Field(description="in vain")


class Rates(Part):
    """Photos that were done or failed, a minute."""

    last_minute: float = Field(description="over the last minute")
    last_15_minutes: float = Field(description="over the last 15, or since the start")


class Failure(Part):
    """A photo that went to failed/."""

    name: Annotated[str, BeforeValidator(printable)] = Field(description="inside the inbox")
    code: FaultCode = Field(description="why, see the faults")
    at: datetime = Field(description="when")


class Reload(Part):
    """What came of a signal to read the settings again."""

    at: datetime = Field(description="when")
    refused: str = Field("", description="why the new settings are not used; empty where they are")
    changed: tuple[str, ...] = Field(
        (), description="a line for each key: old and new value, and when the new one counts"
    )


class HookTrouble(Part):
    """A receiver of news that takes nothing now; what waits for it is on the disk."""

    since: datetime = Field(description="the first failure in a row")
    reason: str = Field(description="of the last one, for people")


class Worker(Part):
    """The process that holds the network."""

    pid: int | None = Field(description="null while there is none")
    ready: bool = Field(description="it holds the model")
    restarts: int = Field(description="since the start")
    deaths: int = Field(0, description="within the last hour, 100 at most")
    trouble: str = Field("", description="why none serves")
    cage: str = Field("", description="what shuts it in")


class Model(Part):
    """What serves."""

    name: str = Field(description="of the network")
    sha256: str = Field(description="of its weights")
    fallback: bool = Field(description="it is not the network that was asked for")
    engine: str = Field(description="openvino or torch")
    precision: str = Field(description="f32 or bf16")


class Disk(Part):
    """The results' disk, and what photos take of it."""

    free: int = Field(description="bytes free for the daemon")
    min_free: int = Field(description="`disk.min_free`, below which it pauses")
    bytes_a_photo: int | None = Field(
        None, description="of results, on average over the last day; null: none yet"
    )
    photos_a_day: float | None = Field(
        None, description="published, at the rate of the last 24 hours or since the start"
    )
    bytes_a_day: int | None = Field(
        None,
        description="results and originals that came to lie here, at the same rate",
    )
    days_left: float | None = Field(
        None,
        description="until only `min_free` is left at that rate, less what `retention` removes; "
        "null: it does not fill",
    )


class Status(Part):
    """The whole file. Times are UTC; totals count since `started`."""

    version: str = Field(description="of the daemon")
    pid: int = Field(description="of the daemon")
    state: StatusState = Field(description=", ".join(get_args(StatusState)))
    why: str = Field("", description="it is in this state, for people")
    started: datetime = Field(description="when the daemon was")
    updated: datetime = Field(description="when this was written")
    queue: Queue
    done: int = Field(description="photos since the start")
    failed: int = Field(description="photos since the start")
    skipped: int = Field(0, description="photos since the start, for a newer one of their folder")
    rates: Rates
    worker: Worker
    model: Model | None = Field(None, description="null while none serves")
    disk: Disk | None = Field(None, description="null while it cannot be looked at")
    hooks: dict[str, HookTrouble] = Field(
        {}, description="receivers that take nothing now, by kind; see `hooks`"
    )
    inbox: str = Field("", description="why no inbox can be read; empty while one can")
    last_failures: tuple[Failure, ...] = Field((), description="the last 20")
    aside: tuple[Aside, ...] = Field((), description="the first 20 of them")
    held_folders: dict[str, str] = Field(
        {}, description="of the inbox, whose results cannot be written, with the reason"
    )
    held_by_operator: dict[str, datetime] = Field(
        {}, description="folders of the inbox, `.` for all, since when; see `depthd hold`"
    )
    reload: Reload | None = Field(None, description="the last one; null where there was none")

    def outdated(self, now: datetime) -> str:
        """Why this is not the present: the daemon ended or hangs; empty when it is."""
        lines = {
            "stopped": f"the daemon was stopped at {self.updated:%Y-%m-%dT%H:%M:%SZ}",
            "gone": f"the daemon (process {self.pid}) is gone; it was not stopped in order",
            "silent": f"the daemon has said nothing since {self.updated:%Y-%m-%dT%H:%M:%SZ}",
        }
        return lines.get(self.absence(now), "")

    def absence(self, now: datetime) -> Literal["", "stopped", "gone", "silent"]:
        """How the daemon is away; empty while it is there."""
        if self.state == "stopped":
            return "stopped"
        if not _is_alive(self.pid):
            return "gone"
        return "silent" if now - self.updated > _OUT_OF_DATE else ""


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


def held_since(holds: Mapping[str, float]) -> dict[str, datetime]:
    """What an operator holds, as the status names it: a folder, or "." for the whole inbox."""
    return {printable(folder) or ".": moment(since) for folder, since in holds.items()}


def moment(seconds: float) -> datetime:
    """Seconds since the epoch as a time in UTC, to the millisecond.

    A time that no calendar has, as a file system may say it of a photo, becomes the nearest one.
    """
    return datetime.fromtimestamp(round(min(max(seconds, 0.0), _LATEST), 3), UTC)


def span(length: timedelta) -> str:
    """The two largest units: 3 d 4 h, 12 min 5 s."""
    seconds = max(0, int(length.total_seconds()))
    parts: list[str] = []
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        count, seconds = divmod(seconds, size)
        if count or parts or unit == "s":
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2])


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
