"""One run at a time in a target: a lease that its holder tells anew, and that lapses without.

No clocks are compared: who finds a lease looks whether it is told anew. One whose process has
ended on this very machine is taken at once, any other when it has been silent for long enough.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from depthd.backfill.store import Store
from depthd.contract.errors import OutputError, TemporaryError

NAME = "backfill.lease"
_TOLD = 10.0  # seconds between two times that it is told
_LAPSES = 60.0  # seconds of silence
_LOOKS = 1.0  # seconds between two looks at somebody else's
_TRIES = 20  # in which others were always faster


@dataclass(frozen=True)
class Holder:
    """Who has it.

    Attributes:
        owner: of one run alone.
        host: name of the machine.
        machine: this start of it, and the namespace that `pid` is meant in.
        pid: of the run's process.
        started: when that process began, as the kernel counts.
        told: when, for people.
    """

    owner: str
    host: str
    machine: str
    pid: int
    started: int
    told: str

    def to_bytes(self) -> bytes:
        return json.dumps(asdict(self)).encode() + b"\n"


class Lease:
    """A lease that is held."""

    def __init__(self, store: Store, holder: Holder, content: bytes) -> None:
        self._store = store
        self._holder = holder
        self._content = content
        self._over = threading.Event()
        self.is_lost = False

    @property
    def owner(self) -> str:
        return self._holder.owner

    def tell_on(self) -> None:
        """Until it is given back, or somebody else has it."""
        while not self._over.wait(_TOLD) and not self.is_lost:
            with suppress(OSError):  # a store that is away gives it to nobody else either
                self._tell()

    def give_back(self) -> None:
        self._over.set()
        if not self.is_lost:
            with suppress(OSError):  # then it lapses
                self._store.exchange(NAME, self._content, None)

    def _tell(self) -> None:
        content = replace(self._holder, told=_now()).to_bytes()
        if self._store.exchange(NAME, self._content, content):
            self._content = content
            return
        found = self._store.read(NAME) or b""
        if owner_of(found) == self.owner:  # told, and the answer was lost on its way
            self._content = found
        else:
            self.is_lost = True


@contextmanager
def leased(store: Store, where: str, report: Callable[[str], None]) -> Iterator[Lease]:
    """Have the target for oneself.

    Args:
        store: the target.
        where: its address, for people.
        report: told in words when somebody else's lease has to be watched.

    Raises:
        TemporaryError: another run has it.
        OutputError: the target cannot be written.
    """
    try:
        lease = _take(store, where, report)
    except OSError as error:
        raise OutputError(
            f"{where} cannot be written: {error}", "look at its rights, and at who runs this"
        ) from error
    telling = threading.Thread(target=lease.tell_on, name="lease", daemon=True)
    telling.start()
    try:
        yield lease
    finally:
        lease.give_back()
        telling.join()


def owner_of(content: bytes) -> str:
    """Who a lease says has it; empty where it says nothing."""
    holder = _holder(content)
    return holder.owner if holder else ""


def lost(where: str) -> TemporaryError:
    """What a run ends with whose lease somebody else has."""
    return TemporaryError(
        f"another run has taken {where} over, since this one was silent for {_LAPSES:.0f} s",
        "leave it to that one; run it again later",
    )


def _take(store: Store, where: str, report: Callable[[str], None]) -> Lease:
    mine = _myself()
    content = mine.to_bytes()
    for _ in range(_TRIES):
        found = store.read(NAME)
        if found is not None and owner_of(found) != mine.owner:
            _wait_for_end(store, where, found, report)
        elif found is not None or store.exchange(NAME, None, content):
            return Lease(store, mine, found or content)
        if found is not None and store.exchange(NAME, found, content):
            return Lease(store, mine, content)
    raise TemporaryError(f"other runs were faster to take {where}", "try again later")


def _wait_for_end(store: Store, where: str, found: bytes, report: Callable[[str], None]) -> None:
    """Return when nobody has the lease any more that says `found`."""
    holder = _holder(found)
    who = f"process {holder.pid} on {holder.host}" if holder else "another process"
    in_use = TemporaryError(
        f"{where} is in use by a run: {who}", "only one at a time may be; wait for its end"
    )
    if holder and holder.machine == _machine():
        if _started(holder.pid) == holder.started:
            raise in_use
        return
    report(f"looking whether {who} is still at work there; up to {_LAPSES:.0f} s")
    end = time.monotonic() + _LAPSES
    while time.monotonic() < end:
        time.sleep(_LOOKS)
        now = store.read(NAME)
        if now is None:
            return
        if now != found:
            raise in_use


def _holder(content: bytes) -> Holder | None:
    try:
        return Holder(**json.loads(content))
    except (ValueError, TypeError):
        return None


def _myself() -> Holder:
    pid = os.getpid()
    return Holder(
        owner=secrets.token_hex(8),
        host=socket.gethostname(),
        machine=_machine(),
        pid=pid,
        started=_started(pid),
        told=_now(),
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")


def _machine() -> str:
    """Process numbers mean the same where this is the same: one start, one container."""
    start = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return f"{start} {os.readlink('/proc/self/ns/pid')}"


def _started(pid: int) -> int:
    """When a process began, in the kernel's ticks (proc_pid_stat(5)); 0 where it has ended."""
    try:
        about = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return 0
    state, *fields = about.rpartition(b")")[2].split()
    return 0 if state in (b"Z", b"X") else int(fields[18])  # nobody has asked how that one ended
