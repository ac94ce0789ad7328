"""The cage: a process gives up everything but its memory, its threads and its open descriptors.

Two walls of the kernel's, each where it has them: Landlock (kernel 5.13; see landlock(7)), here
without a single rule, and a seccomp filter (see seccomp(2)) that lists the system calls that may
still be made; every other one fails with EPERM, in Python a PermissionError. Knows Linux's system
calls on x86-64 and arm64, nothing of photos. There is no way out again, not for children either.

What works no longer, and is easily forgotten: importing a module, any path in /proc or /sys,
`os.fstat` with glibc 2.33 to 2.38 (it asks by a path), and so `open(descriptor)`. Use `os.read`,
`os.write` and `os.lseek`.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import sys
from collections.abc import Callable
from dataclasses import dataclass

from depthd.system import call_filter

_PR_SET_NO_NEW_PRIVS = 38

# Landlock: the rights that the first version knows, and those that later ones have added.
_CREATE_RULESET, _RESTRICT_SELF = 444, 446  # on every architecture
_ASK_VERSION = 1
_ALL_THREADS = 1 << 3
_FILE_RIGHTS = {1: 0x1FFF, 2: 1 << 13, 3: 1 << 14, 5: 1 << 15, 9: 1 << 16}
_TCP_RIGHTS = {4: 0b11}  # bind, connect
_SCOPES = {6: 0b11}  # abstract sockets, signals

_SET_MODE_FILTER, _ASK_ACTION = 1, 2
_TSYNC = 1 << 0  # all threads or none
_SPEC_ALLOW = 1 << 2  # kernels before 5.16 else slow down the whole process

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Cage:
    """What holds.

    Attributes:
        landlock: version of the kernel's Landlock whose restrictions hold, 0 for none.
        seccomp: whether the filter of system calls holds.
        lacking: why one of them does not, in words; empty where both do.
    """

    landlock: int
    seccomp: bool
    lacking: tuple[str, ...] = ()

    def __str__(self) -> str:
        walls = ["a filter of system calls"] if self.seccomp else []
        walls += [f"Landlock {self.landlock}"] if self.landlock else []
        held = f"shut in by {' and '.join(walls)}" if walls else "not shut in"
        return "; ".join([held, *self.lacking])


def offered() -> Cage:
    """What `enclose` would have here. Restricts nothing."""
    lacking: list[str] = []
    landlock = _attempt("Landlock", _landlock_version, lacking)
    seccomp = _attempt("seccomp", _ask_seccomp, lacking)
    return Cage(landlock, bool(seccomp), tuple(lacking))


def enclose() -> Cage:
    """Shut this process in for good: nothing more is opened, started, renamed or signalled.

    The filter holds for all threads. Landlock before its version 8 holds for the calling thread
    and those that it begins afterwards. So: call it from the main thread, after everything is
    loaded and before threads that handle what strangers sent.

    What the kernel does not have is left out and said in the answer; nothing is raised.
    """
    # Where this fails, so do the two that ask for it.
    _libc.prctl(_PR_SET_NO_NEW_PRIVS, *map(ctypes.c_ulong, (1, 0, 0, 0)))
    lacking: list[str] = []
    landlock = _attempt("Landlock", _enter_landlock, lacking)
    seccomp = _attempt("seccomp", _enter_seccomp, lacking)  # forbids the calls of the other
    return Cage(landlock, bool(seccomp), tuple(lacking))


def _attempt(what: str, enter: Callable[[], int], lacking: list[str]) -> int:
    """What `enter` gives; 0, and why in `lacking`, where the system refuses."""
    try:
        return enter()
    except OSError as error:
        words = {
            errno.ENOSYS: "not in this kernel",
            errno.EINVAL: "not in this kernel",
            errno.EOPNOTSUPP: "switched off in this kernel",
            errno.EPERM: "forbidden here, by a container or the unit's SystemCallFilter",
        }
        lacking.append(f"no {what}: {words.get(error.errno or 0, error.strerror)}")
        return 0


def _landlock_version() -> int:
    return _call(_CREATE_RULESET, None, 0, _ASK_VERSION)


def _enter_landlock() -> int:
    version = _landlock_version()
    rights = (_known(table, version) for table in (_FILE_RIGHTS, _TCP_RIGHTS, _SCOPES))
    attributes = struct.pack("=3Q", *rights)
    size = 8 if version < 4 else 16 if version < 6 else 24  # what this version knows of them
    ruleset = _call(_CREATE_RULESET, attributes, size, 0)
    try:
        _call(_RESTRICT_SELF, ruleset, _ALL_THREADS if version >= 8 else 0)
    finally:
        os.close(ruleset)
    return version


def _known(rights: dict[int, int], version: int) -> int:
    return sum(bits for since, bits in rights.items() if since <= version)


def _ask_seccomp() -> bool:
    action = ctypes.c_uint32(call_filter.ERRNO)
    return _call(_machine().seccomp, _ASK_ACTION, 0, ctypes.byref(action)) == 0


def _enter_seccomp() -> bool:
    machine = _machine()
    program = ctypes.create_string_buffer(call_filter.program(machine, os.getpid()))
    # struct sock_fprog: how many instructions, and where
    header = struct.pack("HP", len(program) // 8, ctypes.addressof(program))
    thread = _call(machine.seccomp, _SET_MODE_FILTER, _TSYNC | _SPEC_ALLOW, header)
    if thread:
        raise OSError(errno.EBUSY, f"thread {thread} has a filter of its own")
    return True


def _machine() -> call_filter.Machine:
    machine = call_filter.MACHINES.get(os.uname().machine)
    if machine is None or sys.maxsize < 1 << 32:
        raise OSError(errno.ENOEXEC, "no filter was written for this processor architecture")
    return machine


def _call(number: int, *arguments: object) -> int:
    """A system call.

    Raises:
        OSError: what the system says.
    """
    whole = (ctypes.c_long(x) if isinstance(x, int) else x for x in arguments)
    status = int(_libc.syscall(ctypes.c_long(number), *whole))
    if status < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return status
