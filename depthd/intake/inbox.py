"""Intake: which photos lie in the inbox and are whole.

Ties this package together on the supervisor's loop, in slices of a few milliseconds: the tie to
the inbox, notes of the watcher, second looks, scans. Knows no spool and no worker.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection

from depthd.config import Config
from depthd.contract.events import Emit, Event
from depthd.intake.attachment import Attachment
from depthd.intake.candidate import Candidate, Hold, top_of
from depthd.intake.entries import Entries
from depthd.intake.refusals import Remaining
from depthd.intake.rights import Folder, Refusal
from depthd.intake.rounds import Rounds, Scan
from depthd.intake.scan import Found, Looker, Walk, walk
from depthd.intake.watch import Happening, Kind

_SLICE = 0.002  # seconds for notes, for second looks and for scans, each
_TRACKED = 50_000  # files remembered at a time; the others are found by later scans


class Intake:
    """What the supervisor sees of the inbox.

    Args:
        config: the folders and the `intake` section.
        wake: makes the loop call `work` soon; called from other threads.
        emit: writes a log event.
    """

    def __init__(self, config: Config, wake: Callable[[], None], emit: Emit) -> None:
        self._inbox = config.folder("inbox")
        self._options = config.intake
        self._emit = emit
        self._entries = Entries(self._inbox, config, emit, _TRACKED)
        self._settling = self._entries.settling
        self._attachment = Attachment(config, wake, self._is_photo, emit)
        self._losses = 0
        self._rounds = Rounds(self._walk, self._begin_scan, self._end_scan)

    def start(self) -> None:
        """Look for the inbox and watch it; where that fails, `work` goes on trying."""
        self._check(time.monotonic())

    def stop(self) -> None:
        """End the watcher, within two seconds at most."""
        self._rounds.reset()
        self._attachment.close()

    @property
    def backlog(self) -> int:
        """Files that are known and not yet taken."""
        return len(self._settling)

    @property
    def oldest(self) -> float | None:
        """Since when a whole photo has waited here, in seconds since the epoch.

        It takes some milliseconds where there are many.
        """
        return self._settling.oldest

    @property
    def trouble(self) -> str:
        """Why there is no inbox; empty while there is one."""
        return self._attachment.trouble

    @property
    def drained(self) -> bool:
        """Whether a full scan has ended and there is nothing to take or to wait for.

        What lies in held folders, or may not be read or moved, is not waited for.
        """
        watcher = self._attachment.watcher
        return (
            self._rounds.finished > 0
            and not self._rounds.is_busy
            and not self._settling.is_full
            and len(self._settling) == self._settling.held
            and not (watcher and watcher.notes)
        )

    def remaining(self) -> Remaining:
        """Photos that stay in the inbox, and why: no right to read or move them, or held.

        As the last full scan found it and what came since shows it; a folder that cannot be read
        counts as one. What is no photo is not counted.
        """
        return self._entries.remaining()

    def rescan(self) -> None:
        """Ask for a full scan at the next slice."""
        self._rounds.want_all()

    def take(self, count: int, held: Collection[Hold] = ()) -> list[Candidate]:
        """At most `count` whole files, each once until it is seen again.

        They come in fair turns: round the owners, for each round his folders just below the
        inbox, then round their sub-folders; in one folder the longest waiting comes first.

        Args:
            count: most of them.
            held: of which nothing is wanted now: folders, without those below them (paths inside
                the inbox, empty for itself) or with them (`Beneath`), owners, or pairs (owner,
                folder). What waits there costs the others nothing.
        """
        return self._entries.take(count, held)

    def take_skipped(self, count: int, held: Collection[Hold] = ()) -> list[Candidate]:
        """At most `count` whole files of folders that want only their latest one, which are older.

        Args:
            count: most of them.
            held: see `take`.
        """
        return self._entries.take_skipped(count, held)

    def put_back(self, candidate: Candidate) -> None:
        """It was not claimed: look at it again, as if it were new."""
        self._settling.put_back(candidate, time.monotonic())

    def refuse(self, candidate: Candidate, why: str) -> None:
        """It was not claimed, because it may not be moved: try again later, less and less often.

        Args:
            candidate: the photo.
            why: what the system said.
        """
        self._entries.give_up(candidate, why)

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
        if self._has_notes() or self._entries.next_look <= now:
            with Looker(self._inbox) as looker:
                self._read_notes(looker, time.monotonic() + _SLICE)
                self._entries.look_again(looker, time.monotonic() + _SLICE)
        for folder in self._settling.folders_with_room():
            self._rounds.want(folder)
        self._scan(time.monotonic() + _SLICE)
        if self._rounds.is_busy or self._has_notes():
            return now
        return min(self._attachment.next_check, self._rounds.next_due, self._entries.next_look)

    def _has_notes(self) -> bool:
        watcher = self._attachment.watcher
        return watcher is not None and len(watcher.notes) > 0

    def _is_photo(self, name: str) -> bool:
        names = self._entries.names
        return names.wants(name) and not names.skips_beneath(name)

    def _check(self, now: float) -> None:
        wants_scan = self._attachment.check(now)
        if self._losses != self._attachment.losses:
            self._losses = self._attachment.losses
            self._rounds.reset()
            self._settling.clear()
        self._entries.device = self._attachment.device
        if wants_scan:
            self._rounds.want_all()
        self._adapt()

    def _adapt(self) -> None:
        """Scan as often, and trust looks as much, as the watcher's state wants it."""
        watcher, poll = self._attachment.watcher, self._options.poll_interval
        if watcher is None or not self._attachment.is_native:
            self._rounds.repeat_every(poll, poll)
            # Network shares answer a look from a cache of some seconds.
            self._settling.trust_looks_after(poll)
        elif watcher.is_overwhelmed:
            self._rounds.repeat_every(poll, poll)
            self._settling.trust_looks_after(self._options.settle)
        else:
            self._rounds.repeat_every(self._options.rescan_interval, poll)
            self._settling.trust_looks_after(self._options.settle)

    # scans -----------------------------------------------------------------------------------

    def _walk(self, top: str) -> Walk:
        names, recursive = self._entries.names, self._options.recursive
        return walk(self._inbox, top, names, self._enter, recursive=recursive)

    def _enter(self, path: str, folder: Folder) -> None:
        if self._attachment.watcher is not None:
            self._attachment.watcher.watch(path, folder)

    def _begin_scan(self, folder: str) -> None:
        if not folder:
            self._entries.begin_round()
        if self._attachment.watcher is not None and folder == top_of(folder):
            self._attachment.watcher.look_anew(folder)

    def _end_scan(self, scan: Scan) -> None:
        if scan.is_full:
            self._entries.end_round()
        watcher = self._attachment.watcher
        if watcher is None or scan.top not in watcher.blind:
            self._rounds.stop_polling(scan.top)

    def _scan(self, end: float) -> None:
        try:
            while self._rounds.step(self._meet, end) and time.monotonic() < end:
                pass
        except OSError:  # if the inbox is gone, the next check tells
            self._entries.refusals.say(".", Refusal.UNREADABLE)
        watcher = self._attachment.watcher
        if watcher is not None and watcher.blind:
            for top in watcher.blind:
                self._rounds.poll(top)
            self._attachment.tell_blind()
            self._adapt()

    def _meet(self, name: str, found: Found, folder: Folder, scan: Scan) -> None:
        watcher = self._attachment.watcher
        by_scan = (
            scan.is_periodic
            and watcher is not None
            and self._attachment.is_native
            and not watcher.is_overwhelmed
            and top_of(name) not in watcher.blind
        )
        self._entries.meet(name, found, folder, by_scan=by_scan)

    # events ----------------------------------------------------------------------------------

    def _read_notes(self, looker: Looker, end: float) -> None:
        watcher = self._attachment.watcher
        if watcher is None:
            return
        for happening in watcher.happenings():
            if happening is not None:
                self._read(happening, looker)
            if time.monotonic() >= end or watcher is not self._attachment.watcher:
                return

    def _read(self, happening: Happening, looker: Looker) -> None:
        match happening.kind:
            case Kind.OVERFLOW:
                if self._rounds.want_all():
                    self._emit(Event.WATCH_OVERFLOW, inbox=self._inbox)
            case Kind.LOST:
                self._attachment.lose("it was deleted or unmounted")
                self._check(time.monotonic())
            case Kind.PROBE:
                self._attachment.pass_probe()
                self._adapt()
            case _ if not self._entries.is_ours(happening.name):
                pass
            case Kind.CLOSED:
                self._entries.hear(happening.name, looker)
            case Kind.DONE:
                self._entries.hear(happening.name, looker, is_done=True)
            case Kind.NAMED:
                self._entries.hear_of_link(happening.name, looker)
            case Kind.FOLDER if self._options.recursive:
                self._rounds.want(happening.name)
