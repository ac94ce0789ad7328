"""Is the service well? Every reason for which it is not, declared once, with what to do.

Judges a `Status`; knows no files and no configuration. The documents' tables are made from here,
and so is `status.schema.json` (`python -m depthd.contract.health`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Literal

from pydantic import Field

from depthd.contract.errors import ExitCode
from depthd.contract.status import Part, Status, span


class Health(StrEnum):
    """What `depthd status` ends with."""

    WELL = "well"
    DEGRADED = "degraded"
    DOWN = "down"


EXIT_CODES: dict[Health, ExitCode] = {
    Health.WELL: ExitCode.OK,
    Health.DEGRADED: ExitCode.FAILURE,
    Health.DOWN: ExitCode.DOWN,
}


class Cause(StrEnum):
    """Why the service is not well; stable."""

    STOPPED = "stopped"
    GONE = "gone"
    SILENT = "silent"
    PAUSED = "paused"
    NO_INBOX = "no_inbox"
    WORKER_DYING = "worker_dying"
    FALLBACK = "fallback"
    DISK_FILLS = "disk_fills"
    WAITS_LONG = "waits_long"
    FOLDER_HELD = "folder_held"
    HOOK_BEHIND = "hook_behind"


@dataclass(frozen=True)
class CauseMeaning:
    """How bad it is, what it means, and what to do."""

    health: Health
    text: str
    hint: str


CAUSES: dict[Cause, CauseMeaning] = {
    Cause.STOPPED: CauseMeaning(
        Health.DOWN,
        "The daemon was stopped.",
        "Start it: 'systemctl start depthd', or 'depthd run'.",
    ),
    Cause.GONE: CauseMeaning(
        Health.DOWN,
        "The daemon has ended without a word: it was killed, or the power failed.",
        "Look at 'journalctl -u depthd' and start it again; no photo is lost.",
    ),
    Cause.SILENT: CauseMeaning(
        Health.DOWN,
        "The daemon's process is there, but has written no status for half a minute.",
        "Look whether the disk of state/ is full or hangs; then restart the daemon.",
    ),
    Cause.PAUSED: CauseMeaning(
        Health.DEGRADED,
        "Results cannot be written; photos wait.",
        "Make room, or mend the folder that is named; the daemon goes on by itself.",
    ),
    Cause.NO_INBOX: CauseMeaning(
        Health.DEGRADED,
        "The inbox cannot be read, so no photo is taken.",
        "Mount it or mend its rights; the daemon looks for it by itself.",
    ),
    Cause.WORKER_DYING: CauseMeaning(
        Health.DEGRADED,
        "No worker serves, or workers died more than five times within an hour.",
        "Look at 'depthd logs --event worker.died --event worker.killed'; 'depthd check' tries the "
        "network and its memory.",
    ),
    Cause.FALLBACK: CauseMeaning(
        Health.DEGRADED,
        "The built-in network serves, because no weights were found for the one asked for.",
        "Get them with 'depthd model fetch', or ask for the built-in one: model.name: builtin.",
    ),
    Cause.DISK_FILLS: CauseMeaning(
        Health.DEGRADED,
        "At the rate of the last day the results' disk is full within a day.",
        "Take results and originals away, let retention remove the oldest, or write less for each "
        "photo: output.size, output.formats.",
    ),
    Cause.WAITS_LONG: CauseMeaning(
        Health.DEGRADED,
        "A photo has waited longer than status.max_wait.",
        "More photos come than this box can work on, or photos are held up; see the queue and what "
        "is set aside.",
    ),
    Cause.FOLDER_HELD: CauseMeaning(
        Health.DEGRADED,
        "The results of one folder cannot be written; its photos wait.",
        "Mend the folder in the outbox that is named; its photos go on by themselves.",
    ),
    Cause.HOOK_BEHIND: CauseMeaning(
        Health.DEGRADED,
        "Somebody who is to be told of photos has taken nothing for ten minutes.",
        "Look at 'depthd logs --event hook.failed', and at the receiver; news waits until "
        "hooks.give_up.",
    ),
}

_MANY_DEATHS = 5  # within an hour: one killer photo alone takes max_attempts and one more
_SOON = 1.0  # days
_BEHIND = timedelta(minutes=10)  # a receiver may be restarted


class Reason(Part):
    """One thing that is not well, now."""

    cause: Cause = Field(description="see the causes")
    sentence: str = Field(description="for people")
    hint: str = Field(description="what to do, for people")


class Judged(Status):
    """What `depthd status --json` prints: the status, and what to think of it.

    While the daemon is down, `queue` and `disk` are counted anew; the rest is what it said last.
    """

    schema_name: Literal["depthd.status/1"] = Field(
        "depthd.status/1",
        alias="schema",
        description="depthd.status/1; fields may come, none goes or changes its meaning within it",
    )
    health: Health = Field(description="well, degraded or down")
    reasons: tuple[Reason, ...] = Field(description="why it is not well")
    trouble: str = Field(description="why this is not of now; empty where it is")


def judge(status: Status, now: datetime, max_wait: float) -> Judged:
    """What to think of a status.

    Args:
        status: what the daemon said last.
        now: the time.
        max_wait: `status.max_wait`, in seconds; 0 is no limit.
    """
    reasons = tuple(
        Reason(cause=cause, sentence=sentence, hint=CAUSES[cause].hint)
        for cause, sentence in _found(status, now, max_wait)
    )
    return Judged(
        **dict(status),
        schema="depthd.status/1",
        health=_worst(reasons),
        reasons=reasons,
        trouble=status.outdated(now),
    )


def _worst(reasons: tuple[Reason, ...]) -> Health:
    found = {CAUSES[reason.cause].health for reason in reasons}
    return next((h for h in (Health.DOWN, Health.DEGRADED) if h in found), Health.WELL)


def _found(status: Status, now: datetime, max_wait: float) -> list[tuple[Cause, str]]:
    found: list[tuple[Cause, str]] = []
    absence = status.absence(now)
    if absence:
        found.append((Cause(absence), f"{_capital(status.outdated(now))}."))
    else:
        found += _of_a_running_one(status)
        found += [
            (
                Cause.HOOK_BEHIND,
                f"The {kind} of hooks takes nothing since {_time(each.since)}: {each.reason}.",
            )
            for kind, each in status.hooks.items()
            if now - each.since >= _BEHIND
        ]
    disk, since = status.disk, status.queue.since
    if disk is not None and disk.days_left is not None and disk.days_left < _SOON:
        words = (
            f"The results' disk is full in {disk.days_left * 24:.1f} hours at the rate of the last "
            f"day ({disk.free / 1e9:.1f} GB free)."
        )
        found.append((Cause.DISK_FILLS, words))
    if max_wait and since is not None and (wait := now - since) > timedelta(seconds=max_wait):
        found.append(
            (Cause.WAITS_LONG, f"A photo has waited for {span(wait)}, since {_time(since)}.")
        )
    return found


def _of_a_running_one(status: Status) -> list[tuple[Cause, str]]:
    found: list[tuple[Cause, str]] = []
    worker = status.worker
    if status.state == "paused":
        found.append((Cause.PAUSED, f"Results cannot be written; photos wait: {status.why}."))
    if status.inbox:
        found.append((Cause.NO_INBOX, f"The inbox cannot be read: {status.inbox}."))
    if worker.trouble and not worker.ready:
        found.append((Cause.WORKER_DYING, f"No worker serves: {worker.trouble}."))
    elif worker.deaths > _MANY_DEATHS:
        words = f"Workers died {worker.deaths} times within the last hour."
        found.append((Cause.WORKER_DYING, words))
    if status.model is not None and status.model.fallback:
        found.append((Cause.FALLBACK, CAUSES[Cause.FALLBACK].text))
    if status.held_folders:
        folder, reason = next(iter(status.held_folders.items()))
        more = len(status.held_folders) - 1
        others = f" (and {more} more folders)" if more else ""
        found.append(
            (Cause.FOLDER_HELD, f"Results of {folder}/ cannot be written{others}: {reason}.")
        )
    return found


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def schema_text() -> str:
    """Exactly what `status.schema.json` holds."""
    schema = Judged.model_json_schema(mode="serialization")
    whole = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
    return json.dumps(whole, indent=2) + "\n"


if __name__ == "__main__":
    Path(__file__).with_name("status.schema.json").write_text(schema_text(), encoding="utf-8")
