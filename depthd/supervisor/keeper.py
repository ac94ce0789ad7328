"""Keeps a worker alive: starts, restarts with backoff, exchanges, and never gives up on it.

Only before the first one is ready does a worker that cannot serve end the service, with the exit
code that it names; later that is a matter of time, unless somebody waits for a single run's end.
Knows workers and messages, no jobs.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from depthd import __version__
from depthd.channel.messages import FromWorker, Hello, ProtocolError, Ready, Step, Unavailable
from depthd.config import Config
from depthd.contract.errors import DepthdError, ExitCode, UnavailableError
from depthd.contract.events import Emit, Event
from depthd.supervisor.backoff import Backoff
from depthd.supervisor.changes import Changes
from depthd.supervisor.credence import JobMessage
from depthd.supervisor.table import NEVER
from depthd.supervisor.worker_process import Worker

StartWorker = Callable[[Config, bool], Worker]

_RESTART = Backoff(first=0.25, longest=30.0)
_UNAVAILABLE = Backoff(first=5.0, longest=300.0)
_FORGOTTEN_AFTER = 60.0  # seconds of health after which earlier deaths no longer count
_STARTS_IN_VAIN = 5  # in a row, before the first worker is ready, or in a single run
_REMEMBERED_DEATHS = 100
_HOUR = 3600.0
_LAST_GASP = 10.0  # seconds that a killed worker may take to be gone before another is started


class NeverReadyError(DepthdError):
    """The first worker cannot serve; carries the exit code that the worker named."""

    def __init__(self, message: str, hint: str, exit_code: ExitCode) -> None:
        super().__init__(message, hint)
        self.exit_code = exit_code


@dataclass
class _Held:
    """A worker and what it has said of itself."""

    worker: Worker
    config: Config
    ready_by: float
    ready: Ready | None = None


@dataclass
class News:
    """What one look at the workers has brought.

    Attributes:
        messages: about jobs.
        death: why the worker that served is gone; empty while it lives.
        out_of_memory: the kernel took it.
        is_other_version: a worker of another version has answered.
    """

    messages: list[JobMessage] = field(default_factory=list)
    death: str = ""
    out_of_memory: bool = False
    is_other_version: bool = False


class Keeper:
    """The workers.

    Args:
        start: starts a worker process.
        config: the settings to serve with.
        emit: writes a log event.
        once: a single run: photos wait for the first worker, and somebody for the end.
    """

    def __init__(self, start: StartWorker, config: Config, emit: Emit, *, once: bool) -> None:
        self._start = start
        self._emit = emit
        self._once = once
        self._current: _Held | None = None
        self._next: _Held | None = None  # to take the place of the current one
        self._dying: list[tuple[Worker, float]] = []
        self._restart_at = 0.0
        self._failures = 0
        self._starts_in_vain = 0
        self._healthy_since = NEVER
        self._deaths: deque[float] = deque(maxlen=_REMEMBERED_DEATHS)
        self._proven: Config | None = None  # with which the last one served; None until one has
        self._is_trial = False  # other settings came while none served, and none has with them
        self.config = config  # to serve with from the next start on
        self.refused = ""  # why other settings than these are not used
        self.restarts = 0
        self.step = ""  # what a worker that is not ready does
        self.trouble = ""  # why there is none that serves

    # what others see --------------------------------------------------------------------------

    @property
    def ready(self) -> Ready | None:
        """What serves, or None while nothing does."""
        return self._current.ready if self._current else None

    @property
    def pid(self) -> int | None:
        return self._current.worker.pid if self._current else None

    @property
    def worker(self) -> Worker | None:
        """The worker that serves."""
        return self._current.worker if self._current and self._current.ready else None

    @property
    def wants_exchange(self) -> bool:
        """Another worker is ready; `exchange` it when this one has nothing to do."""
        return self._next is not None and self._next.ready is not None

    def deaths(self, now: float) -> int:
        """How often a worker died or was killed within the last hour; at most 100."""
        return sum(now - death < _HOUR for death in self._deaths)

    def sources(self) -> set[int]:
        """Descriptors to wake for."""
        workers = [held.worker for held in (self._current, self._next) if held]
        workers += [worker for worker, _ in self._dying]
        return {source for worker in workers for source in worker.sources()}

    # life --------------------------------------------------------------------------------------

    def turn(self, now: float) -> float:
        """Start and kill what is due. Returns when to call again.

        Raises:
            NeverReadyError: no worker was ever ready, and it does not help to go on.
        """
        if now - self._healthy_since >= _FORGOTTEN_AFTER:
            self._failures = 0
        for held in (self._current, self._next):
            if held and not held.ready and now >= held.ready_by:
                reason = f"it was not ready within {held.config.worker.start_timeout:g} s"
                self._emit(Event.WORKER_KILLED, reason=reason, jobs=[])
                self._drop(held, now, reason)
        if self._current is None and now >= self._restart_at and not self._is_gasping(now):
            try:
                # Settings that another one tries already may not do.
                proven = self._proven if self._next is not None else None
                self._current = self._begin(proven or self.config, now)
            except OSError as error:  # no memory, no process, no descriptor left: it may pass
                self._starts_in_vain += 1
                self._fail(now, f"no worker can be started: {error}", _RESTART)
        # Last: a worker that got the descriptor numbers of a dead one at once would not be watched.
        self._reap(now)
        times = [held.ready_by for held in (self._current, self._next) if held and not held.ready]
        if self._current is None:
            times.append(max(self._restart_at, now + 0.05 if self._dying else 0.0))
        return min(times, default=NEVER)

    def poll(self, now: float) -> News:
        """Hear what the workers say and see who is dead; never waits.

        Raises:
            NeverReadyError: see `turn`.
        """
        news = News()
        for held in [held for held in (self._current, self._next) if held]:
            self._listen(held, news, now)
        for worker, _ in self._dying:
            self._tell_words(worker)
        return news

    def kill(self, reason: str, jobs: list[str], now: float) -> None:
        """The worker that serves is stuck; another one takes its place."""
        if self._current is not None:
            self._emit(Event.WORKER_KILLED, reason=reason, jobs=jobs)
            self._drop(self._current, now, reason)

    def worked(self) -> None:
        """A photo came through."""
        self._failures = 0

    def keep(self, config: Config) -> None:
        """Serve with these settings from the next start on."""
        self.config, self.refused = config, ""

    def renew(self, config: Config, now: float) -> None:
        """Serve with other settings, or with weights that are new, once such a worker is ready.

        If none becomes so, those with which one has served are kept.
        """
        self.keep(config)
        self._is_trial = self.ready is None and self._proven is not None
        if self._next is not None:
            self._let_go(self._next, now)
            self._next = None
        if self._current is None:
            self._restart_at = now
        elif self._current.ready is None:
            self._let_go(self._current, now)
            self._current = None
            self._restart_at = now
        else:
            try:
                self._next = self._begin(config, now)
            except OSError as error:
                self._refuse_settings(f"no worker can be started: {error}", now)

    def exchange(self, now: float) -> None:
        """Let the one that is ready take over; the other has nothing in its hands."""
        if self._next is None:
            return
        if self._current is not None:
            self._current.worker.hang_up()
            self._dying.append((self._current.worker, now + _LAST_GASP))
        self._current, self._next = self._next, None
        self._proven = self._current.config
        self._healthy_since = now
        self.trouble = ""
        self._emit(Event.WORKER_EXCHANGED, pid=self._current.worker.pid)

    def stop(self, now: float) -> None:
        """End all workers; they own nothing that could be left half done."""
        for held in (self._current, self._next):
            if held is not None:
                held.worker.kill()
                self._dying.append((held.worker, now))
        self._current = self._next = None
        self._restart_at = NEVER

    def is_gone(self) -> bool:
        """Whether no worker is left after `stop`."""
        self._dying = [(worker, at) for worker, at in self._dying if not _is_dead(worker)]
        return not self._dying

    def abandon(self) -> None:
        """Kill what is left; it is not waited for."""
        for worker, _ in self._dying:
            worker.kill()
            worker.close()
        self._dying.clear()

    # inside ------------------------------------------------------------------------------------

    def _begin(self, config: Config, now: float) -> _Held:
        worker = self._start(config, self._once and self._proven is None)
        self._emit(Event.WORKER_STARTED, pid=worker.pid)
        return _Held(worker, config, now + config.worker.start_timeout)

    def _listen(self, held: _Held, news: News, now: float) -> None:
        try:
            messages = held.worker.hear()
            death = held.worker.death()
            if death is not None:
                messages += held.worker.hear()  # its last words
            for message in messages:
                _check_order(held, message)
        except ProtocolError as error:
            reason = f"it spoke nonsense: {error}"
            self._emit(Event.WORKER_KILLED, reason=reason, jobs=[])
            if held is self._current:
                news.death = reason
            self._drop(held, now, reason)
            return
        self._tell_words(held.worker)
        for message in messages:
            if not self._heed(held, message, news, now):
                return
        if death is None:
            return
        self._emit(Event.WORKER_DIED, reason=str(death))
        if held is self._current:
            news.death, news.out_of_memory = str(death), death.out_of_memory
        self._drop(held, now, str(death))

    def _tell_words(self, worker: Worker) -> None:
        for line in worker.words():
            self._emit(Event.WORKER_SAID, text=line)

    def _heed(self, held: _Held, message: FromWorker, news: News, now: float) -> bool:
        """Act on what a worker says of itself; returns whether it still serves."""
        match message:
            case Hello():
                news.is_other_version = news.is_other_version or message.version != __version__
            case Step():
                self.step = message.text
                self._emit(Event.MODEL_STEP, text=message.text)
            case Ready():
                self._became_ready(held, message, now)
            case Unavailable():
                self._refuse(held, message, now)
                return False
            case _ if held is self._current:
                news.messages.append(message)
        return True

    def _became_ready(self, held: _Held, ready: Ready, now: float) -> None:
        held.ready = ready
        self._starts_in_vain = 0
        self.step = self.trouble = ""
        if held is self._current:
            self._proven, self._is_trial = held.config, False
            self._healthy_since = now
        self._emit(Event.WORKER_READY, **ready.model_dump(exclude={"kind"}))
        if ready.fallback:
            wanted = held.config.model.name
            hint = "depthd model fetch"
            self._emit(Event.MODEL_FALLBACK, model=ready.model, wanted=wanted, hint=hint)

    def _refuse(self, held: _Held, why: Unavailable, now: float) -> None:
        if self._proven is None:
            raise NeverReadyError(why.message, why.hint, why.exit_code)
        self._let_go(held, now)
        if held is self._next or self._is_trial:
            self._refuse_settings(why.message, now, hint=why.hint)
            return
        self._emit(Event.WORKER_UNAVAILABLE, reason=why.message, hint=why.hint)
        self._current = None
        self._starts_in_vain += 1
        self._fail(now, why.message, _UNAVAILABLE)

    def _refuse_settings(self, reason: str, now: float, **more: str) -> None:
        """Nothing comes of the worker that was to serve with them."""
        self._next, self.step = None, ""
        self._emit(Event.RELOAD_REFUSED, reason=reason, **more)
        if self._proven is not None:
            if Changes.between(self._proven, self.config).worker:  # else it is the weights
                self.refused = reason
            self.config = self._proven
        if self._is_trial:  # nor does another serve meanwhile
            self._current, self._is_trial = None, False
            self.trouble, self._restart_at = reason, now

    def _drop(self, held: _Held, now: float, reason: str) -> None:
        """A worker is dead or must be."""
        self._let_go(held, now)
        if held is self._next or self._is_trial:
            self._refuse_settings(f"the worker that was to serve with it is gone: {reason}", now)
            return
        self._current = None
        self.restarts += 1
        self._deaths.append(now)
        self._starts_in_vain += held.ready is None
        self._fail(now, reason, _RESTART)

    def _fail(self, now: float, reason: str, backoff: Backoff) -> None:
        self._failures += 1
        self._healthy_since = NEVER
        self.trouble = reason
        is_waited_for = self._once or self._proven is None
        if is_waited_for and self._starts_in_vain >= _STARTS_IN_VAIN:
            raise UnavailableError(
                f"no worker became ready in {self._starts_in_vain} starts: {reason}",
                "run 'depthd check'; the worker's own words are on standard error",
            )
        self._restart_at = now + backoff.after(self._failures)

    def _let_go(self, held: _Held, now: float) -> None:
        held.worker.kill()
        self._dying.append((held.worker, now + _LAST_GASP))

    def _reap(self, now: float) -> None:
        left = []
        for worker, give_up_at in self._dying:
            if _is_dead(worker):
                continue
            if now >= give_up_at:
                worker.kill()
            left.append((worker, give_up_at))
        self._dying = left

    def _is_gasping(self, now: float) -> bool:
        """A killed worker still holds its memory; wait for it, but not for ever."""
        return any(now < give_up_at for _, give_up_at in self._dying)


def _check_order(held: _Held, message: FromWorker) -> None:
    """Of itself a worker speaks until it is ready, and from then on of jobs only.

    Raises:
        ProtocolError: whoever speaks now is no worker of ours any more.
    """
    is_of_itself = isinstance(message, Hello | Step | Ready | Unavailable)
    if is_of_itself == (held.ready is not None):
        raise ProtocolError(f"it said {message.kind} out of turn")


def _is_dead(worker: Worker) -> bool:
    if worker.death() is None:
        return False
    worker.close()
    return True
