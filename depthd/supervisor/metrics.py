"""Figures for Prometheus: counted as events happen, written as a text file now and then.

For node_exporter's textfile collector, so in the text format that it reads. Imported only where
`metrics.textfile` asks for it: prometheus_client costs 1.4 MB. What a worker says makes no new
series: stages and codes are those that are declared. Knows events and the status, no loop.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)

from depthd import __version__
from depthd.contract.errors import FaultCode
from depthd.contract.events import MEANINGS, Event
from depthd.contract.health import Cause, Health, Judged
from depthd.system import files

_MODE = 0o644  # node_exporter runs as somebody else
_STAGES = ("read", "decode", "preprocess", "infer", "resize", "metres", "render", "write")
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
_WHOLE_SECONDS = (0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0)
_NAN = float("nan")

disable_created_metrics()  # type: ignore[no-untyped-call]


class Metrics:
    """The series of one daemon; counters begin anew with it."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._make_counters()
        self._make_gauges()

    def _make_counters(self) -> None:
        registry = self._registry
        levels = Counter("depthd_events", "Log events.", ["level"], registry=registry)
        by_level = {level: levels.labels(level) for level in ("debug", "info", "warning", "error")}
        self._events = {event: by_level[MEANINGS[event].level] for event in Event}
        self._plain = {
            Event.PHOTO_CLAIMED: Counter(
                "depthd_photos_claimed", "Photos taken from the inbox.", registry=registry
            ),
            Event.PHOTO_DONE: Counter(
                "depthd_photos_done", "Photos whose results are out.", registry=registry
            ),
            Event.PHOTO_SET_ASIDE: Counter(
                "depthd_photos_set_aside", "Times that a photo had to wait.", registry=registry
            ),
            Event.PHOTO_SKIPPED: Counter(
                "depthd_photos_skipped",
                "Photos done without results, for a newer one of their folder.",
                registry=registry,
            ),
            Event.PHOTO_REMOVED: Counter(
                "depthd_photos_removed", "Photos removed by retention.", registry=registry
            ),
            Event.WORKER_DIED: Counter(
                "depthd_worker_died", "Workers that ended by themselves.", registry=registry
            ),
            Event.WORKER_KILLED: Counter(
                "depthd_worker_killed", "Workers that were killed.", registry=registry
            ),
        }
        failed = Counter("depthd_photos_failed", "Photos in failed/.", ["code"], registry=registry)
        retried = Counter("depthd_photos_retried", "Tries again.", ["code"], registry=registry)
        self._by_code = {
            Event.PHOTO_FAILED: {code.value: failed.labels(code.value) for code in FaultCode},
            Event.PHOTO_RETRIED: {code.value: retried.labels(code.value) for code in FaultCode},
        }
        self._bytes = Counter(
            "depthd_result_bytes", "Bytes of results published.", registry=registry
        )
        stages = Histogram(
            "depthd_stage_seconds",
            "Time of each stage of a photo.",
            ["stage"],
            registry=registry,
            buckets=_SECONDS,
        )
        self._stages = {f"{stage}_ms": stages.labels(stage) for stage in _STAGES}
        self._whole = Histogram(
            "depthd_photo_seconds",
            "From the claim of a photo until it is done.",
            registry=registry,
            buckets=_WHOLE_SECONDS,
        )

    def _make_gauges(self) -> None:
        def gauge(name: str, about: str, *labels: str) -> Gauge:
            return Gauge(f"depthd_{name}", about, labels, registry=self._registry)

        self._info = gauge("build_info", "Version, network and engine; always 1.", *_INFO)
        self._updated = gauge("updated_timestamp_seconds", "When this was written.")
        self._started = gauge("start_timestamp_seconds", "When the daemon was started.")
        self._running = gauge("running", "1 while the daemon runs, 0 once it was stopped.")
        self._degraded = gauge("degraded", "1 while the service is not well.")
        self._cause = gauge("cause", "1 while this is why it is not well.", "cause")
        self._photos = gauge("queue_photos", "Photos that wait or are at work.", "place")
        self._oldest = gauge("queue_oldest_age_seconds", "Age of the one that waits longest.")
        self._ready = gauge("worker_ready", "1 while a worker holds the model.")
        self._restarts = gauge("worker_restarts", "Since the start of the daemon.")
        self._fallback = gauge("model_fallback", "1 while the built-in network stands in.")
        self._free = gauge("disk_free_bytes", "Free for the daemon on the results' disk.")
        self._min_free = gauge("disk_min_free_bytes", "disk.min_free, below which it pauses.")
        self._photo = gauge("disk_photo_bytes", "Results of a photo, average of the last day.")
        self._left = gauge("disk_left_seconds", "Until it is full, at the rate of the last day.")

    def count(self, event: Event, fields: Mapping[str, object]) -> None:
        """An event has happened: some additions, no more."""
        self._events[event].inc()
        if (counter := self._plain.get(event)) is not None:
            counter.inc()
        if (by_code := self._by_code.get(event)) is not None:
            known = by_code.get(str(fields.get("code")))
            if known is not None:
                known.inc()
        if event is Event.PHOTO_PUBLISHED:
            self._bytes.inc(_number(fields.get("bytes")))
            for key, stage in self._stages.items():
                if key in fields:
                    stage.observe(_number(fields[key]) / 1000)
        elif event is Event.PHOTO_DONE:
            self._whole.observe(_number(fields.get("total_ms")) / 1000)

    def families(self) -> list[tuple[str, str, str]]:
        """Name, kind and meaning of every metric."""
        return [
            (
                f"{family.name}{'_total' * (family.type == 'counter')}",
                family.type,
                family.documentation,
            )
            for family in self._registry.collect()
        ]

    def text(self, now: Judged) -> bytes:
        """Every series, in Prometheus' text format."""
        self._set(now)
        return generate_latest(self._registry)

    def write(self, path: Path, now: Judged) -> None:
        """Replace the file; readers see the old or the new one.

        Raises:
            OSError: it cannot be written.
        """
        files.write_atomic(path, self.text(now), _MODE)

    def _set(self, now: Judged) -> None:
        model, disk, queue = now.model, now.disk, now.queue
        self._info.clear()
        engine = (model.name, model.engine, model.precision) if model else ("", "", "")
        self._info.labels(__version__, *engine).set(1)
        self._updated.set(now.updated.timestamp())
        self._started.set(now.started.timestamp())
        self._running.set(now.state != "stopped")
        self._degraded.set(now.health is not Health.WELL)
        causes = {reason.cause for reason in now.reasons}
        for cause in Cause:
            self._cause.labels(cause.value).set(cause in causes)
        counts = {"inbox": queue.waiting, "work": queue.in_work, "aside": queue.aside}
        for place, count in counts.items():
            self._photos.labels(place).set(count)
        age = (now.updated - queue.since).total_seconds() if queue.since else 0.0
        self._oldest.set(max(0.0, age))
        self._ready.set(now.worker.ready)
        self._restarts.set(now.worker.restarts)
        self._fallback.set(model is not None and model.fallback)
        self._free.set(disk.free if disk else _NAN)
        self._min_free.set(disk.min_free if disk else _NAN)
        photo = disk.bytes_a_photo if disk else None
        self._photo.set(_NAN if photo is None else photo)
        left = disk.days_left if disk else None
        self._left.set(_NAN if left is None else left * 86_400)


_INFO = ("version", "model", "engine", "precision")


def _number(value: object) -> float:
    """Never less than nothing: a clock may jump."""
    return max(0.0, float(value)) if isinstance(value, int | float) else 0.0
