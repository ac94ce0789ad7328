"""News to a web address: a POST of JSON, signed as Standard Webhooks have it.

    webhook-id, webhook-timestamp, webhook-signature: v1,BASE64(HMAC-SHA256(secret, ID.TIME.BODY))

No redirects, no proxies; a time limit for the whole of it, and little of the answer is read.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import http.client
import socket
import ssl
import threading
import time
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from depthd import __version__
from depthd.hooks.news import News
from depthd.hooks.sender import Untaken

_ANSWER = 300  # bytes that are kept of a refusal
_PREFIX = "whsec_"  # of a secret in base64


class Webhook:
    """A web address.

    Args:
        address: http or https.
        secret_file: read for each, so that a secret can be changed; None signs nothing.
        timeout: seconds.
    """

    def __init__(self, address: str, secret_file: Path | None, timeout: float) -> None:
        self._parts = urlsplit(address)
        self._secret_file = secret_file
        self._timeout = timeout
        self._line: socket.socket | None = None

    def tell(self, piece: News) -> None:
        """Post it; see `Receiver`."""
        headers = self._headers(piece)
        path = (self._parts.path or "/") + (f"?{self._parts.query}" if self._parts.query else "")
        kind = (
            http.client.HTTPSConnection
            if self._parts.scheme == "https"
            else http.client.HTTPConnection
        )
        connection = kind(self._parts.hostname or "", self._parts.port, timeout=self._timeout)
        deadline = time.monotonic() + self._timeout
        alarm = threading.Timer(self._timeout, self.stop)
        alarm.daemon = True
        try:
            plain = self._reach(connection.host, connection.port, deadline)
            # Of its own, because TLS takes the other one away while hands are shaken.
            self._line = plain.dup()
            # A limit for the whole: the library's own begins anew with each byte.
            alarm.interval = max(0.0, deadline - time.monotonic())
            alarm.start()
            connection.sock = self._secured(plain)
            connection.request("POST", path, piece.body, headers)
            answer = connection.getresponse()
            is_taken = 200 <= answer.status < 300  # whatever becomes of the rest
            words = b"" if is_taken else answer.read(_ANSWER)
        except (OSError, http.client.HTTPException, ValueError) as error:
            reason = str(error) or type(error).__name__
            if time.monotonic() >= deadline:  # the line was cut here, not there
                reason = f"no whole answer within {self._timeout:g} s (hooks.timeout)"
            raise Untaken(reason) from error
        finally:
            alarm.cancel()
            connection.close()
            if (line := self._line) is not None:
                self._line = None
                line.close()
        if not is_taken:
            said = words.decode(errors="replace").strip()
            raise Untaken(f"{answer.status} {answer.reason}" + (f": {said}" if said else ""))

    def stop(self) -> None:
        line = self._line
        if line is not None:
            with suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)

    def _reach(self, host: str, port: int, deadline: float) -> socket.socket:
        """Connect to one of a name's addresses, all of them together within the limit."""
        trouble: OSError = TimeoutError("timed out")
        for family, kind, protocol, _, place in socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM
        ):
            left = deadline - time.monotonic()
            if left <= 0:
                break
            plain = socket.socket(family, kind, protocol)
            try:
                plain.settimeout(left)
                plain.connect(place)
            except OSError as error:
                plain.close()
                trouble = error
            else:
                plain.settimeout(self._timeout)
                return plain
        raise trouble

    def _secured(self, plain: socket.socket) -> socket.socket:
        if self._parts.scheme != "https":
            return plain
        try:
            context = ssl.create_default_context()
            context.set_alpn_protocols(["http/1.1"])
            return context.wrap_socket(plain, server_hostname=self._parts.hostname)
        except BaseException:
            plain.close()
            raise

    def close(self) -> None:
        """Nothing is kept."""

    def _headers(self, piece: News) -> dict[str, str]:
        headers = {
            "content-type": "application/json",
            "user-agent": f"depthd/{__version__}",
            "webhook-id": piece.id,
            "webhook-timestamp": str(int(time.time())),
        }
        if self._secret_file is not None:
            headers["webhook-signature"] = signature(
                read_secret(self._secret_file), piece, headers["webhook-timestamp"]
            )
        return headers


def signature(secret: bytes, piece: News, timestamp: str) -> str:
    """The signature of a piece of news that is posted at a time."""
    signed = f"{piece.id}.{timestamp}.".encode() + piece.body
    return "v1," + base64.b64encode(hmac.digest(secret, signed, hashlib.sha256)).decode()


def read_secret(file: Path) -> bytes:
    """A secret: the file's text, or what is base64 in it behind `whsec_`.

    Raises:
        Untaken: it cannot be read, or is empty.
    """
    try:
        text = file.read_text(encoding="utf-8").strip()
        secret = (
            base64.b64decode(text.removeprefix(_PREFIX), validate=True)
            if text.startswith(_PREFIX)
            else text.encode()
        )
    except OSError as error:
        raise Untaken(f"{file}: {error.strerror}") from error
    except (UnicodeDecodeError, binascii.Error) as error:
        raise Untaken(f"{file}: no secret can be read from it") from error
    if not secret:
        raise Untaken(f"{file}: it is empty")
    return secret
