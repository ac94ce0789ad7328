"""News to an MQTT broker: QoS 1, one connection that is kept while it works. Needs paho-mqtt."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote, urlsplit

from paho.mqtt.client import Client, MQTTv311
from paho.mqtt.enums import CallbackAPIVersion

from depthd.hooks.news import News
from depthd.hooks.sender import Untaken

_LOOK_EVERY = 0.01
_LONGEST = 2  # bytes of what a broker answers, behind its head


class Mqtt:
    """A broker.

    Args:
        address: mqtt or mqtts, with the topic behind the host.
        password_file: of the user in the address; read for each connection.
        timeout: seconds for one piece of news.
    """

    def __init__(self, address: str, password_file: Path | None, timeout: float) -> None:
        self._parts = urlsplit(address)
        self._topic = unquote(self._parts.path.strip("/"))
        self._password_file = password_file
        self._timeout = timeout
        self._client: Client | None = None
        self._is_stopped = False

    def tell(self, piece: News) -> None:
        """Publish it; see `Receiver`."""
        deadline = time.monotonic() + self._timeout
        try:
            client = self._client or self._connect(deadline)
            sent = client.publish(f"{self._topic}/{piece.happened}", piece.body, qos=1)
            while not sent.is_published():
                if self._is_stopped or time.monotonic() > deadline or not client.is_connected():
                    raise Untaken("the broker did not say that it has it")  # noqa: TRY301
                time.sleep(_LOOK_EVERY)
        except (OSError, ValueError, RuntimeError) as error:
            self.close()
            raise Untaken(str(error)) from error
        except Untaken:
            self.close()  # what this one holds would be sent again behind our back
            raise

    def stop(self) -> None:
        self._is_stopped = True

    def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            with suppress(OSError, ValueError):
                client.disconnect()
            client.loop_stop()

    def _connect(self, deadline: float) -> Client:
        client = _Teller(CallbackAPIVersion.VERSION2, protocol=MQTTv311)
        if self._parts.scheme == "mqtts":
            client.tls_set()
        if self._parts.username:
            client.username_pw_set(unquote(self._parts.username), self._password())
        client.connect_timeout = self._timeout
        default = 8883 if self._parts.scheme == "mqtts" else 1883
        client.connect(self._parts.hostname or "", self._parts.port or default)
        client.loop_start()
        self._client = client
        while not client.is_connected():
            if self._is_stopped or time.monotonic() > deadline:
                raise Untaken("the broker does not let us in")
            time.sleep(_LOOK_EVERY)
        return client

    def _password(self) -> str | None:
        if self._password_file is None:
            return None
        return self._password_file.read_text(encoding="utf-8").strip()


class _Teller(Client):
    """A client that is told nothing: a broker that sends a message is left before it is read.

    The library would keep packets of up to 256 MB, and any number of them.
    """

    def _sock_recv(self, bufsize: int) -> bytes:
        if bufsize > _LONGEST:
            raise ConnectionAbortedError("the broker sends what nobody has asked for")
        return super()._sock_recv(bufsize)
