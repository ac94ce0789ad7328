"""What the service tells of itself beside its status: a heartbeat in the log, and metrics.

Both have the figures of the status. Knows no photos and no worker; times are seconds of the loop's
clock.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from depthd.config import Config
from depthd.contract.errors import words_of
from depthd.contract.events import Event
from depthd.contract.health import Judged, judge
from depthd.contract.status import Status
from depthd.supervisor.events_out import EventBus
from depthd.supervisor.filework import FileWork

if TYPE_CHECKING:
    from depthd.supervisor.metrics import Metrics

_WRITE_EVERY = 10.0  # seconds; Prometheus asks node_exporter every 15 or more


class Telling:
    """Heartbeat and metrics.

    Args:
        config: the settings.
        events: are counted, and get the heartbeat.
        filework: writes the file off the loop.
        now: the time.
    """

    def __init__(self, config: Config, events: EventBus, filework: FileWork, now: float) -> None:
        self._config = config
        self._events = events
        self._filework = filework
        self._next_beat = now + config.log.heartbeat
        self._next_writing = 0.0
        self._is_writing = False
        self._trouble = ""
        self._metrics: Metrics | None = None
        self.renew(config, now)

    def renew(self, config: Config, now: float) -> None:
        """Go on with other settings; what was counted stays."""
        if config.log.heartbeat != self._config.log.heartbeat:
            self._next_beat = now + config.log.heartbeat
        former, self._config = self._config.metrics.textfile, config
        if former is not None and former != config.metrics.textfile:
            self._leave(former)
        self._trouble, self._next_writing = "", 0.0
        if config.metrics.textfile is not None and self._metrics is None:
            from depthd.supervisor.metrics import Metrics  # noqa: PLC0415 - only where asked for

            self._metrics = Metrics()
            self._events.count_by("metrics", self._metrics.count)

    def tell(self, status: Status, now: float) -> None:
        """Tell what is due; called once a second."""
        heartbeat = self._config.log.heartbeat
        is_beat = bool(heartbeat) and now >= self._next_beat
        is_writing = now >= self._next_writing and not self._is_writing
        path = self._config.metrics.textfile
        if not is_beat and (path is None or not is_writing):
            return
        judged = judge(status, status.updated, self._config.status.max_wait)
        if is_beat:
            self._next_beat = now + heartbeat
            self._events.emit(Event.HEARTBEAT, **figures(judged))
        if path is not None and self._metrics is not None and is_writing:
            self._next_writing, self._is_writing = now + _WRITE_EVERY, True
            self._filework.submit(
                partial(self._metrics.write, path, judged), self._written, partial(self._lost, path)
            )

    def close(self, status: Status) -> None:
        """The last word: the service does not run any more."""
        path = self._config.metrics.textfile
        if path is not None and self._metrics is not None:
            judged = judge(status, status.updated, self._config.status.max_wait)
            try:
                self._metrics.write(path, judged)
            except OSError as error:
                self._lost(path, error)

    def _leave(self, path: Path) -> None:
        """Old figures go: node_exporter refuses all that come in two files."""
        remove = partial(path.unlink, missing_ok=True)
        self._filework.submit(remove, lambda _: None, partial(self._lost, path))

    def _written(self, _: object) -> None:
        self._is_writing, self._trouble = False, ""

    def _lost(self, path: Path, error: Exception) -> None:
        """Said once for each reason."""
        self._is_writing = False
        reason = words_of(error)
        if reason != self._trouble:
            self._trouble = reason
            self._events.emit(Event.METRICS_LOST, file=os.fspath(path), reason=reason)


def figures(now: Judged) -> Mapping[str, object]:
    """What a heartbeat says; the metrics say the same."""
    queue, disk, worker, model = now.queue, now.disk, now.worker, now.model
    return {
        "health": now.health.value,
        "causes": [reason.cause.value for reason in now.reasons],
        "state": now.state,
        "waiting": queue.waiting,
        "in_work": queue.in_work,
        "aside": queue.aside,
        "oldest_s": round((now.updated - queue.since).total_seconds()) if queue.since else 0,
        "done": now.done,
        "failed": now.failed,
        "a_minute": now.rates.last_15_minutes,
        "worker_ready": worker.ready,
        "restarts": worker.restarts,
        "model": model.name if model else None,
        "fallback": model.fallback if model else None,
        "free": disk.free if disk else None,
        "bytes_a_photo": disk.bytes_a_photo if disk else None,
        "days_left": None if disk is None or disk.days_left is None else round(disk.days_left, 2),
    }
