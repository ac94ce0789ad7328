"""Retention beside the loop: a process of the lowest priority now and then, and the log of it.

Starts `depthd.retention.main`, reads its words, never waits for it. Knows no files: a process that
is killed at any moment leaves what the next one finds.
"""

from __future__ import annotations

import json
import os
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from depthd.config import Config
from depthd.contract.events import Emit, Event
from depthd.supervisor.filework import FileWork
from depthd.supervisor.table import NEVER
from depthd.system.python import module

_FIRST_AFTER = 60.0  # seconds: a start has other things to do
_SOON = 60.0  # seconds between two that the disk asks for
_AT_ONCE = 1 << 16  # bytes read in one turn
_LONGEST_LINE = 1 << 16
_PATIENCE = 1.0  # seconds for a process that was killed
_LONGEST_SILENCE = 6 * 3600.0  # seconds: it says nothing while it looks at a large archive


@dataclass(frozen=True)
class _Running:
    """A process, and the end of its standard output's pipe."""

    process: subprocess.Popen[bytes]
    output: int

    @classmethod
    def start(cls, settings: bytes) -> _Running:
        output, theirs = os.pipe()
        try:
            process = subprocess.Popen(
                module("depthd.retention.main"), stdin=subprocess.PIPE, stdout=theirs
            )
        except OSError:
            os.close(output)
            raise
        finally:
            os.close(theirs)
        if process.stdin is not None:
            with suppress(BrokenPipeError), process.stdin:
                process.stdin.write(settings)
        os.set_blocking(output, False)
        return cls(process, output)

    def end(self) -> int | None:
        """Its output has ended, or it is to end: it is gone in a moment.

        Returns:
            its code; None where a disk that hangs keeps it.
        """
        os.close(self.output)
        self.process.kill()
        with suppress(subprocess.TimeoutExpired):
            return self.process.wait(_PATIENCE)
        return None


class Cleaner:
    """Removes what `retention` says.

    Args:
        config: the settings.
        filework: starts it off the loop.
        emit: writes a log event.
        first_after: seconds until the first one.
    """

    def __init__(
        self, config: Config, filework: FileWork, emit: Emit, first_after: float = _FIRST_AFTER
    ) -> None:
        self._config, self._removes = config, config.removes
        self._filework = filework
        self._emit = emit
        self._first_after = first_after
        self._running: _Running | None = None
        self._is_starting = False
        self._is_stopped = False
        self._began = -NEVER
        self._heard = -NEVER  # when it said something last, or began
        self._due: float | None = None
        self._rest = b""
        self._has_ended = False  # it has said its last word

    def take_up(self, config: Config) -> None:
        """Other settings: looked at soon. A process that runs goes on with its own."""
        before, self._config, self._removes = self._config, config, config.removes
        if (before.retention, before.folders) != (config.retention, config.folders):
            self._due = None

    def sources(self) -> set[int]:
        """Descriptors to wake for."""
        return {self._running.output} if self._running else set()

    def note_free(self, free: int, now: float) -> None:
        """The outbox's disk has so many bytes free."""
        least = self._config.retention.min_free
        if least is not None and free < least and self._due is not None:
            self._due = min(self._due, max(now, self._began + _SOON))

    def turn(self, now: float) -> float:
        """Hear the process, start one that is due. Returns when to call again."""
        if self._running is not None:
            self._hear(self._running, now)
        if not self._removes or self._is_stopped:
            self._due = None
            return NEVER
        if self._due is None:
            self._due = now + min(self._first_after, self._config.retention.interval)
        if self._running is not None:
            return self._heard + _LONGEST_SILENCE
        if self._is_starting:
            return NEVER
        if now >= self._due:
            self._began = self._heard = now
            self._due = now + self._config.retention.interval
            self._start()
        return self._due

    def stop(self) -> None:
        """End what runs."""
        self._is_stopped = True
        if self._running is not None:
            self._running.end()
            self._running = None

    def _start(self) -> None:
        settings = self._config.model_dump_json().encode()
        self._is_starting, self._has_ended = True, False

        def started(running: _Running) -> None:
            self._is_starting, self._running, self._rest = False, running, b""
            if self._is_stopped:
                self.stop()

        def failed(error: Exception) -> None:
            self._is_starting = False
            self._emit(Event.RETENTION_TROUBLE, reason=f"it cannot be started: {error}")

        self._filework.submit(partial(_Running.start, settings), started, failed)

    def _hear(self, running: _Running, now: float) -> None:
        try:
            data = os.read(running.output, _AT_ONCE)
        except BlockingIOError:
            if now >= self._heard + _LONGEST_SILENCE:
                self._over(running, "it has said nothing for six hours")
            return
        self._heard = now
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            try:
                self._heed(json.loads(line))
            except (ValueError, TypeError, KeyError, AttributeError):  # something else has written
                self._emit(
                    Event.RETENTION_TROUBLE, reason="it said something that is no JSON of its"
                )
        if not data or len(self._rest) > _LONGEST_LINE:
            self._over(running)

    def _over(self, running: _Running, why: str = "") -> None:
        self._running, code = None, running.end()
        if not self._has_ended:
            words = "it does not end" if code is None else f"it ended with code {code}"
            self._emit(Event.RETENTION_TROUBLE, reason=why or words)

    def _heed(self, word: dict[str, object]) -> None:
        removed = word.get("removed")
        if isinstance(removed, dict):
            is_log = removed["kind"] == "log"
            self._emit(Event.LOG_REMOVED if is_log else Event.PHOTO_REMOVED, **removed)
            return
        self._has_ended = True
        troubles = word.get("troubles")
        for trouble in troubles if isinstance(troubles, list) else ():
            self._emit(Event.RETENTION_TROUBLE, reason=trouble)
        if removed:
            self._emit(Event.RETENTION_OVER, removed=removed, bytes=word.get("bytes"))
