"""How many connections there may be, and how slow those may be that say nothing.

Knows uvicorn's protocol of one connection; nothing of what is asked for.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

PATIENCE = 10.0  # seconds for the head of a request


class BoundedProtocol(H11Protocol):
    """One connection of a server that has at most `most`.

    One more takes the place of that which has been idle the longest, or is refused where none is.
    So those who open connections and say nothing hold up nobody.
    """

    most = 256

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.idle_since = time.monotonic()
        self._deadline: asyncio.TimerHandle | None = None

    @property
    def is_idle(self) -> bool:
        """Whether no request is being answered."""
        return self.cycle is None or self.cycle.response_complete

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        if len(self.connections) >= self.most and not self._make_room():
            self.transport = transport
            transport.abort()
            return
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.is_idle:
            self._wait()
        else:
            self._stop_waiting()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        if self.flow is not None:
            super().connection_lost(exc)

    def on_response_complete(self) -> None:
        self.idle_since = time.monotonic()
        super().on_response_complete()

    def _wait(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(PATIENCE, self._give_up)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        self._deadline = None
        if self.is_idle and not self.transport.is_closing():
            self.transport.abort()

    def _make_room(self) -> bool:
        idle = [
            other
            for other in self.connections
            if isinstance(other, BoundedProtocol) and other.is_idle
        ]
        if not idle:
            return False
        oldest = min(idle, key=lambda other: other.idle_since)
        self.connections.discard(oldest)
        oldest.transport.abort()
        return True


def bounded_protocol(most: int) -> type[H11Protocol]:
    """The protocol of a server that has at most so many connections."""
    return type("Bounded", (BoundedProtocol,), {"most": most})
