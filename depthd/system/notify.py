"""What systemd is told: ready, status, stopping, and that the service makes progress.

One datagram a message to $NOTIFY_SOCKET (sd_notify(3)); without the variable nothing happens.
"""

from __future__ import annotations

import os
import socket

_PATIENCE = 0.2  # seconds; a manager that does not listen holds up nothing else


class Notifier:
    """The service manager's ear."""

    def __init__(self) -> None:
        address = os.environ.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._socket.settimeout(_PATIENCE)
        microseconds = int(os.environ.get("WATCHDOG_USEC", "0") or 0)
        meant_for_us = os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        self.watchdog_interval = microseconds / 2e6 if meant_for_us else 0.0  # seconds, 0 = none

    def tell(self, **assignments: str) -> None:
        """Send assignments such as STATUS="..."; a manager that is away is no reason to fail.

        A value is one line; whatever else it holds becomes a space.
        """
        if not self._address:
            return
        message = "\n".join(
            f"{key}={' '.join(value.splitlines())}" for key, value in assignments.items()
        )
        try:
            self._socket.sendto(message.encode(errors="replace"), self._address)
        except OSError:
            return

    def close(self) -> None:
        self._socket.close()
