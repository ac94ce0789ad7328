"""From what is seen of an entry to what is done about it: wait, hand out, or leave alone.

Looks at files through `scan`, lets `settle` decide when they are whole and `patterns` whether
they are wanted. Knows no watcher and no loop, and opens no photo.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from depthd.config import Config
from depthd.intake.patterns import Names
from depthd.intake.refusals import Refusals
from depthd.intake.scan import MAX_DEPTH, Found, Looker, Refusal, is_long, refusal
from depthd.intake.settle import Candidate, Settling
from depthd.supervisor.logs import Emit

_LOOKS = 256  # second looks fetched at a time


class Entries:
    """The entries of the inbox, as far as they are known."""

    def __init__(self, inbox: Path, config: Config, emit: Emit, limit: int) -> None:
        self._inbox = inbox
        self.names = Names(config.intake.include, config.intake.exclude, config.intake.litter)
        self.settling = Settling(config.intake.settle, config.intake.rescan_interval, limit)
        self.refusals = Refusals(emit)

    def is_ours(self, name: str) -> bool:
        """Whether an event for this path is worth a look."""
        return not self.names.skips_beneath(name) and name.count("/") <= MAX_DEPTH

    def meet(self, name: str, found: Found, /, *, by_scan: bool) -> bool:
        """A scan came to this entry; returns whether there is room for more.

        `by_scan` as in `Settling.seen`.
        """
        is_settled = self.refusals.meet(name)
        if isinstance(found, Refusal):
            self.refusals.say(name, found)
        elif self.settling.is_ready(name):
            pass  # `take` looks once more
        elif self.names.wants(name) or not is_settled:
            self._measure(name, found, by_scan=by_scan)
        return not self.settling.is_full

    def _measure(self, name: str, found: os.DirEntry[str], *, by_scan: bool) -> None:
        try:
            status = found.stat(follow_symlinks=False)
        except FileNotFoundError:
            self.settling.gone(name)
        except OSError:
            self.refusals.say(name, Refusal.UNREADABLE)
        else:
            seen = _candidate(name, status)
            if self.settling.seen(seen, time.monotonic(), by_scan=by_scan):
                with Looker(self._inbox) as looker:
                    self._judge(name, status, looker)

    def hear(self, name: str, looker: Looker) -> None:
        """An event says that the writer of this file is done."""
        if not self.names.wants(name) and self.refusals.meet(name):
            return
        status = looker.look(name)
        if status is None:
            self.settling.gone(name)
        elif refusal(status) is not None:  # a hard link may lose its other name in a moment
            self._weigh(name, status, looker)
        elif self.settling.closed(_candidate(name, status), time.monotonic()):
            self._judge(name, status, looker)

    def look_again(self, looker: Looker, end: float) -> None:
        """Second looks that are due, until `end`."""
        while names := self.settling.due(time.monotonic(), _LOOKS):
            for name in names:
                status = looker.look(name)
                if status is None:
                    self.settling.gone(name)
                else:
                    self._weigh(name, status, looker)
                if time.monotonic() >= end:
                    return

    def take(self, count: int) -> list[Candidate]:
        """At most `count` whole files, as they looked last; who takes them looks once more."""
        taken: list[Candidate] = []
        while len(taken) < count and (known := self.settling.take()) is not None:
            taken.append(known)
        return taken

    def _weigh(self, name: str, status: os.stat_result, looker: Looker) -> None:
        """A look without an event."""
        reason = refusal(status)
        if reason is not None and reason is not Refusal.HARD_LINK:
            self._refuse(name, reason)
        elif self.settling.seen(_candidate(name, status), time.monotonic()):
            self._judge(name, status, looker)

    def _judge(self, name: str, status: os.stat_result, looker: Looker) -> None:
        """It is whole; is it to be taken?"""
        reason = refusal(status)
        if not self.names.wants(name):
            reason = Refusal.NAME
        elif reason is None and is_long(name):
            reason = Refusal.LONG
        elif reason is None and not looker.is_readable(name):
            if looker.look(name) is None:
                self.settling.gone(name)
                return
            reason = Refusal.UNREADABLE
        if reason is not None:
            self._refuse(name, reason)

    def _refuse(self, name: str, reason: Refusal) -> None:
        self.settling.gone(name)
        self.refusals.say(name, reason)


def _candidate(name: str, status: os.stat_result) -> Candidate:
    return Candidate(name, status.st_size, status.st_mtime_ns, status.st_dev, status.st_ino)
