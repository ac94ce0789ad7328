"""What the service manager hears, over a socket like its own."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from depthd.system.notify import Notifier

DEADLINE = 20.0  # seconds


@pytest.fixture(params=["path", "abstract"])
def manager(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[socket.socket]:
    """The listening end; $NOTIFY_SOCKET leads to it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        if request.param == "path":
            address = str(tmp_path / "notify")
            listener.bind(address)
        else:
            listener.bind("")  # the kernel makes up an abstract name
            address = "@" + listener.getsockname()[1:].decode()
        listener.settimeout(DEADLINE)
        monkeypatch.setenv("NOTIFY_SOCKET", address)
        yield listener


def test_a_manager_that_does_not_listen_holds_up_nothing(manager: socket.socket) -> None:
    address = manager.getsockname()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as full, closing(Notifier()) as notifier:
        full.setblocking(False)
        with suppress(BlockingIOError):
            while True:
                full.sendto(b"WATCHDOG=1", address)
        telling = threading.Thread(target=notifier.tell, kwargs={"WATCHDOG": "1"}, daemon=True)
        telling.start()
        telling.join(DEADLINE)
        assert not telling.is_alive()


def test_one_datagram_a_message(manager: socket.socket) -> None:
    with closing(Notifier()) as notifier:
        notifier.tell(READY="1", STATUS="3 waiting")
        notifier.tell(WATCHDOG="1")
    assert manager.recv(4096) == b"READY=1\nSTATUS=3 waiting"
    assert manager.recv(4096) == b"WATCHDOG=1"


def test_a_value_cannot_smuggle_in_another(manager: socket.socket) -> None:
    with closing(Notifier()) as notifier:
        notifier.tell(STATUS="paused: /a\nSTOPPING=1\r\nb")
    assert manager.recv(4096) == b"STATUS=paused: /a STOPPING=1 b"


def test_any_file_name_can_be_said(manager: socket.socket) -> None:
    with closing(Notifier()) as notifier:
        notifier.tell(STATUS=os.fsdecode(b"paused: /srv/\xff"))
    assert manager.recv(4096).startswith(b"STATUS=paused: /srv/")


def test_a_manager_that_is_gone_is_no_reason_to_fail(manager: socket.socket) -> None:
    with closing(Notifier()) as notifier:
        manager.close()
        notifier.tell(READY="1")


def test_without_a_manager_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    monkeypatch.delenv("WATCHDOG_USEC", raising=False)
    with closing(Notifier()) as notifier:
        notifier.tell(READY="1")
        assert notifier.watchdog_interval == 0


@pytest.mark.parametrize(
    ("pid", "interval"),
    [(None, 60.0), (os.getpid(), 60.0), (os.getppid(), 0.0)],
    ids=["unset", "ours", "another"],
)
def test_pings_are_due_at_half_the_watchdogs_time(
    monkeypatch: pytest.MonkeyPatch, pid: int | None, interval: float
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "120000000")
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    if pid is not None:
        monkeypatch.setenv("WATCHDOG_PID", str(pid))
    with closing(Notifier()) as notifier:
        assert notifier.watchdog_interval == interval
