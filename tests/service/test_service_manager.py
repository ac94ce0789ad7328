"""What a whole daemon tells the service manager, in its order."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from daemon import DEADLINE, Daemon

_STOP = "worker.stop_timeout=500ms"  # well within the watchdog's time


class Manager:
    """The listening end of $NOTIFY_SOCKET."""

    def __init__(self, folder: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(folder / "notify"))
        self.socket.settimeout(DEADLINE)
        self.environment = {"NOTIFY_SOCKET": str(folder / "notify"), "WATCHDOG_USEC": "2000000"}
        self.pings = 0
        self.status = ""

    def hear(self) -> str:
        """The next change of state, such as READY; status and pings are noted on the way."""
        while True:
            message = dict(
                line.split("=", 1) for line in self.socket.recv(4096).decode().split("\n")
            )
            self.pings += "WATCHDOG" in message
            self.status = message.get("STATUS", self.status)
            for state in ("READY", "RELOADING", "STOPPING"):
                if state in message:
                    return state

    def last_status(self) -> str:
        """What a service that has ended said last."""
        self.socket.setblocking(False)
        with suppress(BlockingIOError):
            while True:
                self.hear()
        return self.status


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    manager = Manager(tmp_path)
    yield manager
    manager.socket.close()


def test_a_life_under_systemd(manager: Manager, root: Path, settings: tuple[str, ...]) -> None:
    file = root / "config.yaml"
    file.write_text("intake:\n  rescan_interval: 50s\n", encoding="utf-8")
    settings = (*settings, _STOP)
    with Daemon(
        root, *settings, arguments=("-c", str(file)), environment=manager.environment
    ) as daemon:
        assert manager.hear() == "READY"
        assert daemon.logged("worker.ready")
        assert manager.pings

        daemon.signal(signal.SIGHUP)  # nothing changed
        assert [manager.hear(), manager.hear()] == ["RELOADING", "READY"]
        assert not daemon.logged("service.stopping")

        file.write_text("nonsense: 1\n", encoding="utf-8")
        daemon.signal(signal.SIGHUP)
        assert [manager.hear(), manager.hear()] == ["RELOADING", "READY"]
        assert daemon.logged("service.reload_refused")

        file.write_text("worker:\n  max_pixels: 1000000\n", encoding="utf-8")
        daemon.signal(signal.SIGHUP)  # another worker, the same service: never STOPPING
        assert [manager.hear(), manager.hear()] == ["RELOADING", "READY"]
        daemon.wait_for("worker.exchanged")
        assert len(daemon.logged("service.ready")) == 1

        daemon.signal(signal.SIGTERM)
        assert manager.hear() == "STOPPING"
        assert daemon.exit_code() == 0
    assert manager.last_status().startswith("stopped (SIGTERM)")


def test_an_end_is_explained(manager: Manager, root: Path, tmp_path: Path) -> None:
    """`systemctl status` shows why the service could not start."""
    weights = f"model.weights={tmp_path / 'nowhere.pt'}"
    with Daemon(root, weights, _STOP, environment=manager.environment) as daemon:
        assert manager.hear() == "STOPPING"
        assert daemon.exit_code() == 69
    assert manager.last_status().startswith("stopped (")
    assert "nowhere.pt" in manager.status
