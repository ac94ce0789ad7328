"""The daemon's one loop: signals, inbox, worker and clock, each only ever acted on here.

Handlers and callbacks do nothing but wake the loop. Imports nothing heavy: no torch, numpy,
OpenCV or OpenVINO in this process.
"""

from __future__ import annotations

import os
import selectors
import signal
import socket
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Self

from depthd import __version__
from depthd.config import Config
from depthd.contract import status
from depthd.contract.errors import ConfigurationError, DepthdError, ExitCode, OutputError
from depthd.contract.events import Event
from depthd.contract.status import StatusFile, StatusState
from depthd.intake import Candidate, Intake
from depthd.publish.publisher import Publisher
from depthd.spool import Immovable, Spool, Vanished, make_folders
from depthd.supervisor.dispatch import Dispatcher
from depthd.supervisor.gate import Gate
from depthd.supervisor.logs import Logs, configure
from depthd.supervisor.worker_process import WorkerHandle
from depthd.system.notify import Notifier

_TICK = 1.0  # seconds between two looks at what has no event: status, disk space
_LOOK_AT_DISK_EVERY = 1.0
_REMEMBERED_REFUSALS = 10_000


def run(config: Config, *, reload: Callable[[], Config], once: bool = False) -> ExitCode:
    """Serve until a signal, or with `once` until the inbox is drained.

    Args:
        config: the effective configuration.
        reload: reads the configuration again, for SIGHUP.
        once: end when everything in the inbox is done or failed.

    Raises:
        DepthdError: it cannot start or go on; everything is in a state to be taken up again.
    """
    make_folders(config)
    with Signals() as signals:
        while True:
            session = Session(config, reload, signals, once=once)
            try:
                session.serve()
            finally:
                session.close()
            if session.next_config is None:
                return session.exit_code
            config = session.next_config


class Signals:
    """Signals as entries of a queue, and the pipe that wakes the loop for them."""

    def __init__(self) -> None:
        self.pending: deque[signal.Signals] = deque()
        self.reader, self._writer = socket.socketpair()
        self.reader.setblocking(False)
        self._writer.setblocking(False)

    def __enter__(self) -> Self:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._note)
        signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        return self

    def __exit__(self, *_: object) -> None:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        self.reader.close()
        self._writer.close()

    def _note(self, number: int, _frame: object) -> None:
        self.pending.append(signal.Signals(number))

    def wake(self) -> None:
        """Wake the loop; safe from any thread. A full pipe wakes it as well."""
        with suppress(BlockingIOError, OSError):
            self._writer.send(b"\0")

    def drain(self) -> None:
        with suppress(BlockingIOError):
            while self.reader.recv(4096):
                pass


