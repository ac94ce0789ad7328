"""Every log event, declared once: name, level, meaning. The docs' table is made from here.

Events about a photo carry `job` and `name`; times are milliseconds in fields that end in `_ms`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

LOG_FILE = "depthd.jsonl"  # in the folder log/


class Event(StrEnum):
    # the service
    SERVICE_STARTED = "service.started"
    SERVICE_READY = "service.ready"
    SERVICE_STOPPING = "service.stopping"
    SERVICE_STOPPED = "service.stopped"
    HEARTBEAT = "service.heartbeat"
    SERVICE_PAUSED = "service.paused"
    SERVICE_RESUMED = "service.resumed"
    SERVICE_UPGRADED = "service.upgraded"
    FOLDER_HELD = "folder.held"
    FOLDER_RELEASED = "folder.released"
    SERVICE_RELOADED = "service.reloaded"
    RELOAD_REFUSED = "service.reload_refused"
    RETENTION_OVER = "retention.over"
    RETENTION_TROUBLE = "retention.trouble"
    LOG_REMOVED = "log.removed"
    LOG_LOST = "log.lost"
    LOG_FOUND = "log.found"
    LOG_SHORTENED = "log.shortened"
    STDERR_BEHIND = "log.stderr_behind"
    METRICS_LOST = "metrics.lost"
    CONSUMER_FAILED = "consumer.failed"
    # intake
    WATCH_STARTED = "watch.started"
    WATCH_DEGRADED = "watch.degraded"
    WATCH_LOST = "watch.lost"
    WATCH_OVERFLOW = "watch.overflow"
    INBOX_LOST = "inbox.lost"
    INBOX_FOUND = "inbox.found"
    INBOX_HELD = "inbox.held"
    INBOX_RELEASED = "inbox.released"
    HOLDS_UNCLEAR = "inbox.holds_unclear"
    ENTRY_IGNORED = "inbox.entry_ignored"
    # photos
    PHOTO_CLAIMED = "photo.claimed"
    PHOTO_PUBLISHED = "photo.published"
    PHOTO_DONE = "photo.done"
    PHOTO_SKIPPED = "photo.skipped"
    PHOTO_FAILED = "photo.failed"
    PHOTO_RETRIED = "photo.retried"
    PHOTO_RETURNED = "photo.returned"
    PHOTO_RECOVERED = "photo.recovered"
    PHOTO_SET_ASIDE = "photo.set_aside"
    PHOTO_NOTE = "photo.note"
    PHOTO_REMOVED = "photo.removed"
    # who is told
    HOOK_TAKEN = "hook.taken"
    HOOK_FAILED = "hook.failed"
    HOOK_GAVE_UP = "hook.gave_up"
    HOOK_LEFT = "hook.left"
    # worker and model
    WORKER_STARTED = "worker.started"
    WORKER_READY = "worker.ready"
    WORKER_DIED = "worker.died"
    WORKER_KILLED = "worker.killed"
    WORKER_SAID = "worker.said"
    WORKER_UNAVAILABLE = "worker.unavailable"
    WORKER_EXCHANGED = "worker.exchanged"
    MODEL_FALLBACK = "model.fallback"
    MODEL_STEP = "model.step"


@dataclass(frozen=True)
class Meaning:
    level: str
    text: str


MEANINGS: dict[Event, Meaning] = {
    Event.SERVICE_STARTED: Meaning("info", "The daemon runs; folders and version follow."),
    Event.SERVICE_READY: Meaning("info", "The worker can serve and the inbox is watched."),
    Event.SERVICE_STOPPING: Meaning("info", "A signal or --once ends the daemon."),
    Event.SERVICE_STOPPED: Meaning("info", "The last event of an orderly stop."),
    Event.HEARTBEAT: Meaning(
        "info", "It runs: health, queue, rates, worker, model and disk, every `log.heartbeat`."
    ),
    Event.SERVICE_PAUSED: Meaning("warning", "Outputs cannot be written; photos wait."),
    Event.SERVICE_RESUMED: Meaning("info", "Outputs can be written again."),
    Event.SERVICE_UPGRADED: Meaning(
        "info", "Another version was installed; the daemon starts itself anew with it."
    ),
    Event.FOLDER_HELD: Meaning(
        "warning", "Results of one folder cannot be written; its photos wait, others go on."
    ),
    Event.FOLDER_RELEASED: Meaning("info", "Results of that folder can be written again."),
    Event.SERVICE_RELOADED: Meaning(
        "info", "SIGHUP: logs reopened, configuration read again; `settings` says what is new."
    ),
    Event.RELOAD_REFUSED: Meaning(
        "error", "New settings (SIGHUP) or new weights cannot be used; the former ones are kept."
    ),
    Event.RETENTION_OVER: Meaning(
        "info", "What `retention` says was removed: so many photos and logs, so many bytes."
    ),
    Event.RETENTION_TROUBLE: Meaning(
        "warning", "Something that `retention` says cannot be removed, or not be looked at."
    ),
    Event.LOG_REMOVED: Meaning("info", "A rotated log was removed, as `retention` says."),
    Event.LOG_LOST: Meaning("error", "The log file cannot be written; standard error goes on."),
    Event.LOG_FOUND: Meaning(
        "warning", "The log file can be written again; `lost` lines are not in it."
    ),
    Event.LOG_SHORTENED: Meaning(
        "warning", "An event (`of`) came too often within a minute; `left_out` are not written."
    ),
    Event.STDERR_BEHIND: Meaning(
        "warning", "Nobody read standard error for a while; `lost` lines are not on it."
    ),
    Event.METRICS_LOST: Meaning(
        "warning", "The file `metrics.textfile` cannot be written; it is tried again."
    ),
    Event.CONSUMER_FAILED: Meaning("error", "What counts events failed, and sees no more of them."),
    Event.WATCH_STARTED: Meaning("info", "The inbox is watched, by native events or by polling."),
    Event.WATCH_DEGRADED: Meaning("warning", "Native events do not work here; polling instead."),
    Event.WATCH_LOST: Meaning("warning", "The watcher died; it is started anew."),
    Event.WATCH_OVERFLOW: Meaning("warning", "Events were lost in a flood; a full scan makes up."),
    Event.INBOX_LOST: Meaning("error", "The inbox cannot be read; it is looked for again."),
    Event.INBOX_FOUND: Meaning("info", "The inbox is back."),
    Event.INBOX_HELD: Meaning(
        "warning", "An operator holds a folder: nothing more is taken from it; `.` is the inbox."
    ),
    Event.INBOX_RELEASED: Meaning("info", "An operator has released that folder."),
    Event.HOLDS_UNCLEAR: Meaning(
        "error", "state/holds.json cannot be read; what was held stays held, and nothing else is."
    ),
    Event.ENTRY_IGNORED: Meaning("warning", "Something in the inbox is left alone; said once."),
    Event.PHOTO_CLAIMED: Meaning("info", "A photo was taken from the inbox."),
    Event.PHOTO_PUBLISHED: Meaning("info", "All results are in the outbox; stage times follow."),
    Event.PHOTO_DONE: Meaning("info", "The original is in done/."),
    Event.PHOTO_SKIPPED: Meaning(
        "info", "The original is in done/ without results: its folder wants only its latest photo."
    ),
    Event.PHOTO_FAILED: Meaning("error", "The original is in failed/; code and reason follow."),
    Event.PHOTO_RETRIED: Meaning("warning", "A fault that may not be the photo's; tried again."),
    Event.PHOTO_RETURNED: Meaning("info", "The service stops; the photo keeps its place in work/."),
    Event.PHOTO_RECOVERED: Meaning("info", "Found in work/ at start; the last run was cut short."),
    Event.PHOTO_SET_ASIDE: Meaning(
        "warning", "One photo cannot be gone on with now; it is tried again by itself."
    ),
    Event.PHOTO_NOTE: Meaning("info", "What the decoder had to assume about a photo."),
    Event.PHOTO_REMOVED: Meaning(
        "info", "A photo was removed with its results or its reason, as `retention` says."
    ),
    Event.HOOK_TAKEN: Meaning("debug", "A hook was told of a photo, and has taken it."),
    Event.HOOK_FAILED: Meaning("warning", "A hook has not taken its news; it is told again."),
    Event.HOOK_GAVE_UP: Meaning(
        "error", "A hook has not taken its news for too long, or too many wait; it is dropped."
    ),
    Event.HOOK_LEFT: Meaning(
        "warning", "News waits in a folder of which nobody is told any more; it stays there."
    ),
    Event.WORKER_STARTED: Meaning("info", "The worker process was started."),
    Event.WORKER_READY: Meaning("info", "The worker holds the model; name, hash, engine follow."),
    Event.WORKER_DIED: Meaning("error", "The worker process ended by itself."),
    Event.WORKER_KILLED: Meaning("error", "The worker was killed at a deadline."),
    Event.WORKER_SAID: Meaning("warning", "A library in the worker wrote to standard error."),
    Event.WORKER_UNAVAILABLE: Meaning(
        "error", "A new worker cannot serve now; it is tried again by itself."
    ),
    Event.WORKER_EXCHANGED: Meaning("info", "Another worker serves: new settings or weights."),
    Event.MODEL_FALLBACK: Meaning(
        "warning", "The built-in network serves instead of the real one."
    ),
    Event.MODEL_STEP: Meaning("info", "Finding, downloading or converting the model."),
}


def most_a_minute(event: Event) -> int:
    """How many of an event are written to a log in a minute; the others are counted.

    A hundred photos a second are more than any work on them comes near to.
    """
    return 6000 if event.startswith("photo.") else 300


class Emit(Protocol):
    """What a room gets to tell what happens: one event, its fields by name."""

    def __call__(self, event: Event, /, **fields: object) -> None: ...
