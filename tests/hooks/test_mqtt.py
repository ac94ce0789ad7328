"""A real broker: what it gets, that it may go and come back, and that it may refuse us."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from depthd.hooks.news import news
from depthd.hooks.sender import Untaken

pytest.importorskip("paho.mqtt", reason="needs paho-mqtt")

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from depthd.hooks.mqtt import Mqtt

_LONG = 30.0
NEWS = news("1", "done", "a.jpg")
mosquitto = shutil.which("mosquitto", path="/usr/sbin:/usr/bin")


class Broker:
    """mosquitto on this machine, with a user of its own."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        passwords = folder / "passwords"
        passwords.write_text("box:correct\n")
        subprocess.run(["mosquitto_passwd", "-U", passwords], check=True)
        passwords.chmod(0o644)
        folder.chmod(0o755)
        self._file = folder / "mosquitto.conf"
        self._file.write_text(
            f"listener {self.port} 127.0.0.1\npassword_file {passwords}\nuser root\n"
            "allow_anonymous false\n"
        )
        self.start()

    def start(self) -> None:
        assert mosquitto
        self._process = subprocess.Popen(
            [mosquitto, "-c", str(self._file)], stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + _LONG
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
            except OSError:
                assert time.monotonic() < deadline
                time.sleep(0.02)
            else:
                return

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(_LONG)

    def address(self, user: str = "box@") -> str:
        return f"mqtt://{user}127.0.0.1:{self.port}/home/depth"


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    if mosquitto is None or shutil.which("mosquitto_passwd") is None:
        pytest.skip("needs mosquitto")
    broker = Broker(tmp_path)
    yield broker
    broker.stop()


def test_a_broker_gets_the_news_and_is_found_again(broker: Broker, tmp_path: Path) -> None:
    got: list[tuple[str, bytes]] = []
    subscribed = threading.Event()

    def listener() -> Client:
        client = Client(CallbackAPIVersion.VERSION2)
        client.username_pw_set("box", "correct")
        client.on_message = lambda _c, _u, message: note(message)
        client.on_subscribe = lambda *_: subscribed.set()
        client.connect("127.0.0.1", broker.port)
        client.subscribe("home/depth/#", qos=1)
        client.loop_start()
        assert subscribed.wait(_LONG)
        return client

    def note(message: MQTTMessage) -> None:
        got.append((message.topic, bytes(message.payload)))

    def wait_for(count: int) -> None:
        deadline = time.monotonic() + _LONG
        while len(got) < count:
            assert time.monotonic() < deadline
            time.sleep(0.01)

    password = tmp_path / "password"
    password.write_text("correct\n")
    mqtt = Mqtt(broker.address(), password, _LONG)
    first = listener()
    mqtt.tell(NEWS)
    mqtt.tell(news("2", "failed", "b.jpg"))
    wait_for(2)
    assert got[0] == ("home/depth/done", NEWS.body)
    assert got[1][0] == "home/depth/failed"
    first.loop_stop()
    broker.stop()
    with pytest.raises(Untaken):
        Mqtt(broker.address(), password, 5.0).tell(NEWS)
    mqtt._timeout = 5.0
    with pytest.raises(Untaken):
        mqtt.tell(NEWS)
    broker.start()
    subscribed.clear()
    second = listener()
    mqtt._timeout = _LONG
    mqtt.tell(NEWS)
    wait_for(3)
    second.loop_stop()
    mqtt.close()


def test_a_broker_that_does_not_let_us_in_has_not_taken_it(broker: Broker, tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("wrong")
    with pytest.raises(Untaken, match="does not let us in"):
        Mqtt(broker.address(), password, 2.0).tell(NEWS)


@pytest.mark.parametrize(
    "sent",
    [b"\x30\xff\xff\xff\x7f\0\1a" + bytes(32 << 20), b"\x34\x05\0\1a\0\1" * (4 << 20)],
    ids=["one of 256 MB", "many that wait for a second step"],
)
def test_a_broker_that_sends_messages_is_left_before_they_are_read(
    sent: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says that it has let us in, and then all that it likes."""
    left, read = threading.Event(), list[Client]()

    def handle(client: Client) -> int:
        read.append(client)
        return 0

    monkeypatch.setattr(Client, "_handle_publish", handle)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def flood() -> None:
            while True:
                try:
                    line, _ = server.accept()
                except OSError:  # the test is over
                    return
                try:
                    with line:
                        line.recv(1024)
                        line.sendall(b"\x20\x02\0\0" + sent)
                except OSError:
                    left.set()

        threading.Thread(target=flood, daemon=True).start()
        mqtt = Mqtt(f"mqtt://127.0.0.1:{server.getsockname()[1]}/depth", None, 1.0)
        with pytest.raises(Untaken):
            mqtt.tell(NEWS)
        assert left.wait(_LONG)
    assert not read
