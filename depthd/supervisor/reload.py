"""SIGHUP: settings are read again, prepared, and taken up while photos go on.

Folders are exchanged once what is at work in the former ones is home, the worker once another one
is ready. Everything else changes at once; settings that would not do change nothing, and what only
the worker refuses leaves the worker as it was.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from depthd.config import Config
from depthd.contract import status
from depthd.contract.errors import DepthdError
from depthd.contract.events import Event
from depthd.hooks.hooks import make_queues
from depthd.spool import make_folders
from depthd.spool.holds import HoldsUnclear
from depthd.supervisor.changes import Changes
from depthd.supervisor.cleaner import Cleaner
from depthd.supervisor.dispatch import Dispatcher
from depthd.supervisor.gate import Gate
from depthd.supervisor.keeper import Keeper
from depthd.supervisor.parts import Parts
from depthd.supervisor.serving import Serving
from depthd.supervisor.settings_changed import settings_changed
from depthd.supervisor.telling import Telling


@dataclass(frozen=True)
class _Next:
    """Folders that are open and wait for their turn."""

    parts: Parts
    by: float  # although photos still wait for a worker


class Reloading:
    """Takes up changed settings.

    Args:
        read: reads the configuration again.
        serving: what serves now.
        dispatcher: the jobs, of those settings as well.
        keeper: the worker.
        cleaner: retention.
        telling: heartbeat and metrics.
        gate: whether results can be written.
        write_status: writes the status, and returns it.

    Attributes:
        trouble: why the old settings serve on, or empty.
    """

    def __init__(
        self,
        read: Callable[[], Config],
        serving: Serving,
        dispatcher: Dispatcher,
        keeper: Keeper,
        cleaner: Cleaner,
        telling: Telling,
        gate: Gate,
        write_status: Callable[[], status.Status],
    ) -> None:
        self._read = read
        self._serving = serving
        self._dispatcher = dispatcher
        self._keeper = keeper
        self._cleaner = cleaner
        self._telling = telling
        self._gate = gate
        self._write_status = write_status
        self._next: _Next | None = None
        self._must_reload_again = False
        self._last: status.Reload | None = None
        self.trouble = ""

    @property
    def last(self) -> status.Reload | None:
        """How the last one ended, for the status; its worker may have refused it since."""
        if self._last is None or self._last.refused:
            return self._last
        return self._last.model_copy(update={"refused": self._keeper.refused})

    def heed(self, now: float) -> None:
        """Reopen the log, look at the inbox, take up what has changed."""
        if self._next is not None:  # once the folders of the last one are in use
            self._must_reload_again = True
            return
        self._serving.logs.reopen()
        self._serving.intake.rescan()
        try:
            config = self._read()
            changes = Changes.between(self._serving.config, config)
            self._prepare(config, changes, now)
        except (DepthdError, HoldsUnclear, OSError) as error:
            reason = str(error).encode(errors="backslashreplace").decode()  # it quotes the file
            self._serving.events.emit(Event.RELOAD_REFUSED, reason=reason)
            self._last = status.Reload(at=status.moment(time.time()), refused=reason)
            self.trouble = "the new configuration is refused, see the log"
        else:
            self.trouble = ""
            self._take_up(config, changes, now)

    def turn(self, now: float) -> bool:
        """Exchange the folders when it is time; returns whether another reload waited for that."""
        if self._next is None or not self._may_exchange(self._next, now):
            return False
        parts, self._next = self._next.parts, None
        self._serving.exchange(parts)
        self._dispatcher.move_to(parts.errands)
        again, self._must_reload_again = self._must_reload_again, False
        return again

    def close(self) -> None:
        """Folders that were never used are given up."""
        if self._next is not None:
            self._next.parts.spool.close()

    def _prepare(self, config: Config, changes: Changes, now: float) -> None:
        """Make and open what new settings ask for, while the old ones serve.

        Raises:
            DepthdError, HoldsUnclear, OSError: the new ones would not do.
        """
        if changes.status:
            make_folders(config)
        if changes.hooks:
            make_queues(config)
        parts = Parts.build(config, self._serving.parts) if changes.folders else None
        try:
            if changes.status:  # last: settings that are refused leave no holds behind
                self._serving.held.take_along(config.folder("state"))
        except BaseException:
            if parts is not None:
                parts.spool.close()
            raise
        if parts is not None:
            self._next = _Next(parts, by=now + config.worker.start_timeout)
            self._dispatcher.may_claim = self._dispatcher.others_wait = False

    def _take_up(self, config: Config, changes: Changes, now: float) -> None:
        """Restart only what the new settings concern."""
        settings = settings_changed(self._serving.config, config)
        self._last = status.Reload(at=status.moment(time.time()), changed=settings)
        if changes.status:
            self._leave_status(config)
        self._serving.take_up(config, changes)
        self._dispatcher.config = config
        self._cleaner.take_up(config)
        self._telling.renew(config, now)
        self._serving.events.emit(Event.SERVICE_RELOADED, changed=changes.names, settings=settings)
        fallback = self._keeper.ready is not None and self._keeper.ready.fallback
        # Settings that were refused are tried again, so it is the worker's own that are compared.
        is_other = Changes.between(self._keeper.config, config).worker
        if is_other or fallback or self._serving.weights.has_changed():
            self._keeper.renew(config, now)
        else:
            self._keeper.keep(config)

    def _leave_status(self, config: Config) -> None:
        """The last word in the state/ of so far: who has asked for the reload looks there."""
        last = self._write_status()
        why = f"it goes on with {config.folder('state')}"
        with suppress(OSError):
            self._serving.status_file.write(
                last.model_copy(update={"state": "stopped", "why": why})
            )

    def _may_exchange(self, wanted: _Next, now: float) -> bool:
        """Whether nothing is left to come home.

        What waits for a worker is found again where work/ stays. Else it is waited for, but for
        no worker that does not come, nor for a disk that is the reason for other folders.
        """
        if self._dispatcher.is_working:
            return False
        is_found = wanted.parts.spool.work == self._serving.parts.spool.work
        is_given_up = not self._gate.is_open or now >= wanted.by
        return is_found or is_given_up or not self._dispatcher.has_waiting
