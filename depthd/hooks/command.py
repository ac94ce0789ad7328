"""News to a program: JSON on its standard input, no shell, a time limit, bounded output."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress

from depthd.hooks.news import News
from depthd.hooks.sender import Untaken

_KEPT = 500  # bytes of what it says
_PIECE = 1 << 16


class Command:
    """A program.

    Args:
        command: its path and arguments.
        timeout: seconds.
    """

    def __init__(self, command: Sequence[str], timeout: float) -> None:
        self._command = list(command)
        self._timeout = timeout
        self._process: subprocess.Popen[bytes] | None = None

    def tell(self, piece: News) -> None:
        """Run it; see `Receiver`."""
        deadline = time.monotonic() + self._timeout
        try:
            process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                cwd="/",
                start_new_session=True,
            )
        except OSError as error:
            raise Untaken(f"{self._command[0]}: {error.strerror}") from error
        self._process = process
        try:
            said = _converse(process, piece.body, deadline)
        finally:
            self._process = None
            _kill(process)  # it, and what it has left behind
            code = process.wait()
        if time.monotonic() >= deadline:
            raise Untaken(f"it took longer than {self._timeout:g} s")
        if code != 0:
            words = said.decode(errors="replace").strip()
            raise Untaken(f"exit code {code}" + (f": {words}" if words else ""))

    def stop(self) -> None:
        if (process := self._process) is not None:
            _kill(process)

    def close(self) -> None:
        """Nothing is kept."""


def _kill(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _converse(process: subprocess.Popen[bytes], body: bytes, deadline: float) -> bytes:
    """Give it the news and hear what it says until it ends; returns the first of that."""
    said, rest = b"", memoryview(body)
    if process.stdin is None or process.stdout is None:
        return said
    ended = os.pidfd_open(process.pid)
    with selectors.DefaultSelector() as selector, process.stdin, process.stdout:
        os.set_blocking(process.stdin.fileno(), False)
        os.set_blocking(process.stdout.fileno(), False)
        selector.register(process.stdin, selectors.EVENT_WRITE)
        selector.register(process.stdout, selectors.EVENT_READ)
        selector.register(ended, selectors.EVENT_READ)
        try:
            while (left := deadline - time.monotonic()) > 0:
                ready = {key.fileobj for key, _ in selector.select(left)}
                if process.stdin in ready:
                    with suppress(BrokenPipeError):
                        rest = rest[os.write(process.stdin.fileno(), rest) :]
                        if rest:
                            continue
                    selector.unregister(process.stdin)
                    with suppress(BrokenPipeError):
                        process.stdin.close()
                if process.stdout in ready:
                    piece = os.read(process.stdout.fileno(), _PIECE)
                    said = (said + piece)[:_KEPT]
                    if not piece:
                        selector.unregister(process.stdout)
                elif ended in ready:  # and all that it said is heard
                    break
        finally:
            os.close(ended)
    return said
