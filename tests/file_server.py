"""Real HTTP servers on loopback that serve one file, well or badly, and a forwarding proxy."""

from __future__ import annotations

import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Script:
    """What the server does, and what it was asked.

    Attributes:
        cuts: for each request in turn the number of body bytes after which it hangs up.
        hold: a request waits for this after its first `hold_after` bytes.
    """

    content: bytes
    status: int = 200
    location: str = ""  # where a redirection leads
    ranges: bool = True
    shift: int = 0  # answers ranges that many bytes too late
    chunked: bool = False
    cuts: list[int] = field(default_factory=list)
    hold: threading.Event | None = None
    hold_after: int = 0
    held: threading.Event = field(default_factory=threading.Event)
    asked: list[str] = field(default_factory=list)  # the Range header of each request, or ""


def _handler(script: Script) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            wanted = self.headers.get("Range", "")
            script.asked.append(wanted)
            self.close_connection = True
            if script.location:
                self.send_response(script.status)
                self.send_header("Location", script.location)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            if script.status != 200:
                self.send_error(script.status)
                return
            body = script.content
            if wanted and script.ranges:
                start = int(wanted.removeprefix("bytes=").removesuffix("-")) + script.shift
                if start >= len(body):
                    self.send_error(416)
                    return
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
                body = body[start:]
            else:
                self.send_response(200)
            if not script.chunked:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if script.hold:
                self.wfile.write(body[: script.hold_after])
                body = body[script.hold_after :]
                script.held.set()
                script.hold.wait(30)
            try:
                self.wfile.write(body[: script.cuts.pop(0)] if script.cuts else body)
            except OSError:  # the client was killed or has lost patience
                return

        def log_message(self, *args: object) -> None:
            pass

    return Handler


class _Proxy(BaseHTTPRequestHandler):
    seen: list[str]

    def do_GET(self) -> None:
        self.seen.append(self.path)
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with direct.open(self.path) as response:
            body = response.read()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def _running(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def serving(script: Script) -> Iterator[str]:
    """The file's address."""
    with _running(_handler(script)) as address:
        yield f"{address}/weights.pt"


@contextmanager
def proxy() -> Iterator[tuple[str, list[str]]]:
    """The proxy's address, and the list of what it was asked for."""
    handler = type("Proxy", (_Proxy,), {"seen": []})
    with _running(handler) as address:
        yield address, handler.seen
