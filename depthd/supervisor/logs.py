"""Events out: JSON lines in log/depthd.jsonl, and standard error for people or the journal.

Knows the events and the `log` section, nothing of photos or folders beyond its own file.
One event is one line whatever a file name contains, and nothing that happens to a log (full
disk, folder gone, closed pipe) reaches the caller: lines that cannot be written are counted.
"""

from __future__ import annotations

import errno
import json
import os
import threading
import time
from collections.abc import MutableMapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import structlog

from depthd.config.declaration import Log
from depthd.contract.events import MEANINGS, Event

FILE_NAME = "depthd.jsonl"
_FILE_MODE = 0o640
_LOOK_EVERY = 1.0  # seconds between two looks whether the file was moved, or can be had again

Entry = MutableMapping[str, Any]


class Emit(Protocol):
    """What a room gets to tell what happens: one event, its fields by name."""

    def __call__(self, event: Event, /, **fields: object) -> None: ...


class Logs:
    """The open sinks."""

    def __init__(self, level: str, sinks: _Sinks) -> None:
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
        self._sinks.close()

    close = reopen


def configure(log: Log, folder: Path | None, *, stderr: int = 2) -> Logs:
    """Open the sinks that the `log` section asks for.

    Args:
        log: level, format of standard error, and whether there is a file.
        folder: where depthd.jsonl goes; None writes no file.
        stderr: descriptor of standard error.
    """
    file = _File(folder / FILE_NAME) if log.file and folder is not None else None
    return Logs(log.level, _Sinks(file, _open_console(log.format, stderr)))


def _open_console(log_format: str, stderr: int) -> _Console | None:
    try:
        status = os.fstat(stderr)
    except OSError:  # a daemon may be started with standard error closed
        return None
    on_terminal = os.isatty(stderr)
    return _Console(
        stderr,
        as_json=log_format == "json" or (log_format == "auto" and not on_terminal),
        # The journal notes the time of each line itself.
        with_time=os.environ.get("JOURNAL_STREAM") != f"{status.st_dev}:{status.st_ino}",
        with_colour=on_terminal and not os.environ.get("NO_COLOR"),
    )


def _complete(_logger: object, level: str, fields: Entry) -> Entry:
    """The structlog processor that turns an event's fields into an entry."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
    return {"timestamp": now, "level": level, "event": fields.pop("event"), **fields}


class _Sinks:
    """The logger that structlog wraps: hands each entry to the console and to the file."""

    def __init__(self, file: _File | None, console: _Console | None) -> None:
        self._file = file
        self._console = console
        self._lock = threading.Lock()

    def write(self, /, **entry: Any) -> None:
        line = encode(entry)
        with self._lock:
            if self._console is not None:
                self._console.write(entry, line)
            news = self._file.write(line) if self._file is not None else None
            if news is not None and self._console is not None:
                self._console.write(news, encode(news))

    debug = info = warning = error = write

    def close(self) -> None:
        with self._lock:
            if self._file is not None:
                self._file.close()


class _File:
    """depthd.jsonl: followed when it is moved away, tried again when it cannot be written."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = -1
        self._next_look = 0.0
        self._lost = 0
        self._is_torn = False  # the disk filled up in the middle of a line

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = -1
        self._next_look = 0.0

    def write(self, line: str) -> Entry | None:
        """Append one line; returns what standard error must hear when the luck changes."""
        news = None
        try:
            self._follow()
            if self._lost:
                news = _own_entry(Event.LOG_FOUND, file=str(self._path), lost=self._lost)
                self._append(encode(news))
                self._lost = 0
            self._append(line)
        except OSError as error:
            self._lost += 1
            if self._lost == 1:
                reason = error.strerror or str(error)
                return _own_entry(Event.LOG_LOST, file=str(self._path), reason=reason)
            return None
        return news

    def _append(self, line: str) -> None:
        data = (("\n" if self._is_torn else "") + line + "\n").encode()
        written = os.write(self._descriptor, data)
        self._is_torn = written < len(data)
        if self._is_torn:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _follow(self) -> None:
        """Once in a while make sure that the path still leads to the open file."""
        now = time.monotonic()
        if now >= self._next_look:
            self._next_look = now + _LOOK_EVERY
            if self._descriptor >= 0 and not self._is_in_place():
                self.close()
            if self._descriptor < 0:
                self._descriptor = _open(self._path)
                self._is_torn = False
        if self._descriptor < 0:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))

    def _is_in_place(self) -> bool:
        try:
            return os.path.samestat(self._path.stat(), os.fstat(self._descriptor))
        except OSError:
            return False


def _open(path: Path) -> int:
    """Descriptor to append to `path`; a new file gets its mode whatever the umask is."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK  # a FIFO must not stop the daemon
    try:
        return os.open(path, flags)
    except FileNotFoundError:
        path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        descriptor = os.open(path, flags | os.O_CREAT, _FILE_MODE)
        os.fchmod(descriptor, _FILE_MODE)
        return descriptor


class _Console:
    """Standard error; a reader that is gone or stuck costs lines, never the daemon."""

    _COLOURS = {"debug": "2", "info": "32", "warning": "33", "error": "31"}  # noqa: RUF012

    def __init__(
        self, descriptor: int, *, as_json: bool, with_time: bool, with_colour: bool
    ) -> None:
        self._descriptor = descriptor
        self._as_json = as_json
        self._with_time = with_time
        self._with_colour = with_colour

    def write(self, entry: Entry, line: str) -> None:
        """Write one entry; `line` is its JSON."""
        if not self._with_time:
            entry = {key: value for key, value in entry.items() if key != "timestamp"}
            line = encode(entry)
        if not self._as_json:
            line = self._for_people(entry)
        with suppress(OSError):
            os.write(self._descriptor, (line + "\n").encode())

    def _for_people(self, entry: Entry) -> str:
        fields = dict(entry)
        head = [fields.pop("timestamp")] if "timestamp" in fields else []
        level = fields.pop("level")
        head.append(self._colour(self._COLOURS[level], f"{level:<7}"))
        head.append(self._colour("1", f"{fields.pop('event'):<17}"))
        return " ".join(head + [f"{key}={_short(value)}" for key, value in fields.items()])

    def _colour(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._with_colour else text


def _own_entry(event: Event, **fields: object) -> Entry:
    return _complete(None, MEANINGS[event].level, {"event": event, **fields})


_to_json = json.JSONEncoder(ensure_ascii=False, default=str).encode


def encode(value: object) -> str:
    r"""`value` as JSON in printable characters only, on one line, valid Unicode.

    Control characters, line separators and marks that change the writing direction become
    JSON escapes; bytes of a file name that are not UTF-8 become the text `\xNN`.
    """
    text = _to_json(value)
    return text if text.isprintable() else "".join(map(_escape, text))


def _escape(character: str) -> str:
    if character.isprintable():
        return character
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that os.fsdecode could not read
        return f"\\\\x{code - 0xDC00:02x}"
    if 0xD800 <= code <= 0xDFFF:
        return f"\\\\u{code:04x}"
    return json.dumps(character)[1:-1]


def _short(value: object) -> str:
    """A value for people: JSON, without quotes where nothing could be misread."""
    text = encode(value)
    if text.startswith('"') and len(text) > 2 and not set(text[1:-1]) & set(' "\\='):
        return text[1:-1]
    return text
