"""One end of the socket pair between supervisor and worker: whole packets, with descriptors.

Knows bytes and descriptors, nothing of what is said.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence

from depthd.channel.messages import LARGEST_PACKET, MOST_DESCRIPTORS

_BUFFER = 1 << 20  # bytes on their way that the kernel keeps, as far as it lets us


class Closed(Exception):
    """The other side is gone, or has said that no more will come."""


class Line:
    """Sends and receives packets.

    Args:
        end: a SOCK_SEQPACKET socket of this process.
    """

    def __init__(self, end: socket.socket) -> None:
        self.socket = end
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)

    @staticmethod
    def pair() -> tuple[Line, Line]:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        return Line(ours), Line(theirs)

    def send(self, packet: bytes, descriptors: Sequence[int] = ()) -> None:
        """Send a packet and copies of open descriptors.

        Raises:
            Closed: the other side is gone.
            BlockingIOError: it has not read for long, and the socket does not wait.
        """
        try:
            if descriptors:
                socket.send_fds(self.socket, [packet], list(descriptors))
            else:
                self.socket.send(packet)
        except (BrokenPipeError, ConnectionResetError) as error:
            raise Closed from error

    def receive(self) -> tuple[bytes, list[int]]:
        """The next packet, and descriptors that now belong to the caller.

        Raises:
            Closed: no more will come.
            BlockingIOError: there is none, and the socket does not wait.
        """
        try:
            packet, descriptors, _, _ = socket.recv_fds(
                self.socket, LARGEST_PACKET, MOST_DESCRIPTORS
            )
        except ConnectionResetError as error:
            raise Closed from error
        if not packet:
            for descriptor in descriptors:
                os.close(descriptor)
            raise Closed
        return packet, list(descriptors)

    def hang_up(self) -> None:
        """Say that no more will come; the other side may still answer."""
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            return

    def close(self) -> None:
        self.socket.close()
