"""The tie to the inbox: is it there, is it the same one, do native events work?

Knows the folder and the watcher, nothing of photos. Nothing is trusted for long: the folder is
opened and its identity compared again and again, the watcher's threads are counted, and with
`watch: auto` events have to prove themselves with a file of our own.
"""

from __future__ import annotations

import hashlib
import os
import platform
from collections import deque

from depthd.config import Config
from depthd.contract.events import Event
from depthd.intake.mounts import shared_type
from depthd.intake.watch import Notes, Watcher
from depthd.supervisor.logs import Emit
from depthd.system import files

_PROBE_PREFIX = ".depthd-probe-"

_CHECK_EVERY = 1.0  # seconds between two looks at folder and watcher
_CHECK_AT_MOST = 5.0  # the same while the inbox is away, at last
_PROBE_PATIENCE = 2.0  # seconds until a probe that is not reported means: no events here
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
    """

    def __init__(self, config: Config, notes: Notes, emit: Emit) -> None:
        self._inbox = config.folder("inbox")
        self._recursive = config.intake.recursive
        self._choice = config.intake.watch
        self._notes = notes
        self._emit = emit
        self._identity: Identity | None = None
        self._is_lost = False  # and said so
        self._absences = 0
        self._watcher: Watcher | None = None
        self._is_distrusted = False
        self._retry_at = float("inf")
        self._retry_pause = _RETRY_AFTER
        self._deaths: deque[float] = deque(maxlen=_DEATHS)
        self._probe_name = _probe_name(config)
        self._probe = ""  # while one is under way
        self._probe_deadline = float("inf")
        self._said = ""
        self.next_check = 0.0
        self.losses = 0

    @property
    def is_present(self) -> bool:
        return self._identity is not None

    @property
    def is_native(self) -> bool:
        return self._watcher is not None and not self._probe

    def check(self, now: float) -> bool:
        """Look at folder and watcher; returns whether the inbox must be scanned anew."""
        identity = self._identify()
        self._plan_next(now, identity)
        if identity is None:
            return False
        if identity != self._identity:
            if self._identity is not None:
                self.lose("another folder has its place")
            self._identity = identity
            self._find()
            self._attach(now)
            return True
        if self._watcher is not None and (self._is_distrusted or not self._watcher.is_alive):
            self._replace_watcher(now)
            return True
        if now >= self._probe_deadline:
            self.degrade(now, "no event was reported for a probe file")
            return True
        if now >= self._retry_at:
            self._attach(now)
            return self._watcher is not None
        return False

    def lose(self, reason: str) -> None:
        """The inbox is not there, or not the one it was; `check` looks for it."""
        self._identity = None
        self.losses += 1
        self._detach()
        if not self._is_lost:
            self._is_lost = True
            self._emit(Event.INBOX_LOST, inbox=self._inbox, reason=reason)

    def distrust(self) -> None:
        """The watcher said that it no longer works; `check` replaces it."""
        self._is_distrusted = True

    def degrade(self, now: float, reason: str) -> None:
        """Do without native events for a while."""
        self._detach()
        self._retry_at = now + self._retry_pause
        self._retry_pause = min(2 * self._retry_pause, _RETRY_AT_MOST)
        if self._said != "degraded":
            self._said = "degraded"
            self._emit(Event.WATCH_DEGRADED, inbox=self._inbox, mode="polling", reason=reason)

    def is_probe(self, name: str) -> bool:
        """Hear of an event for `name`; returns whether it was the probe, which is passed now."""
        if not name.startswith(_PROBE_PREFIX):
            return False
        if name == self._probe:
            self._end_probe()
            self._say_started("native")
        return True

    def close(self) -> None:
        self._detach()

    def _identify(self) -> Identity | None:
        try:
            with files.directory(self._inbox) as handle:
                status = os.fstat(handle)
        except OSError as error:
            self.lose(error.strerror or str(error))
            return None
        return status.st_dev, status.st_ino

    def _plan_next(self, now: float, identity: Identity | None) -> None:
        self._absences = 0 if identity else self._absences + 1
        pause = min(_CHECK_AT_MOST, _CHECK_EVERY * 1.5 ** max(0, self._absences - 1))
        self.next_check = now + pause

    def _find(self) -> None:
        if self._is_lost:
            self._is_lost = False
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
            folder = os.path.realpath(self._inbox)
            self._watcher = Watcher(folder, recursive=self._recursive, notes=self._notes)
        except Exception as error:  # noqa: BLE001 - whatever ails the watcher, photos are found
            self.degrade(now, str(error))
            return
        if self._choice == "native":
            self._say_started("native")
        else:
            self._start_probe(now)

    def _replace_watcher(self, now: float) -> None:
        self._emit(Event.WATCH_LOST, inbox=self._inbox)
        self._deaths.append(now)
        if len(self._deaths) == _DEATHS and now - self._deaths[0] < _RETRY_AFTER:
            self.degrade(now, "the watcher dies again and again")
        else:
            self._attach(now)

    def _start_probe(self, now: float) -> None:
        self._probe = self._probe_name
        self._probe_deadline = now + _PROBE_PATIENCE
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            with files.directory(self._inbox) as handle:
                files.unlink_if_exists(self._probe, handle)  # a killed daemon may leave one
                os.close(os.open(self._probe, flags, 0o600, dir_fd=handle))
                files.unlink_if_exists(self._probe, handle)
        except OSError as error:
            self.degrade(now, f"no probe file can be written: {error.strerror}")

    def _end_probe(self) -> None:
        self._probe = ""
        self._probe_deadline = float("inf")

    def _say_started(self, mode: str) -> None:
        self._retry_pause = _RETRY_AFTER
        if self._said != mode:
            self._said = mode
            self._emit(Event.WATCH_STARTED, inbox=self._inbox, mode=mode)

    def _detach(self) -> None:
        self._end_probe()
        self._retry_at = float("inf")
        self._is_distrusted = False
        if self._watcher is not None:
            self._watcher.stop()
            self._watcher = None


def _probe_name(config: Config) -> str:
    """The same at each start, so that nothing is left over; no other daemon's on this inbox."""
    owner = f"{platform.node()}:{config.folder('work')}".encode(errors="surrogateescape")
    return f"{_PROBE_PREFIX}{hashlib.blake2b(owner, digest_size=8).hexdigest()}"
