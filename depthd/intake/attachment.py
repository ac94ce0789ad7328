"""The tie to the inbox: is it there, is it the same one, do native events work?

Knows the folder and the watcher, nothing of photos. Nothing is trusted for long: the folder is
opened and its identity compared again and again, the watcher's thread is looked after, and with
`watch: auto` events have to prove themselves.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable

from depthd.config import Config
from depthd.contract.errors import words_of
from depthd.contract.events import Emit, Event
from depthd.intake.mounts import shared_type
from depthd.intake.watch import Watcher
from depthd.system import files
from depthd.system.nesting import nested

_CHECK_EVERY = 1.0  # seconds between two looks at folder and watcher
_CHECK_AT_MOST = 5.0  # the same while the inbox is away, at last
_PROBE_PATIENCE = 2.0  # seconds until a probe that is not reported means: no events here
_ELSEWHERE = ("work", "outbox", "done", "failed", "log", "state")  # what may not lie in the inbox
_RETRY_AFTER = 60.0  # seconds until native events are tried again, doubled each time
_RETRY_AT_MOST = 3600.0
_DEATHS = 3  # of the watcher within `_RETRY_AFTER`; then it is left alone for a while

Identity = tuple[int, int]  # device and inode


class Attachment:
    """Keeps the tie, tells of each change once.

    Attributes:
        is_present: the inbox can be read.
        is_native: events are believed to report everything; polling is needed otherwise.
        next_check: when `check` is wanted.
        losses: how often the inbox was lost or became another folder.
        trouble: why there is no inbox; empty while there is one.
        watcher: native events, while there are any.
    """

    def __init__(
        self,
        config: Config,
        wake: Callable[[], None],
        is_photo: Callable[[str], bool],
        emit: Emit,
    ) -> None:
        self._inbox = config.folder("inbox")
        self._others = {f"paths.{name}": config.folder(name) for name in _ELSEWHERE}
        self._choice = config.intake.watch
        self._wake = wake
        self._is_photo = is_photo
        self._emit = emit
        self._identity: Identity | None = None
        self.trouble = ""
        self._absences = 0
        self.watcher: Watcher | None = None
        self._retry_at = float("inf")
        self._retry_pause = _RETRY_AFTER
        self._deaths: deque[float] = deque(maxlen=_DEATHS)
        self._probe_deadline = float("inf")  # of the one that is under way
        self._said = ""
        self._has_said_blind = False
        self.next_check = 0.0
        self.losses = 0

    @property
    def is_present(self) -> bool:
        return self._identity is not None

    @property
    def is_native(self) -> bool:
        return self.watcher is not None and self._probe_deadline == float("inf")

    @property
    def device(self) -> int:
        """File system of the inbox; -1 while it is not there."""
        return self._identity[0] if self._identity else -1

    def check(self, now: float) -> bool:
        """Look at folder and watcher; returns whether the inbox must be scanned anew."""
        identity = self._identify()
        self._plan_next(now, identity)
        if identity is None:
            return False
        if identity != self._identity:
            return self._take_up(identity, now)
        if self.watcher is not None and not self.watcher.is_alive:
            self._replace_watcher(now)
            return True
        if now >= self._probe_deadline:
            self.degrade(now, "events are not reported here")
            return True
        if now >= self._retry_at:
            self._attach(now)
            return self.watcher is not None
        return False

    def _take_up(self, identity: Identity, now: float) -> bool:
        """The inbox is there, or another folder has its place."""
        trouble = self._nesting()
        if trouble or self._identity is not None:
            self.lose(trouble or "another folder has its place")
        if trouble:
            return False
        self._identity = identity
        self._find()
        self._attach(now)
        return True

    def lose(self, reason: str) -> None:
        """The inbox is not there, or not the one it was; `check` looks for it."""
        self._identity = None
        self.losses += 1
        self._detach()
        if not self.trouble:
            self.trouble = reason
            self._emit(Event.INBOX_LOST, inbox=self._inbox, reason=reason)

    def degrade(self, now: float, reason: str) -> None:
        """Do without native events for a while."""
        self._detach()
        self._retry_at = now + self._retry_pause
        self._retry_pause = min(2 * self._retry_pause, _RETRY_AT_MOST)
        if self._said != "degraded":
            self._said = "degraded"
            self._emit(Event.WATCH_DEGRADED, inbox=self._inbox, mode="polling", reason=reason)

    def pass_probe(self) -> None:
        """An event was reported that can only be the probe's."""
        if not self.is_native and self.watcher is not None:
            self._end_probe()
            self._say_started("native")

    def tell_blind(self) -> None:
        """Say once that not every folder can be watched."""
        if self.watcher is None or not self.watcher.blind or self._has_said_blind:
            return
        self._has_said_blind = True
        folder, reason = next(iter(self.watcher.blind.items()))
        self._emit(
            Event.WATCH_DEGRADED,
            inbox=self._inbox,
            mode="partly polling",
            folder=folder,
            reason=f"{reason}; what is not watched is polled",
        )

    def close(self) -> None:
        """End the watcher, within two seconds at most."""
        watcher, self.watcher = self.watcher, None
        if watcher is not None:
            watcher.stop()

    def _identify(self) -> Identity | None:
        try:
            with files.directory(self._inbox) as handle:
                status = os.fstat(handle)
        except OSError as error:
            self.lose(words_of(error))
            return None
        return status.st_dev, status.st_ino

    def _nesting(self) -> str:
        """What forbids to take photos from here: results that would be taken for photos."""
        for name, path in self._others.items():
            for sentence in nested({"paths.inbox": self._inbox, name: path}):
                return f"{sentence}; photos are not taken from there"
        return ""

    def _plan_next(self, now: float, identity: Identity | None) -> None:
        self._absences = 0 if identity else self._absences + 1
        pause = min(_CHECK_AT_MOST, _CHECK_EVERY * 1.5 ** max(0, self._absences - 1))
        self.next_check = now + pause

    def _find(self) -> None:
        if self.trouble:
            self.trouble = ""
            self._emit(Event.INBOX_FOUND, inbox=self._inbox)

    def _attach(self, now: float) -> None:
        self._detach()
        if self._choice == "polling":
            self._say_started("polling")
        elif self._choice == "auto" and (share := shared_type(self._inbox)):
            self.degrade(now, f"{share} does not report what other machines do")
        else:
            self._watch(now)

    def _watch(self, now: float) -> None:
        try:
            with files.directory(self._inbox) as handle:
                self.watcher = Watcher(handle, self._wake, self._is_photo)
            if self._choice == "native":
                self._say_started("native")
            else:
                self._probe_deadline = now + _PROBE_PATIENCE
                self.watcher.probe(self._inbox)
        except Exception as error:  # noqa: BLE001 - whatever ails the watcher, photos are found
            self.degrade(now, str(error))

    def _replace_watcher(self, now: float) -> None:
        self._emit(Event.WATCH_LOST, inbox=self._inbox)
        self._deaths.append(now)
        if len(self._deaths) == _DEATHS and now - self._deaths[0] < _RETRY_AFTER:
            self.degrade(now, "the watcher dies again and again")
        else:
            self._attach(now)

    def _end_probe(self) -> None:
        self._probe_deadline = float("inf")
        if self.watcher is not None:
            self.watcher.end_probe(self._inbox)

    def _say_started(self, mode: str) -> None:
        self._retry_pause = _RETRY_AFTER
        if self._said != mode:
            self._said = mode
            self._emit(Event.WATCH_STARTED, inbox=self._inbox, mode=mode)

    def _detach(self) -> None:
        """Let the watcher end on its own time: the loop does not wait for it."""
        self._probe_deadline = float("inf")
        self._retry_at = float("inf")
        self._has_said_blind = False
        if self.watcher is not None:
            self.watcher.stop(patience=0.0)
            self.watcher = None
