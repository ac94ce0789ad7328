"""The supervisor's hold on the worker process: start, talk, notice its death, stop.

Knows processes and messages, nothing of jobs' meaning or folders. The child is started as
`python -m depthd.worker.main`, so nothing heavy is ever imported on this side.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass

from depthd.config import Config
from depthd.contract.messages import FromWorker, Message, Reader, encode

_KILL_DEADLINE = 10.0  # seconds until even SIGKILL must have worked


@dataclass(frozen=True)
class Death:
    """How the worker ended."""

    exit_code: int | None
    signal_name: str | None
    out_of_memory: bool

    def __str__(self) -> str:
        if self.out_of_memory:
            return "killed by the kernel for lack of memory"
        if self.signal_name:
            return f"killed by {self.signal_name}"
        return f"exited with code {self.exit_code}"


class WorkerHandle:
    """A running worker process.

    Args:
        config: handed over as JSON on the socket's first line.
        lock: descriptor of the spool's lock. The child inherits it, so that no other daemon can
            own work/ while an orphaned worker may still publish.
        instance: the spool's name.
        is_busy: a stream of photos is waiting for it.
    """

    def __init__(self, config: Config, lock: int, instance: str, *, is_busy: bool) -> None:
        ours, theirs = socket.socketpair()
        self._out_of_memory_kills = _out_of_memory_kills()
        with theirs:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "depthd.worker.main",
                    str(theirs.fileno()),
                    str(os.getpid()),
                    instance,
                    *(["busy"] * is_busy),
                ],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno(), lock],
            )
        ours.setblocking(True)
        self.socket = ours
        self.sentinel = os.pidfd_open(self._process.pid)
        self._reader = Reader()
        self._send(config.model_dump_json().encode() + b"\n")

    @property
    def pid(self) -> int:
        return self._process.pid

    def send(self, message: Message) -> None:
        """Say something; a worker that is gone is noticed by its sentinel, not here."""
        self._send(encode(message))

    def _send(self, data: bytes) -> None:
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            return

    def receive(self) -> list[FromWorker]:
        """What the worker has said since; call it when the socket is readable.

        Raises:
            ProtocolError: it said something that is no message.
            EOFError: it has closed its side.
        """
        try:
            data = self.socket.recv(1 << 16)
        except ConnectionResetError:
            data = b""
        if not data:
            raise EOFError
        return self._reader.feed(data)

    def last_words(self) -> list[FromWorker]:
        """What a dead worker had said before its end and nobody has read."""
        self.socket.setblocking(False)
        messages: list[FromWorker] = []
        try:
            while True:
                messages += self.receive()
        except (EOFError, BlockingIOError):
            return messages

    def ask_to_stop(self) -> None:
        """No more work will come; the worker exits when it has finished what it has."""
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            return

    def kill(self) -> None:
        self._process.kill()

    def reap(self, patience: float) -> Death:
        """Wait for the end, and force it after `patience` seconds. Closes everything."""
        try:
            code = self._process.wait(patience)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait(_KILL_DEADLINE)
        os.close(self.sentinel)
        self.socket.close()
        killed = code == -signal.SIGKILL and _out_of_memory_kills() > self._out_of_memory_kills
        return Death(
            exit_code=code if code >= 0 else None,
            signal_name=signal.Signals(-code).name if code < 0 else None,
            out_of_memory=killed,
        )


def _out_of_memory_kills() -> int:
    """How often the kernel has killed in this control group (cgroup v2), else on this machine."""
    for path, key in ((_memory_events(), "oom_kill"), ("/proc/vmstat", "oom_kill")):
        try:
            with open(path, encoding="ascii") as file:
                for line in file:
                    name, _, value = line.partition(" ")
                    if name == key:
                        return int(value)
        except (OSError, ValueError):
            continue
    return 0


def _memory_events() -> str:
    try:
        with open("/proc/self/cgroup", encoding="ascii") as file:
            for line in file:
                if line.startswith("0::"):
                    return f"/sys/fs/cgroup{line[3:].strip()}/memory.events"
    except OSError:
        pass
    return ""
