"""The supervisor's hold on one worker process: start, talk, notice its death, stop.

Knows processes and messages, nothing of jobs' meaning or folders. Nothing here waits: the loop
hears of a death by the process's descriptor. The child is started as `python -m
depthd.worker.main`, so nothing heavy is ever imported on this side.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from depthd import __version__
from depthd.channel.line import Closed, Line
from depthd.channel.messages import FromWorker, Setup, Work, decode, encode
from depthd.config import Config
from depthd.supervisor.worker_words import WorkerWords
from depthd.system.parent import killer
from depthd.system.python import module

LOOK_AHEAD = 11  # one decoding, two in the network, two being written, the others on their way
_HEARD_AT_ONCE = 64  # messages; two for each job that it can have are fewer


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


class Worker(Protocol):
    """What the supervisor needs of a worker; tests put their own in its place."""

    @property
    def pid(self) -> int: ...
    def sources(self) -> set[int]:
        """Descriptors that are readable when it has something to say, or is dead."""
        ...

    def send(self, work: Work, descriptors: Sequence[int]) -> None:
        """Give it work; one that is gone is noticed by its death, not here.

        Raises:
            OSError: no memory or no descriptor is left for it; it has not got it.
        """
        ...

    def hear(self) -> list[FromWorker]:
        """What it has said since, without waiting; where that is much, the rest comes next time.

        Raises:
            ProtocolError: it said something that is no message.
        """
        ...

    def words(self) -> list[str]:
        """Lines that it, or a library in it, has written to standard error."""
        ...

    def hang_up(self) -> None:
        """No more work will come; it ends when it has finished what it has."""
        ...

    def kill(self) -> None: ...
    def death(self) -> Death | None:
        """How it ended, or None while it lives; never waits."""
        ...

    def close(self) -> None:
        """Let go of it, dead or alive."""
        ...


class WorkerProcess:
    """A running worker process.

    Args:
        config: what it serves with.
        is_busy: a stream of photos is waiting for it.
    """

    def __init__(self, config: Config, *, is_busy: bool) -> None:
        ours, theirs = Line.pair()
        self._words = WorkerWords()
        self._out_of_memory_kills = _out_of_memory_kills()
        try:
            self._process = subprocess.Popen(
                [
                    *module("depthd.worker.main"),
                    str(theirs.socket.fileno()),
                    str(os.getpid()),
                ],
                stdin=subprocess.DEVNULL,
                stderr=self._words.writer,
                pass_fds=[theirs.socket.fileno()],
            )
            self._sentinel = os.pidfd_open(self._process.pid)
        except BaseException:
            ours.close()
            self._words.close()
            raise
        finally:
            theirs.close()
            self._words.hand_over()
        self._line = ours
        self._is_silent = False  # nothing more will come over the line
        ours.socket.setblocking(False)
        # Without the folders, which may be many: each job comes with the policy of its own.
        served = config.model_dump(mode="json", exclude={"folders"})
        setup = Setup(version=__version__, config=served, is_busy=is_busy)
        try:
            with suppress(Closed):
                ours.send(encode(setup))
        except OSError:  # no memory for it; the next start of a process reaps this one
            self.kill()
            self.close()
            raise

    @property
    def pid(self) -> int:
        return self._process.pid

    def sources(self) -> set[int]:
        if self._is_silent:
            return {self._sentinel}
        words = set() if self._words.ended else {self._words.fileno()}
        return {self._line.socket.fileno(), self._sentinel} | words

    def words(self) -> list[str]:
        return self._words.read()

    def send(self, work: Work, descriptors: Sequence[int]) -> None:
        try:
            self._line.send(encode(work), descriptors)
        except Closed:
            return
        except BlockingIOError:  # it has not read a dozen packets: it never will
            self.kill()

    def hear(self) -> list[FromWorker]:
        messages: list[FromWorker] = []
        try:
            while len(messages) < _HEARD_AT_ONCE:
                packet, descriptors = self._line.receive()
                for descriptor in descriptors:  # it has none to give
                    os.close(descriptor)
                messages.append(decode(packet))
        except BlockingIOError:
            pass
        except Closed:
            self.kill()  # without a voice it is of no use
        return messages

    def hang_up(self) -> None:
        self._is_silent = True
        self._line.hang_up()

    def kill(self) -> None:
        self._is_silent = True
        self._process.kill()

    def death(self) -> Death | None:
        code = self._process.poll()
        if code is None:
            return None
        killed = code == -signal.SIGKILL and _out_of_memory_kills() > self._out_of_memory_kills
        return Death(
            exit_code=code if code >= 0 else None,
            signal_name=killer(code) if code < 0 else None,
            out_of_memory=killed,
        )

    def close(self) -> None:
        self._words.close()
        os.close(self._sentinel)
        self._line.close()


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
