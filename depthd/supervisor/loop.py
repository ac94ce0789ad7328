"""The daemon's one loop: signals, inbox, worker, files and clock, each only ever acted on here.

Handlers, callbacks and threads do nothing but wake the loop; nothing on it waits. Imports nothing
heavy: no torch, numpy, OpenCV or OpenVINO in this process.
"""

from __future__ import annotations

import os
import selectors
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

from depthd import __version__
from depthd.config import Config
from depthd.contract import status
from depthd.contract.errors import DepthdError, ExitCode, OutputError
from depthd.contract.events import Event
from depthd.contract.names import printable
from depthd.contract.status import StatusState
from depthd.supervisor import report
from depthd.supervisor.changes import Installation
from depthd.supervisor.claims import Claims
from depthd.supervisor.cleaner import Cleaner
from depthd.supervisor.disk_watch import DiskWatch
from depthd.supervisor.dispatch import Dispatcher
from depthd.supervisor.filework import FileWork
from depthd.supervisor.gate import Gate
from depthd.supervisor.keeper import Keeper, StartWorker
from depthd.supervisor.parts import Parts
from depthd.supervisor.reload import Reloading
from depthd.supervisor.serving import Serving
from depthd.supervisor.signals import Signals
from depthd.supervisor.telling import Telling
from depthd.supervisor.worker_process import WorkerProcess
from depthd.system.notify import Notifier

FILE_THREADS = 3  # two photos on their way home, and one that is slow
_TICK = 1.0  # seconds between two looks at what has no event: status, disk space
_LOOK_FOR_OLDEST_EVERY = 10.0  # seconds: it looks at every photo that is known
_LOOK_FOR_CHANGES_EVERY = 60.0  # seconds: new weights, a new version of depthd
_END = 5.0  # seconds for the last writes when the service stops


@dataclass(frozen=True)
class Result:
    """How the service ended.

    Attributes:
        exit_code: of the process.
        words: what is left to say, for people.
        begin_anew: another version is installed, and takes over.
    """

    exit_code: ExitCode
    words: str = ""
    begin_anew: bool = False


def run(config: Config, *, reload: Callable[[], Config], once: bool = False) -> Result:
    """Serve until a signal, or with `once` until the inbox is drained.

    Args:
        config: the effective configuration.
        reload: reads the configuration again, for SIGHUP.
        once: end when everything in the inbox is done or failed.

    Raises:
        DepthdError: it cannot start or go on; everything is in a state to be taken up again.
    """
    parts = Parts.build(config)
    with Signals() as signals:
        service = Service(parts, reload, signals, once=once)
        try:
            result = service.serve()
        finally:
            service.close()
        if signals.want_end:  # it came while the service was being closed
            result = replace(result, begin_anew=False)
    return result


def start_worker(config: Config, is_busy: bool) -> WorkerProcess:
    return WorkerProcess(config, is_busy=is_busy)


