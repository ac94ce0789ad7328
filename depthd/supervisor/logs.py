"""Events out: JSON lines in log/depthd.jsonl, and standard error for people or the journal.

Knows the events and the `log` section, nothing of photos or folders beyond its own file.
One event is one line whatever a file name contains, and nothing that happens to a log (full
disk, folder gone, closed pipe, a reader that is stuck) reaches the caller: lines that cannot be
written are counted, and so are those of an event that comes too often.
"""

from __future__ import annotations

import os
import select
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import structlog
from structlog.typing import EventDict

from depthd.config.declaration import Log
from depthd.contract.events import LOG_FILE, MEANINGS, Event, most_a_minute
from depthd.supervisor.drain import Drain
from depthd.supervisor.flood import Flood
from depthd.supervisor.log_file import LogFile
from depthd.supervisor.log_line import Entry, encode, entry_of, for_people

_PRIORITIES = {"debug": 7, "info": 6, "warning": 4, "error": 3}  # of syslog, see sd-daemon(3)
_LINES_WAITING = 1000  # for the reader of standard error
_PATIENCE = 1.0  # seconds that a reader of standard error gets at the end


class Logs:
    """The log: structlog's pipeline before our sinks.

    Args:
        level: the least severe one that is written.
        sinks: where entries go.
    """

    def __init__(self, level: str, sinks: Sinks) -> None:
        self._sinks = sinks
        logger = structlog.wrap_logger(
            sinks,
            processors=[_complete],
            wrapper_class=structlog.make_filtering_bound_logger(level),
        ).bind()
        self._write = {event: getattr(logger, MEANINGS[event].level) for event in Event}

    def emit(self, event: Event, /, **fields: object) -> None:
        """Write one event; safe from any thread, never raises for the state of a log.

        Fields are text, numbers, booleans, None, paths, or lists of them.
        """
        self._write[event](event, **fields)

    def reopen(self) -> None:
        """Open the file anew at the next event (SIGHUP, after a rotation)."""
        self._sinks.reopen()

    def close(self) -> None:
        """Say what is still to be said, and let standard error's reader have it if it reads."""
        self._sinks.close()


def _complete(_logger: object, _level: str, fields: EventDict) -> tuple[tuple[Entry], EventDict]:
    """The structlog processor that turns an event's fields into the argument of our sinks."""
    return (entry_of(fields.pop("event"), **fields),), {}


class Sinks:
    """The logger that structlog wraps: file and console, each event so often at most.

    Args:
        file: log/depthd.jsonl, if it is written.
        console: standard error, if there is one.
        clock: seconds; runs on.
    """

    def __init__(
        self,
        file: LogFile | None,
        console: Console | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._file = file
        self._console = console
        self._clock = clock
        self._flood = Flood(most_a_minute)
        self._alarm: threading.Timer | None = None  # rings when a count is due
        self._lock = threading.Lock()

    def write(self, entry: Entry) -> None:
        with self._lock:
            self._say_what_was_left_out(now := self._clock())
            if self._flood.admits(entry.fields["event"], now):
                self._write(entry)
            elif self._alarm is None:
                self._set_alarm(now)

    debug = info = warning = error = write

    def reopen(self) -> None:
        with self._lock:
            if self._file is not None:
                self._file.close()

    def close(self) -> None:
        with self._lock:
            if self._alarm is not None:
                self._alarm.cancel()
            self._say_what_was_left_out(float("inf"))
            if self._file is not None:
                self._file.close()
        if self._console is not None:
            self._console.close(_PATIENCE)

    def _write(self, entry: Entry) -> None:
        if self._console is not None:
            self._console.offer(entry)
        news = self._file.write(entry.line) if self._file is not None else None
        if news is not None and self._console is not None:
            self._console.offer(news)

    def _say_what_was_left_out(self, now: float) -> None:
        for event, count in self._flood.over(now):
            self._write(entry_of(Event.LOG_SHORTENED, of=event, left_out=count))

    def _set_alarm(self, now: float) -> None:
        end = self._flood.next_end()
        if end is not None:
            self._alarm = threading.Timer(end - now, self._ring)
            self._alarm.daemon = True
            self._alarm.start()

    def _ring(self) -> None:
        with self._lock:
            self._alarm = None
            self._say_what_was_left_out(now := self._clock())
            self._set_alarm(now)


def configure(log: Log, folder: Path | None, *, stderr: int = 2) -> Logs:
    """Open the sinks that the `log` section asks for.

    Args:
        log: level, format of standard error, and whether there is a file.
        folder: where depthd.jsonl goes; None writes no file.
        stderr: descriptor of standard error.
    """
    file = LogFile(folder / LOG_FILE) if log.file and folder is not None else None
    return Logs(log.level, Sinks(file, _open_console(log.format, stderr)))


def _open_console(log_format: str, stderr: int) -> Console | None:
    try:
        status = os.fstat(stderr)
    except OSError:  # a daemon may be started with standard error closed
        return None
    on_terminal = os.isatty(stderr)
    return Console(
        stderr,
        as_json=log_format == "json" or (log_format == "auto" and not on_terminal),
        is_journal=os.environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}",
        with_colour=on_terminal and not os.environ.get("NO_COLOR"),
    )


class Console:
    """Standard error; a reader that is gone or stuck costs lines, never the daemon.

    Its descriptor may be shared with other programs, so it is not made non-blocking: a thread
    waits for the reader instead.
    """

    def __init__(
        self, descriptor: int, *, as_json: bool, is_journal: bool, with_colour: bool
    ) -> None:
        self._descriptor = descriptor
        self._as_json = as_json
        self._is_journal = is_journal
        self._with_colour = with_colour
        self._drain = Drain("stderr", self._write, _LINES_WAITING, _lines_lost, _give_up)
        self.offer = self._drain.offer
        self.close = self._drain.close

    def _write(self, entry: Entry) -> None:
        fields, line, priority = entry.fields, entry.line, ""
        if self._is_journal:  # which notes the time of each line itself
            fields = {key: value for key, value in fields.items() if key != "timestamp"}
            priority, line = f"<{_PRIORITIES[fields['level']]}>", encode(fields)
        if not self._as_json:
            line = for_people(fields, with_colour=self._with_colour)
        data = f"{priority}{line}\n".encode()
        with suppress(OSError):
            while data:
                try:
                    data = data[os.write(self._descriptor, data) :]
                except BlockingIOError:  # another program has made it non-blocking
                    self._wait()

    def _wait(self) -> None:
        room = select.poll()
        room.register(self._descriptor, select.POLLOUT)
        room.poll()


def _give_up(error: Exception) -> NoReturn:
    raise error  # a mistake of ours, whose traceback Python writes


def _lines_lost(count: int) -> Entry:
    return entry_of(Event.STDERR_BEHIND, lost=count)
