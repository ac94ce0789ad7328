"""From settings to a server that runs until it is told to stop.

Knows uvicorn and sockets; nothing of what is served.
"""

from __future__ import annotations

import errno
import ipaddress
import logging
import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn
from starlette.requests import ClientDisconnect

from depthd.config import Config
from depthd.contract.errors import ConfigurationError, TemporaryError
from depthd.page.access import open_gate
from depthd.page.application import application
from depthd.page.connections import bounded_protocol
from depthd.page.depth import NotDepth
from depthd.page.events import Events
from depthd.page.sending import BrokenOff

_KEEP_ALIVE = 5  # seconds between two requests of one connection
_STOP = 3  # seconds for answers that are under way
_LARGEST_HEAD = 16_384  # bytes
_BACKLOG = 256
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_FIRST_GIVEN = 3  # descriptor, as the service manager numbers them


def serve(
    config: Config,
    say: Callable[[str], None],
    began: Callable[[str], object] = lambda _: None,
    in_hint: Callable[[str], str] = lambda hint: hint,
) -> None:
    """Serve until SIGTERM or SIGINT.

    Args:
        config: effective configuration.
        say: tells people the address, and once the password.
        began: called with the address once it listens.
        in_hint: makes of a hint one whose commands act on the same service.

    Raises:
        ConfigurationError: the address or the password file cannot be used.
        OutputError: the page's own folder cannot be used.
        TemporaryError: the port is taken.
    """
    page = config.page
    listener = _given() or _listen(page.address, page.port)
    with listener:
        address, port = listener.getsockname()[:2]
        is_local = ipaddress.ip_address(address).is_loopback
        state = page.state.absolute() if page.state else config.folder("state") / "page"
        gate, made = open_gate(state, page.password_file, demand=not is_local)
        host = f"[{address}]" if ":" in address else address
        say(f"the page is on http://{host}:{port}/ for {config.root.absolute()}")
        began(f"http://{host}:{port}/")
        if made is not None:
            say(f"Its password, shown only now: {made}")
        events = Events()
        server = _Server(
            events,
            uvicorn.Config(
                application(config, gate, events, in_hint),
                loop="asyncio",
                http=bounded_protocol(page.max_connections),
                ws="none",
                lifespan="on",
                log_config=None,
                access_log=False,
                server_header=False,
                # A proxy on this machine says who asks, and whether by TLS.
                proxy_headers=True,
                forwarded_allow_ips="127.0.0.1,::1",
                timeout_keep_alive=_KEEP_ALIVE,
                timeout_graceful_shutdown=_STOP,
                h11_max_incomplete_event_size=_LARGEST_HEAD,
            ),
        )
        logging.getLogger("uvicorn.error").addFilter(_is_worth_a_line)
        server.run(sockets=[listener])


def _is_worth_a_line(record: logging.LogRecord) -> bool:
    """A fault of the page's own. What others send or break off would fill the log."""
    broken_off = (BrokenOff, NotDepth, ClientDisconnect)
    kind = record.exc_info[0] if record.exc_info else None
    is_ours = kind is None or not issubclass(kind, broken_off)
    return record.levelno >= logging.ERROR and is_ours


class _Server(uvicorn.Server):
    """Lets the listeners of events go when it stops."""

    def __init__(self, events: Events, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._events = events

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """A signal is a reason to end in order, and nothing that would have to be raised again."""
        before = {each: signal.signal(each, self.handle_exit) for each in _SIGNALS}
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._events.end()
        await super().shutdown(sockets)


def _given() -> socket.socket | None:
    """The socket that the service manager has opened for this process (sd_listen_fds)."""
    if os.environ.pop("LISTEN_PID", "") != str(os.getpid()):
        return None
    if os.environ.pop("LISTEN_FDS", "") != "1":
        raise ConfigurationError("the service manager gives other than one socket", "give it one")
    given = socket.socket(fileno=_FIRST_GIVEN)
    if given.family not in (socket.AF_INET, socket.AF_INET6):
        raise ConfigurationError(
            "the socket is none of the Internet's", "give ListenStream= a port"
        )
    given.setblocking(False)
    return given


def _listen(address: str, port: int) -> socket.socket:
    try:
        found = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise ConfigurationError(
            f"page.address: {address} is no address of this machine", "give one, or 127.0.0.1"
        ) from error
    family, kind, protocol, _, where = found[0]
    listener = socket.socket(family, kind, protocol)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(where)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise TemporaryError(
                f"port {port} of {address} is taken", "give another one with --port"
            ) from error
        raise ConfigurationError(
            f"page.address: cannot listen on {address}, port {port}: {error.strerror}"
        ) from error
    listener.listen(_BACKLOG)
    listener.set_inheritable(True)
    return listener
