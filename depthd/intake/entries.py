"""From what is seen of an entry to what is done about it: wait, hand out, or leave alone.

Looks at files through `scan`, asks `rights` what may be done with them, lets `settle` decide when
they are whole and `patterns` whether they are wanted. Knows no watcher and no loop, and opens no
photo.
"""

from __future__ import annotations

import os
import time
from collections.abc import Collection
from functools import lru_cache
from pathlib import Path

from depthd.config import Config
from depthd.contract.events import Emit
from depthd.contract.names import MAX_DEPTH
from depthd.intake.candidate import Candidate, Hold
from depthd.intake.immovable import Immovables
from depthd.intake.patterns import Names
from depthd.intake.refusals import EXAMPLES, Refusals, Remaining
from depthd.intake.rights import Folder, Refusal, kind_refusal
from depthd.intake.scan import Found, Looker, is_long
from depthd.intake.settle import Settling

_HELD = "its folder is held: by depthd hold, or because its results cannot be written"
_REMEMBERED_RULES = 4096  # folders
_LOOKS = 256  # second looks fetched at a time, and photos passed over in one `take`


class Entries:
    """The entries of the inbox, as far as they are known.

    Attributes:
        device: the inbox's file system; what lies on another one cannot be moved.
    """

    def __init__(self, inbox: Path, config: Config, emit: Emit, limit: int) -> None:
        options = config.intake
        self._inbox = inbox
        self.names = Names.of(options)
        rules = lru_cache(_REMEMBERED_RULES)(config.rules)
        self.settling = Settling(options.settle, options.rescan_interval, limit, rules)
        self.refusals = Refusals(emit)
        self._immovables = Immovables()
        self.device = -1
        self._unmet: dict[str, None] = {}  # whole files that the full scan under way has not met
        self._missed: dict[str, None] = {}  # of the last one: they may be gone

    def is_ours(self, name: str) -> bool:
        """Whether an event for this path is worth a look."""
        return not self.names.skips_beneath(name) and name.count("/") <= MAX_DEPTH

    def meet(self, name: str, found: Found, folder: Folder, /, *, by_scan: bool) -> None:
        """A scan came to this entry; `by_scan` as in `Settling.seen`."""
        if found is None:
            return
        if self.settling.is_ready(name):  # `take` looks once more
            if not isinstance(found, Refusal):
                self._unmet.pop(name, None)
            return
        if isinstance(found, Refusal):
            self.refusals.meet(name, found)
        elif not self.names.wants(name):
            if self.refusals.known(name) is Refusal.NAME:
                self.refusals.meet(name, Refusal.NAME)
            elif not self.refusals.is_full:
                self._measure(name, found, folder, by_scan=by_scan)
        elif folder.is_fixed(self.device):
            self.refusals.meet(_parent(name), Refusal.FIXED_FOLDER)
        elif self._immovables.waits(name, time.monotonic()):
            self.refusals.count(Refusal.IMMOVABLE)
        else:
            self._measure(name, found, folder, by_scan=by_scan)

    def _measure(
        self, name: str, found: os.DirEntry[str], folder: Folder, *, by_scan: bool
    ) -> None:
        try:
            about = found.stat(follow_symlinks=False)
        except FileNotFoundError:
            self.settling.gone(name)
            return
        except OSError:
            self.refusals.meet(name, Refusal.UNREADABLE)
            return
        if self.names.wants(name) and not self.settling.knows(name):
            reason = folder.refusal(found.name, about)
            if reason is not None:
                self.refusals.meet(name, reason)
                return
        if self.settling.seen(Candidate.of(name, about), time.monotonic(), by_scan=by_scan):
            self._judge(name, about, folder)

    def hear(self, name: str, looker: Looker, *, is_done: bool = False) -> None:
        """An event says that the writer closed this file.

        Args:
            name: its path inside the inbox.
            looker: looks at it.
            is_done: it got this name when its writer was done.
        """
        now = time.monotonic()
        if self._immovables.waits(name, now):
            return
        if not self.names.wants(name) and self.refusals.known(name) is Refusal.NAME:
            return
        about = looker.look(name)
        if about is None:
            self.settling.gone(name)
        elif (reason := kind_refusal(about)) is not None:
            self._refuse(name, reason)
        elif self.settling.closed(Candidate.of(name, about), now, is_done=is_done):
            self._judge_again(name, about, looker)

    def hear_of_link(self, name: str, looker: Looker) -> None:
        """An event says that something got this name; a hard link is as whole as it ever gets."""
        about = looker.look(name)
        if about is not None and about.st_nlink > 1:
            self.hear(name, looker, is_done=True)

    def begin_round(self) -> None:
        """A full scan begins, or begins again."""
        self.refusals.begin_round()
        self._unmet = dict.fromkeys(self.settling.ready_names())

    def end_round(self) -> None:
        """A full scan has ended: what it did not meet is forgotten, or looked for."""
        self.refusals.end_round()
        self._missed, self._unmet = self._unmet, {}

    @property
    def next_look(self) -> float:
        """When `look_again` is wanted; infinity when it is not."""
        return 0.0 if self._missed else self.settling.next_due()

    def look_again(self, looker: Looker, end: float) -> None:
        """Second looks that are due, and looks for whole files that a scan has missed, until `end`.

        Nobody else would see that these are gone while they are held, or wait long for their turn.
        """
        while names := self.settling.due(time.monotonic(), _LOOKS):
            for name in names:
                self._look(name, looker)
                if time.monotonic() >= end:
                    return
        while self._missed and time.monotonic() < end:
            name, _ = self._missed.popitem()
            if self.settling.is_ready(name):
                self._look(name, looker)

    def _look(self, name: str, looker: Looker) -> None:
        about = looker.look(name)
        if about is None:
            self.settling.gone(name)
        elif (reason := kind_refusal(about)) is not None:
            self._refuse(name, reason)
        elif self.settling.seen(Candidate.of(name, about), time.monotonic()):
            self._judge_again(name, about, looker)

    def take(self, count: int, held: Collection[Hold]) -> list[Candidate]:
        """At most `count` whole files in fair turns; who takes them looks once more."""
        self.settling.hold(held)
        now = time.monotonic()
        taken: list[Candidate] = []
        for _ in range(count + _LOOKS):
            seen = self.settling.take() if len(taken) < count else None
            if seen is None:
                break
            if self._immovables.waits(seen.name, now):  # a later scan finds it again
                self.settling.not_taken(seen)
            else:
                taken.append(seen)
        return taken

    def take_skipped(self, count: int, held: Collection[Hold]) -> list[Candidate]:
        """At most `count` whole files that are not to be worked on."""
        self.settling.hold(held)
        return self.settling.take_skipped(count)

    def remaining(self) -> Remaining:
        """Photos that stay where they are, and why."""
        counts, examples = self.refusals.remaining()
        if held := self.settling.held:
            counts[_HELD] = held
            examples += [(name, _HELD) for name in self.settling.held_names(EXAMPLES)]
        return Remaining(counts.total(), counts, examples[:EXAMPLES])

    def give_up(self, seen: Candidate, why: str) -> None:
        """It was handed out and could not be moved: it waits, longer each time."""
        self.settling.not_taken(seen)
        self.refusals.say(seen.name, Refusal.IMMOVABLE, why)
        if self._immovables.failed(seen.name, time.monotonic()):
            self.refusals.say(_parent(seen.name), Refusal.FIXED_FOLDER, why)

    def _judge_again(self, name: str, about: os.stat_result, looker: Looker) -> None:
        try:
            folder = looker.folder(name)
        except OSError:
            self.settling.gone(name)
        else:
            self._judge(name, about, folder)

    def _judge(self, name: str, about: os.stat_result, folder: Folder) -> None:
        """It is whole; is it to be taken?"""
        if not self.names.wants(name):
            self._refuse(name, Refusal.NAME)
        elif is_long(name):
            self._refuse(name, Refusal.LONG)
        elif folder.is_fixed(self.device):
            self.settling.gone(name)
            self.refusals.say(_parent(name), Refusal.FIXED_FOLDER)
        elif (reason := folder.refusal(_base(name), about)) is not None:
            if folder.holds(_base(name)):
                self._refuse(name, reason)
            else:
                self.settling.gone(name)

    def _refuse(self, name: str, reason: Refusal) -> None:
        self.settling.gone(name)
        self.refusals.say(name, reason)


def _parent(name: str) -> str:
    return name.rpartition("/")[0] or "."


def _base(name: str) -> str:
    return name[name.rfind("/") + 1 :]