class Service:
    """The service.

    Args:
        parts: the folders, open.
        reload: reads the configuration again.
        signals: wakes the loop.
        once: end when the inbox is drained.
        clock: seconds, never going back.
        start: starts a worker.
        file_threads: see `FileWork`.
    """

    def __init__(
        self,
        parts: Parts,
        reload: Callable[[], Config],
        signals: Signals,
        *,
        once: bool,
        clock: Callable[[], float] = time.monotonic,
        start: StartWorker = start_worker,
        file_threads: int | None = None,
    ) -> None:
        config = parts.config
        self._signals = signals
        self._once = once
        self._clock = clock
        self._serving = Serving(parts, self._wake_for_intake)
        self._emit = self._serving.events.emit
        self._notifier = Notifier()
        self._started = status.moment(time.time())
        self._gate = Gate(self._emit)
        threads = FILE_THREADS if file_threads is None else file_threads
        self._filework = FileWork(threads, signals.wake)
        # Of its own: if what is looked at beside photos hangs, they still come home, and all ends.
        self._beside = FileWork(min(threads, 1), signals.wake)
        self._telling = Telling(config, self._serving.events, self._beside, clock())
        self._keeper = Keeper(start, config, self._emit, once=once)
        self._cleaner = Cleaner(config, self._beside, self._emit)
        self._disk = DiskWatch(
            self._beside, lambda free: self._cleaner.note_free(free, self._clock())
        )
        self._dispatcher = Dispatcher(
            config, parts.errands, self._filework, self._keeper, self._gate, self._emit, clock
        )
        usage = self._dispatcher.home.usage
        self._serving.events.count_by(
            "disk", lambda event, fields: usage.heed(clock(), event, fields)
        )
        self._serving.connect_hooks()  # once all who count events do
        self._reloading = Reloading(
            reload,
            self._serving,
            self._dispatcher,
            self._keeper,
            self._cleaner,
            self._telling,
            self._gate,
            self._write_status,
        )
        self._claims = Claims(self._dispatcher, self._filework, self._gate, clock)
        self._selector = selectors.DefaultSelector()
        self._selector.register(signals.reader, selectors.EVENT_READ)
        self._watched: set[int] = set()
        self._installation = Installation()
        self._intake_woke = True
        self._intake_due = 0.0
        self._is_probing = False
        self._oldest_waiting: float | None = None
        self._stop_deadline: float | None = None
        self._why = ""  # it stops
        self._begin_anew = False
        self._told_ready = False
        self._next_tick = 0.0
        self._next_ping = 0.0
        self._next_look = clock() + _LOOK_FOR_CHANGES_EVERY
        self._next_oldest = 0.0

    def _wake_for_intake(self) -> None:
        """Called on the watcher's threads."""
        self._intake_woke = True
        self._signals.wake()

    # life ------------------------------------------------------------------------------------

    def serve(self) -> Result:
        """Run until something ends the service.

        Raises:
            DepthdError: it cannot go on; said in the log as well.
        """
        try:
            return self._serve()
        except DepthdError as error:
            self._why = error.message
            self._emit(Event.SERVICE_STOPPING, reason=error.message, exit_code=error.exit_code)
            raise

    def _serve(self) -> Result:
        folders = {name: str(self._serving.config.folder(name)) for name in ("inbox", "outbox")}
        self._emit(Event.SERVICE_STARTED, version=__version__, pid=os.getpid(), **folders)
        self._keeper.turn(self._clock())  # it loads while the rest begins
        self._dispatcher.recovery.begin()
        self._serving.intake.start()
        while True:
            wish = self.turn()
            if (result := self._result(self._clock())) is not None:
                return result
            for _ in self._selector.select(max(0.0, wish - self._clock())):
                pass
            self._signals.drain()
            self._heed_signals()

    def turn(self) -> float:
        """One round of work, bounded in time. Returns when the loop must wake without an event."""
        now = self._clock()
        self._filework.deliver()
        self._beside.deliver()
        wishes = [self._keeper.turn(now)]
        news = self._keeper.poll(now)
        self._dispatcher.hear(news)
        if news.is_other_version and self._installation.is_other():
            self._upgrade(now)
        if now >= self._intake_due or self._intake_woke:
            self._intake_woke = False
            self._intake_due = self._serving.intake.work(now)
        wishes += [self._intake_due, self._tick(now)]
        if self._stop_deadline is None and self._reloading.turn(now):
            self._heed_reload(now)
        if self._keeper.wants_exchange and not self._dispatcher.is_working:
            self._keeper.exchange(now)
        self._claim()
        wishes.append(self._dispatcher.turn(now))
        if not self._gate.is_open:
            wishes.append(self._probe(now))
        if self._stop_deadline is not None:
            wishes.append(self._stop_deadline)
        # Last: a source that got the number of one that is closed here would not be watched.
        wishes.append(self._cleaner.turn(now))
        self._watch_sources()
        if not self._filework.is_threaded and (self._filework.pending or self._beside.pending):
            return now
        return min(wishes)

    def close(self) -> None:
        """Stop worker and watcher, each within its deadline."""
        self._tell_of_the_end()
        self._serving.intake.stop()
        self._dispatcher.give_back()
        self._keeper.stop(self._clock())
        end = self._clock() + _END
        while self._clock() < end and (
            self._filework.pending or self._beside.pending or not self._keeper.is_gone()
        ):
            self._watch_sources()
            self._selector.select(0.05)
            self._signals.drain()
            self._filework.deliver()
            self._beside.deliver()
        self._keeper.abandon()
        self._cleaner.stop()
        if self._serving.hooks is not None:
            self._serving.hooks.stop(_END if self._once else 0.0)
        self._filework.stop()
        self._beside.stop()
        self._telling.close(self._write_status("stopped"))
        self._emit(Event.SERVICE_STOPPED, done=self._dispatcher.home.totals.done)
        self._selector.close()
        self._notifier.close()
        self._serving.parts.spool.close()
        self._reloading.close()
        self._serving.logs.close()

    def _result(self, now: float) -> Result | None:
        """How it ended, or None while it goes on."""
        dispatcher = self._dispatcher
        if self._stop_deadline is not None:
            if dispatcher.is_working and now < self._stop_deadline:
                return None
            return Result(ExitCode.OK, begin_anew=self._begin_anew)
        if not self._once or dispatcher.is_working:
            return None
        intake = self._serving.intake
        if intake.drained and dispatcher.is_at_rest:
            return self._account()
        if not self._gate.is_open and (intake.backlog or not dispatcher.is_at_rest):
            raise OutputError(
                f"results cannot be written: {self._gate.reason}",
                "photos stay in the inbox and in work/; run again when that is mended",
            )
        return None

    def _account(self) -> Result:
        """The end of a single run: what is done, what failed, what had to stay."""
        home = self._dispatcher.home
        left = [(entry.job.name, entry.reason) for entry in home.table]
        left += self._dispatcher.recovery.unread.items()
        inbox = self._serving.intake.remaining()
        count = len(left) + inbox.count
        shown = [*left, *inbox.examples][:20]
        words = "".join(f"\n  {printable(name)}: {printable(reason)}" for name, reason in shown)
        if count:
            more = f"\n  and {count - len(shown)} more" if count > len(shown) else ""
            words = f"{count} photos stay where they are:{words}{more}"
        is_bad = bool(count or home.totals.failed)
        return Result(ExitCode.FAILURE if is_bad else ExitCode.OK, words)

    # signals ---------------------------------------------------------------------------------

    def _heed_signals(self) -> None:
        while self._signals.pending:
            number = self._signals.pending.popleft()
            now = self._clock()
            if number == signal.SIGHUP:
                if self._stop_deadline is None:
                    self._heed_reload(now)
            elif self._stop_deadline is None:
                self._stop(now, reason=number.name)
            elif self._begin_anew:  # the first one: it stops already, and then stays so
                self._begin_anew = False
                self._tell_of_the_end()
            else:
                self._stop_deadline = now

    def _tell_of_the_end(self) -> None:
        """Beginning anew is no end: a service manager kills who says so and does not end."""
        self._notifier.tell(**{"RELOADING" if self._begin_anew else "STOPPING": "1"})

    def _stop(self, now: float, reason: str) -> None:
        self._tell_of_the_end()
        self._emit(Event.SERVICE_STOPPING, reason=reason)
        self._stop_deadline = now + self._serving.config.worker.stop_timeout
        self._why = reason
        self._dispatcher.stop()
        self._write_status()

    def _heed_reload(self, now: float) -> None:
        """SIGHUP: look at the inbox, take up what has changed."""
        self._notifier.tell(RELOADING="1")
        self._intake_woke = True
        self._reloading.heed(now)
        if self._told_ready:
            self._notifier.tell(READY="1")

    # photos ----------------------------------------------------------------------------------

    def _claim(self) -> None:
        if self._stop_deadline is not None or not self._gate.is_open:
            return
        if self._disk.trouble:
            self._gate.close(self._disk.trouble, self._clock())
            return
        serving = self._serving
        held = self._dispatcher.home.held() | serving.held.places
        if serving.config.skips:
            if self._claims.are_under_way:  # which folders have one at work is not known yet
                return
            held |= self._dispatcher.home.busy(serving.config.wants_latest)
        if self._claims.turn(serving.intake, serving.parts.errands, serving.config, held):
            self._intake_woke = True  # there may be more to find

    def _probe(self, now: float) -> float:
        """While the gate is closed: can results be written again?"""
        if self._is_probing:
            return now + _TICK
        if now < self._gate.next_probe:
            return self._gate.next_probe
        self._is_probing = True
        errands, typical = self._serving.parts.errands, self._dispatcher.home.typical_size

        def succeeded(_: object) -> None:
            self._is_probing = False
            if self._disk.trouble:
                self._gate.close(self._disk.trouble, self._clock())
            else:
                self._gate.open()

        def failed(error: Exception) -> None:
            self._is_probing = False
            self._gate.close(str(error), self._clock())

        self._filework.submit(lambda: errands.probe(typical), succeeded, failed)
        return now + _TICK

    # clock -----------------------------------------------------------------------------------

    def _tick(self, now: float) -> float:
        """What is done once a second, and the watchdog's pings."""
        ready = self._keeper.ready
        if ready is not None and not self._told_ready:
            self._told_ready = True
            self._emit(Event.SERVICE_READY, model=ready.model, engine=ready.engine)
            self._notifier.tell(READY="1", MAINPID=str(os.getpid()))
        if ready is not None:
            self._serving.weights.note(ready.weights)
        if self._notifier.watchdog_interval and now >= self._next_ping:
            self._next_ping = now + self._notifier.watchdog_interval
            self._notifier.tell(WATCHDOG="1")
        if now >= self._next_tick:
            self._next_tick = now + _TICK
            self._disk.look(self._serving.config)
            self._intake_woke = self._serving.held.look() or self._intake_woke
            if now >= self._next_oldest:
                self._next_oldest = now + _LOOK_FOR_OLDEST_EVERY
                self._oldest_waiting = self._serving.intake.oldest
            self._telling.tell(self._write_status(), now)
        if now >= self._next_look:
            self._next_look = now + _LOOK_FOR_CHANGES_EVERY
            self._look_for_changes(now)
        return min(self._next_tick, self._next_ping or self._next_tick)

    def _look_for_changes(self, now: float) -> None:
        """Weights that were replaced or have come, and another version of depthd."""
        if self._once or self._stop_deadline is not None:
            return
        if self._serving.weights.has_changed():
            self._keeper.renew(self._serving.config, now)
        if self._installation.has_changed():
            self._upgrade(now)

    def _upgrade(self, now: float) -> None:
        """Another version is installed: finish what is at hand, then start as that one."""
        if self._once or self._stop_deadline is not None:
            return
        self._emit(Event.SERVICE_UPGRADED, version=__version__)
        self._begin_anew = True
        self._stop(now, reason="another version of depthd was installed")

    def _watch_sources(self) -> None:
        wanted = self._keeper.sources() | self._cleaner.sources()
        for source in self._watched - wanted:
            with suppress(KeyError, ValueError):
                self._selector.unregister(source)
        for source in wanted - self._watched:
            self._selector.register(source, selectors.EVENT_READ)
        self._watched = wanted

    def _write_status(self, state: StatusState | None = None) -> status.Status:
        serving = self._serving
        now = report.report(
            report.Moment(
                state=state or self._state(),
                why=self._why_so(),
                started=self._started,
                now=status.moment(time.time()),
                clock=self._clock(),
                waiting=serving.intake.backlog,
                held=serving.held.since,
                reload=self._reloading.last,
                oldest_waiting=self._oldest_waiting if serving.intake.backlog else None,
                disk=self._disk_use(),
                inbox=serving.intake.trouble,
                hooks=serving.hooks.troubles() if serving.hooks else {},
            ),
            self._dispatcher,
            self._keeper,
        )
        with suppress(OSError):  # a full disk shows elsewhere; nothing depends on this file
            serving.status_file.write(now)
        self._notifier.tell(STATUS=report.in_words(now))
        return now

    def _disk_use(self) -> status.Disk | None:
        if self._disk.room is None:
            return None
        usage, least = self._dispatcher.home.usage, self._serving.config.disk.min_free
        return usage.disk(self._clock(), self._disk.room, least)

    def _why_so(self) -> str:
        """Why it is in the state it is in, the weightiest reason."""
        reload, keeper = self._reloading, self._keeper
        return self._gate.reason or self._why or reload.trouble or keeper.trouble or keeper.step

    def _state(self) -> StatusState:
        if self._stop_deadline is not None:
            return "stopping"
        if not self._gate.is_open:
            return "paused"
        return "running" if self._keeper.ready else "starting"
