"""What serves now, and what other settings put in its place.

Folders, log, inbox, holds, receivers of news and the status file, all by one configuration. Knows
no worker and no jobs, nor when settings change: that is `reload`'s.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path

from depthd.config import Config
from depthd.contract.events import Event
from depthd.hooks.hooks import Hooks, asked_for, hooks_of, left_behind
from depthd.intake import Intake
from depthd.spool import original_path
from depthd.supervisor.changes import Changes, WeightsFile
from depthd.supervisor.events_out import EventBus
from depthd.supervisor.held import Held
from depthd.supervisor.logs import Logs, configure
from depthd.supervisor.parts import Parts
from depthd.supervisor.status_file import StatusFile


class Serving:
    """What serves now.

    Args:
        parts: the folders, open.
        wake: something may have come into the inbox; called on the watcher's threads.

    Attributes:
        config: the settings; those of the folders follow once photos at work are home.
        parts: the folders.
        events: the log, and what counts events.
        hooks: who is told of photos; None for nobody.
    """

    def __init__(self, parts: Parts, wake: Callable[[], None]) -> None:
        config = parts.config
        state = config.folder("state")
        self.config = config
        self.parts = parts
        self.logs: Logs = configure(config.log, config.folder("log"))
        self.events = EventBus(self._log)
        self.status_file = StatusFile(state)
        self.weights = WeightsFile(state)
        self.held = Held(state, self.events.emit)
        self._wake = wake
        self.intake = Intake(config, wake, self.events.emit)
        self.hooks: Hooks | None = None

    def take_up(self, config: Config, changes: Changes) -> None:
        """Replace what other settings concern, all but the folders."""
        former, self.config = self.config, config
        if changes.hooks:
            self.connect_hooks()
        if changes.log:
            former_logs, self.logs = self.logs, configure(config.log, config.folder("log"))
            former_logs.close()
        if changes.intake:
            self.intake.stop()
            self.intake = Intake(config, self._wake, self.events.emit)
            self.intake.start()
        if changes.status:
            state = config.folder("state")
            self.status_file = StatusFile(state)
            self.weights = WeightsFile(state)
            self.held = self.held.moved(state)
            self._say_left(former.folder("state"), ())

    def exchange(self, parts: Parts) -> None:
        """Go on in other folders."""
        former, self.parts = self.parts, parts
        former.spool.close()  # its empty folders go before the new one looks for them
        self.parts.errands.hooks = self.hooks

    def connect_hooks(self) -> None:
        """Let others be told of what comes home from now on; what waits for them is on the disk."""
        former = self.hooks
        if former is not None:
            former.end()
        self.hooks = hooks_of(self.config, self._is_at_work, self.events.emit, former)
        self.parts.errands.hooks = self.hooks
        self._say_left(self.config.folder("state"), asked_for(self.config))

    def _say_left(self, state: Path, told: Collection[str]) -> None:
        """News of which nobody is told any more."""
        with suppress(OSError):  # where it cannot be looked at, more than this says so
            for folder, waiting in left_behind(state, told).items():
                self.events.emit(Event.HOOK_LEFT, folder=folder, waiting=waiting)

    def _is_at_work(self, job: str) -> bool:
        """Whether a job has not come home yet, in the folders that serve now; from any thread."""
        return os.path.lexists(original_path(self.parts.config.folder("work"), job))

    def _log(self, event: Event, /, **fields: object) -> None:
        self.logs.emit(event, **fields)
