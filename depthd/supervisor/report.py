"""What the service says of itself: state/status.json, the line of `systemctl status`.

Reads the other rooms of the supervisor, changes nothing.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from depthd import __version__
from depthd.channel.messages import Ready
from depthd.contract import status
from depthd.contract.names import printable
from depthd.contract.status import Status, StatusState
from depthd.hooks.sender import Trouble
from depthd.spool.holds import Holds
from depthd.supervisor.dispatch import Dispatcher
from depthd.supervisor.keeper import Keeper

_SHOWN = 20  # photos and folders that wait, by name
_LONGEST_REASON = 500  # characters


@dataclass(frozen=True)
class Moment:
    """What the loop knows besides.

    Attributes:
        state: of the service.
        why: it is in this state; empty where that needs no reason.
        started: when the service was.
        now: the time.
        clock: the same in seconds of the loop's clock.
        waiting: photos known in the inbox.
        held: by an operator, see `Holds`.
        oldest_waiting: since when the first of them has waited, in seconds since the epoch.
        disk: the results' disk, as the last look showed it.
        inbox: why no inbox can be read.
        reload: the last one.
        hooks: receivers that take nothing.
    """

    state: StatusState
    why: str
    started: datetime
    now: datetime
    clock: float
    waiting: int
    held: Holds
    oldest_waiting: float | None
    disk: status.Disk | None
    inbox: str
    reload: status.Reload | None
    hooks: Mapping[str, Trouble]


def report(moment: Moment, dispatcher: Dispatcher, keeper: Keeper) -> Status:
    """The whole status."""
    home = dispatcher.home
    aside = [entry for entry in home.table if entry.reason]
    oldest = min((entry.job.claimed for entry in home.table), default=None)
    return Status(
        version=__version__,
        pid=os.getpid(),
        state=moment.state,
        why=_shown(moment.why),
        started=moment.started,
        updated=moment.now,
        hooks={
            kind: status.HookTrouble(
                since=status.moment(trouble.since), reason=_shown(trouble.reason)
            )
            for kind, trouble in moment.hooks.items()
        },
        queue=status.Queue(
            waiting=moment.waiting,
            in_work=len(home.table),
            oldest=_moment(oldest),
            oldest_waiting=_moment(moment.oldest_waiting),
            aside=len(aside),
        ),
        aside=tuple(
            status.Aside(name=entry.job.name, reason=_shown(entry.reason), tries=entry.tries)
            for entry in islice(aside, _SHOWN)
        ),
        held_folders={
            printable(folder) or ".": _shown(reason)
            for folder, reason in islice(home.holds.reasons().items(), _SHOWN)
        },
        held_by_operator=status.held_since(moment.held),
        reload=moment.reload,
        done=home.totals.done,
        failed=home.totals.failed,
        skipped=home.totals.skipped,
        rates=status.rates(home.finished_at, moment.clock),
        worker=status.Worker(
            pid=keeper.pid,
            ready=keeper.ready is not None,
            restarts=keeper.restarts,
            deaths=keeper.deaths(moment.clock),
            trouble=_shown(keeper.trouble),
            cage=keeper.ready.cage if keeper.ready else "",
        ),
        model=_model(keeper.ready),
        disk=moment.disk,
        inbox=_shown(moment.inbox),
        last_failures=tuple(home.failures),
    )


def _moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else status.moment(seconds)


def _shown(reason: str) -> str:
    """A reason, which may be a worker's words, as one line of bounded length."""
    return printable(reason[:_LONGEST_REASON])


def in_words(now: Status) -> str:
    """The line that `systemctl status` shows."""
    waiting = now.queue.waiting + now.queue.in_work
    words = [
        f"{now.state} ({now.why})" if now.why else now.state,
        f"{now.done} done, {now.failed} failed, {waiting} waiting",
    ]
    if held := ", ".join(now.held_by_operator):
        words.append("held: everything" if "." in now.held_by_operator else f"held: {held}")
    if now.queue.aside:
        words.append(f"{now.queue.aside} set aside")
    if served := now.model:
        fallback = " (fallback)" if served.fallback else ""
        words.append(f"{served.name}{fallback} on {served.engine}")
    return "; ".join(words)


def _model(ready: Ready | None) -> status.Model | None:
    if ready is None:
        return None
    return status.Model(
        name=ready.model,
        sha256=ready.sha256,
        fallback=ready.fallback,
        engine=ready.engine,
        precision=ready.precision,
    )
