"""Real programs and a real web server: what they get, and what they may do to us."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from depthd.hooks.command import Command
from depthd.hooks.news import News, news
from depthd.hooks.sender import Untaken
from depthd.hooks.webhook import Webhook, read_secret

_LONG = 30.0
NEWS = news("20260101T000000.000Z-0a", "done", "cam1/ü.jpg", result="cam1/ü.jpg", manifest={"a": 1})


def python(code: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", code, *arguments]


# programs ------------------------------------------------------------------------------------


def test_a_program_gets_the_news_on_standard_input(tmp_path: Path) -> None:
    got = tmp_path / "got"
    Command(["/usr/bin/tee", str(got)], _LONG).tell(NEWS)
    assert got.read_bytes() == NEWS.body
    said = json.loads(NEWS.body)
    assert said["name"] == said["result"] == "cam1/ü.jpg"
    assert (said["event"], said["manifest"], said["reason"]) == ("done", {"a": 1}, None)


def test_arguments_are_no_shells_matter(tmp_path: Path) -> None:
    got = tmp_path / "a;b $(c) *"
    Command(["/usr/bin/tee", str(got)], _LONG).tell(NEWS)
    assert got.exists()


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (python("import sys; print('no', 'room'); sys.exit(3)"), "exit code 3: no room"),
        (python("import os; os.kill(os.getpid(), 9)"), "exit code -9"),
        (["/nowhere/tell"], "/nowhere/tell: No such file or directory"),
        (["/etc/passwd"], "/etc/passwd: Permission denied"),
    ],
)
def test_a_program_that_fails_has_not_taken_it(command: list[str], words: str) -> None:
    with pytest.raises(Untaken, match=words):
        Command(command, _LONG).tell(NEWS)


def test_one_that_reads_nothing_and_ends_well_has_taken_it() -> None:
    piece = News("x.done", "done", bytes(1 << 20))
    Command(["/bin/true"], _LONG).tell(piece)


def test_one_that_talks_without_end_is_bounded_and_killed() -> None:
    began = time.monotonic()
    with pytest.raises(Untaken, match="longer than"):
        Command(python("while True: print('x' * 10000)"), 0.5).tell(NEWS)
    assert time.monotonic() - began < _LONG


def test_what_a_program_leaves_behind_is_ended_with_it(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    child = f"import time, pathlib; pathlib.Path({str(mark)!r}).touch(); time.sleep(1000)"
    code = (
        "import subprocess, sys, os, time\n"
        f"process = subprocess.Popen([sys.executable, '-c', {child!r}])\n"
        f"while not os.path.exists({str(mark)!r}): time.sleep(0.01)\n"
        "print(process.pid)\nsys.exit(1)"
    )
    with pytest.raises(Untaken) as caught:
        Command(python(code), _LONG).tell(NEWS)
    pid = int(str(caught.value).rpartition(" ")[2])
    deadline = time.monotonic() + _LONG
    while _is_running(pid):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def test_a_program_is_ended_with_the_service() -> None:
    command = Command(["/bin/sleep", "1000"], 1000)
    ended: list[Exception] = []

    def tell() -> None:
        try:
            command.tell(NEWS)
        except Untaken as error:
            ended.append(error)

    thread = threading.Thread(target=tell)
    thread.start()
    deadline = time.monotonic() + _LONG
    while thread.is_alive():
        assert time.monotonic() < deadline
        command.stop()
        thread.join(0.05)
    assert str(ended[0]) == "exit code -9"


# web addresses -------------------------------------------------------------------------------


class Server:
    """A web server on this machine.

    Args:
        answer: what it does with a request, before which the body was read.
    """

    def __init__(self, answer: Callable[[BaseHTTPRequestHandler], None]) -> None:
        self.requests: list[tuple[str, dict[str, str], bytes]] = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(handler) -> None:  # noqa: N805
                body = handler.rfile.read(int(handler.headers["content-length"]))
                headers = {key.lower(): value for key, value in handler.headers.items()}
                self.requests.append((handler.path, headers, body))
                answer(handler)

            def log_message(handler, *_: object) -> None:  # noqa: N805
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.address = f"http://127.0.0.1:{self._server.server_port}/hook?box=1"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


Serve = Callable[[Callable[[BaseHTTPRequestHandler], None]], Server]


@pytest.fixture
def serve() -> Iterator[Serve]:
    servers: list[Server] = []

    def started(answer: Callable[[BaseHTTPRequestHandler], None]) -> Server:
        servers.append(Server(answer))
        return servers[-1]

    yield started
    for server in servers:
        server.close()


def status(code: int, words: bytes = b"") -> Callable[[BaseHTTPRequestHandler], None]:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(code)
        handler.send_header("content-length", str(len(words)))
        handler.end_headers()
        handler.wfile.write(words)

    return answer


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("a secret\n", b"a secret"),
        (f"whsec_{base64.b64encode(b'binary').decode()}\n", b"binary"),
    ],
)
def test_what_is_posted_is_signed(serve: Serve, tmp_path: Path, text: str, secret: bytes) -> None:
    file = tmp_path / "secret"
    file.write_text(text)
    server = serve(status(204))
    Webhook(server.address, file, _LONG).tell(NEWS)
    [(path, headers, body)] = server.requests
    assert path == "/hook?box=1"
    assert body == NEWS.body
    assert headers["content-type"] == "application/json"
    assert headers["webhook-id"] == NEWS.id
    assert abs(int(headers["webhook-timestamp"]) - time.time()) < 60
    signed = f"{NEWS.id}.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"


def test_without_a_secret_nothing_is_signed(serve: Serve) -> None:
    server = serve(status(200, b"x" * 10_000))
    Webhook(server.address, None, _LONG).tell(NEWS)
    assert "webhook-signature" not in server.requests[0][1]


@pytest.mark.parametrize("code", [301, 400, 410, 500, 503])
def test_anything_but_2xx_has_not_taken_it(serve: Serve, code: int) -> None:
    server = serve(status(code, b"because"))
    with pytest.raises(Untaken, match=f"{code} .*: because"):
        Webhook(server.address, None, _LONG).tell(NEWS)


def test_2xx_has_taken_it_whatever_becomes_of_the_rest(serve: Serve) -> None:
    over = threading.Event()

    def promise(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("transfer-encoding", "chunked")
        handler.end_headers()
        over.wait(_LONG)

    Webhook(serve(promise).address, None, 0.5).tell(NEWS)
    over.set()


def test_nobody_there_has_not_taken_it() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    with pytest.raises(Untaken, match="refused"):
        Webhook(f"http://127.0.0.1:{port}/", None, _LONG).tell(NEWS)


def drip(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response_only(200)
    try:
        while True:
            handler.wfile.write(b"x-more: 1\r\n" if handler.command == "GET" else b"H")
            handler.wfile.flush()
            time.sleep(0.05)
    except OSError:
        pass


def test_a_server_that_answers_without_end_is_left(serve: Serve) -> None:
    server = serve(drip)
    began = time.monotonic()
    with pytest.raises(Untaken, match="no whole answer within 0"):
        Webhook(server.address, None, 0.5).tell(NEWS)
    assert time.monotonic() - began < _LONG


def test_a_server_that_shakes_hands_without_end_is_left() -> None:
    """It promises 16 kB of TLS, and sends a byte now and then."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def shake() -> None:
            line, _ = server.accept()
            with line, suppress(OSError):
                line.sendall(b"\x16\x03\x03\x40\x00")
                while True:
                    line.sendall(b"\x02")
                    time.sleep(0.05)

        threading.Thread(target=shake, daemon=True).start()
        began = time.monotonic()
        with pytest.raises(Untaken):
            Webhook(f"https://127.0.0.1:{server.getsockname()[1]}/", None, 0.5).tell(NEWS)
    assert time.monotonic() - began < _LONG


def test_of_several_addresses_all_together_have_the_limit(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two take all the time that there is; the third answers without end."""
    server = serve(drip)
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, ExitStack() as stack:
        while True:  # until nobody is let in any more
            waiting = stack.enter_context(socket.socket())
            waiting.settimeout(0.2)
            try:
                waiting.connect(full.getsockname())
            except TimeoutError:
                break
        places = [full.getsockname()] * 2 + [("127.0.0.1", urlsplit(server.address).port)]
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", place) for place in places]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        began = time.monotonic()
        with pytest.raises(Untaken):
            Webhook(server.address, None, 0.5).tell(NEWS)
    assert time.monotonic() - began < _LONG


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "No such file"), (b"", "empty"), (b"\xff", "no secret"), (b"whsec_!", "no secret")],
)
def test_a_secret_that_cannot_be_read_is_said(
    tmp_path: Path, content: bytes | None, words: str
) -> None:
    file = tmp_path / "secret"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(Untaken, match=words):
        read_secret(file)
