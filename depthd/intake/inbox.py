"""Intake: which photos lie in the inbox and are whole.

Ties this package together on the supervisor's loop, in slices of a few milliseconds: the tie to
the inbox, notes of the watcher, second looks, scans. Knows no spool and no worker.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from depthd.config import Config
from depthd.contract.events import Event
from depthd.intake.attachment import Attachment
from depthd.intake.entries import Entries
from depthd.intake.rounds import Rounds
from depthd.intake.scan import Looker, Refusal, walk
from depthd.intake.settle import Candidate
from depthd.intake.watch import Kind, Note, Notes
from depthd.supervisor.logs import Emit

_SLICE = 0.002  # seconds for notes, for second looks and for scans, each
_TRACKED = 100_000  # files remembered at a time; the others are found by later scans


class Intake:
    """What the supervisor sees of the inbox.

    Args:
        config: the folders and the `intake` section.
        wake: makes the loop call `work` soon; called from other threads.
        emit: writes a log event.
    """

    def __init__(self, config: Config, wake: Callable[[], None], emit: Emit) -> None:
        inbox = config.folder("inbox")
        self._inbox = inbox
        self._options = config.intake
        self._emit = emit
        self._entries = Entries(inbox, config, emit, _TRACKED)
        self._settling = self._entries.settling
        self._notes = Notes(wake)
        self._attachment = Attachment(config, self._notes, emit)
        self._losses = 0
        self._rounds = Rounds(
            lambda top: walk(inbox, top, self._entries.names, recursive=config.intake.recursive)
        )

    def start(self) -> None:
        """Look for the inbox and watch it; where that fails, `work` goes on trying."""
        self._check(time.monotonic())

    def stop(self) -> None:
        """End the watcher, within a few seconds at most."""
        self._rounds.reset()
        self._attachment.close()

    @property
    def backlog(self) -> int:
        """Files that are known and not yet taken."""
        return len(self._settling)

    @property
    def drained(self) -> bool:
        """Whether a full scan has ended and there is nothing to take or to wait for."""
        return (
            self._rounds.finished > 0
            and not self._rounds.is_busy
            and not self._settling.is_full
            and not self._settling
            and not self._notes
        )

    def rescan(self) -> None:
        """Ask for a full scan at the next slice."""
        self._rounds.want_all()

    def remaining(self) -> list[tuple[str, str]]:
        return []

    def refuse(self, candidate: Candidate, reason: str) -> None:
        self.put_back(candidate)

    def take(self, count: int, held: object = ()) -> list[Candidate]:
        """At most `count` whole files, the longest waiting first; each once until seen again."""
        return self._entries.take(count)

    def put_back(self, candidate: Candidate) -> None:
        """It was not claimed: look at it again, as if it were new."""
        self._settling.restart(candidate, time.monotonic())

    def work(self, now: float) -> float:
        """One slice of work.

        Args:
            now: the time of `time.monotonic`.

        Returns:
            when to call again, unless `wake` asks for it before.
        """
        if now >= self._attachment.next_check:
            self._check(now)
        if not self._attachment.is_present:
            return self._attachment.next_check
        if self._notes or self._settling.next_due() <= now:
            with Looker(self._inbox) as looker:
                self._read_notes(looker, time.monotonic() + _SLICE)
                self._entries.look_again(looker, time.monotonic() + _SLICE)
        if self._settling.regains_room():
            self._rounds.want_all()
        self._scan(time.monotonic() + _SLICE)
        if self._rounds.is_busy or self._notes:
            return now
        return min(self._attachment.next_check, self._rounds.next_due, self._settling.next_due())

    def _check(self, now: float) -> None:
        wants_scan = self._attachment.check(now)
        if self._losses != self._attachment.losses:
            self._losses = self._attachment.losses
            self._rounds.reset()
            self._settling.clear()
        if wants_scan:
            self._rounds.want_all()
        self._adapt()

    def _adapt(self) -> None:
        """Scan as often, and trust looks as much, as the watcher's state wants it."""
        if self._attachment.is_native:
            self._rounds.repeat_every(self._options.rescan_interval)
            self._settling.trust_looks_after(self._options.settle)
        else:  # network shares answer a look from a cache of some seconds
            self._rounds.repeat_every(self._options.poll_interval)
            self._settling.trust_looks_after(self._options.poll_interval)

    def _scan(self, end: float) -> None:
        finished = self._rounds.finished
        try:
            self._rounds.step(self._entries.meet, end, trust_events=self._attachment.is_native)
        except OSError:  # if the inbox is gone, the next check tells
            self._entries.refusals.say(".", Refusal.UNREADABLE)
        if self._rounds.finished > finished:
            self._entries.refusals.end_round()

    def _read_notes(self, looker: Looker, end: float) -> None:
        for note in self._notes:
            self._read(note, looker)
            if time.monotonic() >= end:
                return

    def _read(self, note: Note, looker: Looker) -> None:
        match note.kind:
            case Kind.OVERFLOW:
                if self._rounds.want_all():
                    self._emit(Event.WATCH_OVERFLOW, inbox=self._inbox)
            case Kind.LOST:
                self._attachment.lose("it was deleted or unmounted")
                self._check(time.monotonic())
            case Kind.BROKEN:
                self._attachment.distrust()
                self._check(time.monotonic())
            case Kind.BLIND:
                self._attachment.degrade(time.monotonic(), note.kind.value)
                self._rounds.want_all()
                self._adapt()
            case _ if self._attachment.is_probe(note.name):
                self._adapt()
            case _ if not self._entries.is_ours(note.name):
                pass
            case Kind.WHOLE:
                self._entries.hear(note.name, looker)
            case Kind.FOLDER if self._options.recursive:
                self._rounds.want(note.name)