class Session:
    """The service under one configuration; SIGHUP with another ends it and starts the next."""

    def __init__(
        self,
        config: Config,
        reload: Callable[[], Config],
        signals: Signals,
        *,
        once: bool,
    ) -> None:
        self._config = config
        self._reload = reload
        self._signals = signals
        self._once = once
        self._logs: Logs = configure(config.log, config.folder("log"))
        self._emit = self._logs.emit
        self._notifier = Notifier()
        self._started = status.moment(time.time())
        self._status_file = StatusFile(config.folder("state"))
        self._spool = Spool(config)
        self._gate = Gate(self._emit)
        self._publisher = Publisher(
            config.folder("outbox"),
            (config.folder("done"), config.folder("failed")),
            config.output.mode,
            self._spool.instance,
        )
        self._selector = selectors.DefaultSelector()
        self._selector.register(signals.reader, selectors.EVENT_READ, signals.drain)
        self._dispatcher = Dispatcher(
            config,
            self._spool,
            self._publisher,
            self._gate,
            self._emit,
            self._watch_worker,
            once=once,
        )
        self._intake = Intake(config, signals.wake, self._emit)
        self._worker_entries: list[socket.socket | int] = []
        self._refused: set[str] = set()
        self._stop_deadline: float | None = None
        self._why = ""  # it stops, or goes on with the old configuration
        self._told_ready = False
        self._next_tick = 0.0
        self._next_disk_look = 0.0
        self._next_ping = 0.0
        self.next_config: Config | None = None
        self.exit_code = ExitCode.OK

    # life ------------------------------------------------------------------------------------

    def serve(self) -> None:
        """Run until something ends the session.

        Raises:
            DepthdError: it cannot go on; said in the log as well.
        """
        try:
            self._serve()
        except DepthdError as error:
            self._why = error.message
            self._emit(Event.SERVICE_STOPPING, reason=error.message, exit_code=error.exit_code)
            raise

    def _serve(self) -> None:
        folders = {name: str(self._config.folder(name)) for name in ("inbox", "outbox")}
        self._emit(Event.SERVICE_STARTED, version=__version__, pid=os.getpid(), **folders)
        now = time.monotonic()
        self._dispatcher.start_worker(now)
        self._dispatcher.recover()
        self._intake.start()
        while not self._is_over(now):
            wish = self._turn(now)
            now = time.monotonic()
            for key, _ in self._selector.select(max(0.0, wish - now)):
                key.data()
            now = time.monotonic()
            self._heed_signals(now)

    def close(self) -> None:
        """Stop the worker and the watcher, each within its deadline."""
        if self.next_config is None:
            self._notifier.tell(STOPPING="1")
        self._intake.stop()
        self._dispatcher.stop()
        self._write_status("stopped")
        self._emit(Event.SERVICE_STOPPED, done=self._dispatcher.totals.done)
        self._selector.close()
        self._notifier.close()
        self._spool.close()
        self._logs.close()

    def _turn(self, now: float) -> float:
        """One round of work. Returns when the loop must wake again without an event."""
        wishes = [self._intake.work(now), self._dispatcher.work(now), self._tick(now)]
        if self._gate.is_open:
            self._claim(now)
        else:
            wishes.append(self._probe(now))
        if self._stop_deadline is not None:
            wishes.append(self._stop_deadline)
        return min(wishes)

    def _is_over(self, now: float) -> bool:
        dispatcher = self._dispatcher
        if self._stop_deadline is not None:
            return not dispatcher.is_working or now >= self._stop_deadline
        if not self._once or dispatcher.is_working:
            return False
        if not self._gate.is_open:
            raise OutputError(
                f"results cannot be written: {self._gate.reason}",
                "photos stay in the inbox and in work/; run again when that is mended",
            )
        if not self._intake.drained or dispatcher.in_hand:
            return False
        self.exit_code = ExitCode.FAILURE if dispatcher.totals.failed else ExitCode.OK
        return True

    def _heed_signals(self, now: float) -> None:
        while self._signals.pending:
            number = self._signals.pending.popleft()
            if number == signal.SIGHUP:
                if self._stop_deadline is None:
                    self._reopen()
            elif self._stop_deadline is None or self.next_config is not None:
                self.next_config = None
                self._notifier.tell(STOPPING="1")
                self._stop(now, reason=number.name)
            else:
                self._stop_deadline = now

    def _stop(self, now: float, reason: str) -> None:
        self._emit(Event.SERVICE_STOPPING, reason=reason)
        self._stop_deadline = now + self._config.worker.stop_timeout
        self._why = reason
        self._write_status()

    def _reopen(self) -> None:
        """SIGHUP: reopen the log, look at the inbox, and take up a changed configuration."""
        self._notifier.tell(RELOADING="1")
        self._logs.reopen()
        self._intake.rescan()
        try:
            config = self._reload()
        except ConfigurationError as error:
            self._emit(Event.RELOAD_REFUSED, reason=error.message)
            self._why = "the new configuration is refused, see the log"
            config = self._config
        else:
            self._why = ""
            self._emit(Event.SERVICE_RELOADED, changed=config != self._config)
        if config != self._config:  # the next session says when it is ready
            self.next_config = config
            self._stop(time.monotonic(), reason="new configuration")
        elif self._told_ready:
            self._notifier.tell(READY="1")

    # photos ----------------------------------------------------------------------------------

    def _claim(self, now: float) -> None:
        if self._stop_deadline is not None or self._dispatcher.room <= 0:
            return
        if now >= self._next_disk_look:
            self._next_disk_look = now + _LOOK_AT_DISK_EVERY
            if trouble := self._disk_trouble():
                self._gate.close(trouble, now)
                return
        while (room := self._dispatcher.room) > 0:
            candidates = self._intake.take(room)
            if not candidates:
                return
            for candidate in candidates:
                self._claim_one(candidate)

    def _claim_one(self, candidate: Candidate) -> None:
        if not self._gate.is_open:
            self._intake.put_back(candidate)
            return
        try:
            job = self._spool.claim(candidate)
        except Vanished:
            self._intake.put_back(candidate)
        except Immovable as error:
            self._refuse(candidate, error)
        except OSError as error:
            self._gate.close(f"photos cannot be claimed: {error}", time.monotonic())
            self._intake.put_back(candidate)
        else:
            self._dispatcher.accept(job)

    def _refuse(self, candidate: Candidate, error: Immovable) -> None:
        if candidate.name in self._refused or len(self._refused) >= _REMEMBERED_REFUSALS:
            return
        self._refused.add(candidate.name)
        self._emit(Event.ENTRY_IGNORED, name=candidate.name, reason=str(error))

    def _probe(self, now: float) -> float:
        """While the gate is closed: can results be written again?"""
        if now < self._gate.next_probe:
            return self._gate.next_probe
        try:
            self._spool.probe()
            self._publisher.probe()
            trouble = self._disk_trouble() or self._dispatcher.do_chores()
        except OSError as error:
            trouble = str(error)
        if trouble:
            self._gate.close(trouble, now)
            return self._gate.next_probe
        self._gate.open()
        return now

    def _disk_trouble(self) -> str:
        """Why no photo should be taken now; empty when all is well."""
        outbox = self._config.folder("outbox")
        try:
            disk = os.statvfs(outbox)
        except OSError as error:
            return f"{outbox}: {error.strerror}"
        free = disk.f_bavail * disk.f_frsize
        if free < self._config.disk.min_free:
            return f"{outbox} has {free} bytes free, less than disk.min_free"
        return ""

    # worker, clock -----------------------------------------------------------------------------

    def _watch_worker(self, worker: WorkerHandle | None) -> None:
        for entry in self._worker_entries:
            self._selector.unregister(entry)
        self._worker_entries.clear()
        if worker is None:
            return
        for source, call in (
            (worker.socket, self._dispatcher.read_worker),
            (worker.sentinel, self._dispatcher.worker_died),
        ):
            self._selector.register(source, selectors.EVENT_READ, call)
            self._worker_entries.append(source)

    def _tick(self, now: float) -> float:
        """What is done once a second, and the watchdog's pings."""
        ready = self._dispatcher.ready
        if ready is not None and not self._told_ready:
            self._told_ready = True
            self._emit(Event.SERVICE_READY, model=ready.model, engine=ready.engine)
            self._notifier.tell(READY="1", MAINPID=str(os.getpid()))
        if self._notifier.watchdog_interval and now >= self._next_ping:
            self._next_ping = now + self._notifier.watchdog_interval
            self._notifier.tell(WATCHDOG="1")
        if now >= self._next_tick:
            self._next_tick = now + _TICK
            self._write_status()
        return min(self._next_tick, self._next_ping or self._next_tick)

    def _write_status(self, state: StatusState | None = None) -> None:
        status = self._status(state or self._state())
        with suppress(OSError):  # a full disk shows elsewhere; nothing depends on this file
            self._status_file.write(status)
        self._notifier.tell(STATUS=self._in_words(status))

    def _state(self) -> StatusState:
        if self._stop_deadline is not None:
            return "stopping"
        if not self._gate.is_open:
            return "paused"
        return "running" if self._dispatcher.ready else "starting"

    def _status(self, state: StatusState) -> status.Status:
        dispatcher, ready = self._dispatcher, self._dispatcher.ready
        oldest = dispatcher.oldest_claim
        return status.Status(
            version=__version__,
            pid=os.getpid(),
            state=state,
            why=self._gate.reason or self._why or dispatcher.step,
            started=self._started,
            updated=status.moment(time.time()),
            queue=status.Queue(
                waiting=self._intake.backlog,
                in_work=dispatcher.in_hand,
                oldest=None if oldest is None else status.moment(oldest),
            ),
            done=dispatcher.totals.done,
            failed=dispatcher.totals.failed,
            rates=status.rates(dispatcher.finished_at, time.monotonic()),
            worker=status.Worker(
                pid=dispatcher.worker_pid,
                ready=ready is not None,
                restarts=dispatcher.totals.worker_restarts,
            ),
            model=ready
            and status.Model(
                name=ready.model,
                sha256=ready.sha256,
                fallback=ready.fallback,
                engine=ready.engine,
                precision=ready.precision,
            ),
            last_failures=tuple(dispatcher.failures),
        )

    @staticmethod
    def _in_words(now: status.Status) -> str:
        """The line that `systemctl status` shows."""
        waiting = now.queue.waiting + now.queue.in_work
        words = [
            f"{now.state} ({now.why})" if now.why else now.state,
            f"{now.done} done, {now.failed} failed, {waiting} waiting",
        ]
        if served := now.model:
            fallback = " (fallback)" if served.fallback else ""
            words.append(f"{served.name}{fallback} on {served.engine}")
        return "; ".join(words)
