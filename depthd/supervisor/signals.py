"""Signals as entries of a queue, and the socket pair that wakes the loop."""

from __future__ import annotations

import signal
import socket
from collections import deque
from contextlib import suppress
from typing import Self

_ENDING = (signal.SIGTERM, signal.SIGINT)
_HANDLED = (*_ENDING, signal.SIGHUP)


class Signals:
    """Handlers only note the signal; the loop acts on it."""

    def __init__(self) -> None:
        self.pending: deque[signal.Signals] = deque()
        self.reader, self._writer = socket.socketpair()
        self.reader.setblocking(False)
        self._writer.setblocking(False)

    def __enter__(self) -> Self:
        for number in _HANDLED:
            signal.signal(number, self._note)
        signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        return self

    def __exit__(self, *_: object) -> None:
        """A signal that comes when all is over changes nothing any more."""
        signal.set_wakeup_fd(-1)
        for number in _HANDLED:
            signal.signal(number, signal.SIG_IGN)
        self.close()

    @property
    def want_end(self) -> bool:
        """Whether one that nobody has acted on asks for the end."""
        return any(number in _ENDING for number in self.pending)

    def close(self) -> None:
        self.reader.close()
        self._writer.close()

    def _note(self, number: int, _frame: object) -> None:
        self.pending.append(signal.Signals(number))

    def wake(self) -> None:
        """Wake the loop; safe from any thread. A full pipe wakes it as well."""
        with suppress(BlockingIOError, OSError):
            self._writer.send(b"\0")

    def drain(self) -> None:
        with suppress(BlockingIOError):
            while self.reader.recv(4096):
                pass


def let_end() -> None:
    """Let a signal end the program that takes this one's place; what is ignored stays so there."""
    for number in _ENDING:
        signal.signal(number, signal.SIG_DFL)
