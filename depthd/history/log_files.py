"""log/depthd.jsonl and what a rotation has made of it, oldest first; and what is added to it.

Knows files and lines, nothing of what they say. Lines that are no JSON objects, such as one that a
full disk has cut, are passed over.
"""

from __future__ import annotations

import gzip
import json
import os
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, cast

from depthd.contract.errors import NoInputError
from depthd.contract.events import LOG_FILE
from depthd.system import files

Entry = dict[str, Any]
LEVELS = ("debug", "info", "warning", "error")

_LONGEST = 8192  # bytes of a line; ours have 4,000 at most
_BAD = (OSError, EOFError, zlib.error)  # of a file that is cut short or no gzip file at all
_QUIET = 2.0  # seconds: the daemon notices within one that its file was moved
_LOOK_EVERY = 0.25  # seconds


def log_files(folder: Path) -> list[Path]:
    """The log and its rotated forms (`.1`, `-20261127`, `.2.gz`), oldest first.

    Raises:
        NoInputError: there is none.
    """
    try:
        names = [name for name in os.listdir(folder) if _is_log(name)]
    except OSError as error:
        raise NoInputError(f"{folder}: {error.strerror}", _hint()) from error
    found: list[tuple[float, bool, Path]] = []
    for name in names:
        with suppress(OSError):
            about = os.stat(folder / name, follow_symlinks=False)
            found.append((about.st_mtime, name == LOG_FILE, folder / name))
    if not found:
        raise NoInputError(f"there is no {LOG_FILE} in {folder}", _hint())
    return [path for _, _, path in sorted(found)]


def entries(
    folder: Path, since: float = 0.0, without: os.stat_result | None = None
) -> Iterator[Entry]:
    """All that the logs hold, oldest first.

    Args:
        folder: the folder log/.
        since: files that were last written to before are passed over; seconds since the epoch.
        without: a file that is passed over as well.

    Raises:
        NoInputError: there is no log, or it may not be read.
    """
    for path in log_files(folder):
        try:
            about = path.stat()
            if about.st_mtime < since or (without and os.path.samestat(about, without)):
                continue
            with _open(path) as file:
                yield from _parsed(file)
        except PermissionError as error:
            raise NoInputError(f"{path}: {error.strerror}", _hint()) from error
        except _BAD:
            continue  # a rotation was cut short, or has taken it away meanwhile


class Follower:
    """The log's newest file and what is added to it; one that is moved away is read to its end.

    Args:
        folder: the folder log/.
        wait: called between two looks.
    """

    def __init__(self, folder: Path, wait: Callable[[float], None] = time.sleep) -> None:
        self._path = folder / LOG_FILE
        self._wait = wait
        self._file: IO[bytes] | None = None
        self._rest = b""
        self._open()

    @property
    def file(self) -> os.stat_result | None:
        """The file that is open."""
        return None if self._file is None else os.fstat(self._file.fileno())

    def __iter__(self) -> Iterator[Entry]:
        while True:
            yield from self.new()
            self._wait(_LOOK_EVERY)

    def new(self) -> Iterator[Entry]:
        """What was added since the last look; at first all that the file holds."""
        file = self._file or self._open()
        if file is None:
            return
        yield from self._read(file)
        about = os.fstat(file.fileno())
        if about.st_size < file.tell():  # somebody has emptied it
            file.seek(0)
            self._rest = b""
            yield from self._read(file)
        if not self._is_in_place(about) and time.time() - about.st_mtime > _QUIET:
            yield from self._read(file)
            file.close()
            self._file, self._rest = None, b""
            yield from self.new()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _read(self, file: IO[bytes]) -> Iterator[Entry]:
        while line := file.readline(_LONGEST):
            self._rest += line
            if not line.endswith(b"\n"):
                if len(self._rest) > _LONGEST:
                    self._rest = b""
                continue
            whole, self._rest = self._rest, b""
            entry = _entry(whole)
            if entry is not None:
                yield entry

    def _open(self) -> IO[bytes] | None:
        with suppress(OSError):
            self._file = _open_plain(self._path)
        return self._file

    def _is_in_place(self, about: os.stat_result) -> bool:
        try:
            return os.path.samestat(os.stat(self._path), about)
        except OSError:
            return True  # there is no other yet


def _is_log(name: str) -> bool:
    rest = name.removeprefix(LOG_FILE)
    return name == LOG_FILE or (rest != name and rest[0] in ".-" and not rest.endswith(".tmp"))


def _open_plain(path: Path) -> IO[bytes]:
    with files.directory(path.parent) as folder:
        return open(files.open_regular(path.name, folder), "rb")


@contextmanager
def _open(path: Path) -> Iterator[IO[bytes]]:
    with _open_plain(path) as file:
        if path.suffix != ".gz":
            yield file
            return
        with gzip.GzipFile(fileobj=file) as unpacked:
            yield cast("IO[bytes]", unpacked)


def _parsed(file: IO[bytes]) -> Iterator[Entry]:
    is_rest = False  # of a line that was too long
    while line := file.readline(_LONGEST):
        entry = None if is_rest else _entry(line)
        is_rest = not line.endswith(b"\n")
        if entry is not None:
            yield entry


def _entry(line: bytes) -> Entry | None:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(entry, dict) or entry.get("level") not in LEVELS:
        return None
    is_ours = isinstance(entry.get("timestamp"), str) and isinstance(entry.get("event"), str)
    return entry if is_ours else None


def _hint() -> str:
    return "give -c or --root as the daemon has; with log.file: false see 'journalctl -u depthd'"
