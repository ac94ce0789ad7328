"""Which system calls the cage leaves, as a program for the kernel's filter (see seccomp(2)).

What is not listed here fails with EPERM. Knows Linux's calls on x86-64 and arm64.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterable
from dataclasses import dataclass

# Berkeley packet filter, as much of it as is needed.
_LOAD, _EQUAL, _GREATER, _ANY_BIT, _RETURN = 0x20, 0x15, 0x25, 0x45, 0x06
_CALL, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data
_ALLOW, ERRNO = 0x7FFF0000, 0x00050000  # what a filter answers


# Calls that may be made whatever their arguments, each with its numbers on x86-64 and arm64.
FREE = """
read 0 63, write 1 64, readv 19 65, writev 20 66, pread64 17 67, pwrite64 18 68, lseek 8 62,
fstat 5 80, fstatfs 138 44, fsync 74 82, fdatasync 75 83,
sync_file_range 277 84, ftruncate 77 46, fallocate 285 47, fadvise64 221 223, dup 32 23,
close 3 57, sendto 44 206, sendmsg 46 211, recvfrom 45 207, recvmsg 47 212, shutdown 48 210,
poll 7 -, ppoll 271 73, select 23 -, pselect6 270 72,
epoll_create1 291 20, epoll_ctl 233 21, epoll_wait 232 -, epoll_pwait 281 22,

mmap 9 222, munmap 11 215, mprotect 10 226, mremap 25 216, brk 12 214, madvise 28 233,
mincore 27 232,

futex 202 98, futex_waitv 449 449, futex_wake 454 454, futex_wait 455 455, futex_requeue 456 456,
membarrier 324 283, set_tid_address 218 96, set_robust_list 273 99, rseq 334 293,
arch_prctl 158 -, sched_yield 24 124, sched_getaffinity 204 123, sched_getparam 143 121,
sched_getscheduler 145 120, sched_get_priority_max 146 125, sched_get_priority_min 147 126,
getcpu 309 168, exit 60 93, exit_group 231 94,

rt_sigaction 13 134, rt_sigprocmask 14 135, rt_sigreturn 15 139, rt_sigtimedwait 128 137,
sigaltstack 131 132, restart_syscall 219 128, pause 34 -,

nanosleep 35 101, clock_nanosleep 230 115, clock_gettime 228 113, clock_getres 229 114,
gettimeofday 96 169, time 201 -, times 100 153,

getpid 39 172, gettid 186 178, getppid 110 173, getuid 102 174, geteuid 107 175, getgid 104 176,
getegid 108 177, getrlimit 97 163, getrusage 98 165, sysinfo 99 179, uname 63 160,
getrandom 318 278
"""
# Calls that may be made with some arguments only, see `_conditions`.
BOUND = """
clone 56 220, clone3 435 435, kill 62 129, tgkill 234 131, prctl 157 167, prlimit64 302 261,
fcntl 72 25, ioctl 16 29
"""
_NEWEST = 469  # of Linux 6.18

_CLONE_THREAD = 0x10000
_PRCTL = (15, 16, 0x53564D41)  # PR_SET_NAME, PR_GET_NAME, PR_SET_VMA: names of threads and memory
# F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD_CLOEXEC. Not F_SETOWN: it sends signals.
_FCNTL = (0, 1, 2, 3, 4, 1030)
_IOCTL = (0x5421,)  # FIONBIO. Not those of terminals: they can type.


@dataclass(frozen=True)
class Machine:
    """A processor architecture.

    Attributes:
        audit: its number in <linux/audit.h>.
        seccomp: the number of the call seccomp(2).
        column: which of the two numbers in the tables of calls is its own.
    """

    audit: int
    seccomp: int
    column: int


MACHINES = {"x86_64": Machine(0xC000003E, 317, 0), "aarch64": Machine(0xC00000B7, 277, 1)}


def calls(table: str, machine: Machine) -> dict[str, int]:
    """The numbers that a table has for a machine, by the calls' names."""
    rows = (row.split() for row in table.split(","))
    return {row[0]: int(row[1:][machine.column]) for row in rows if row[1:][machine.column] != "-"}


def program(machine: Machine, process: int) -> bytes:
    """The filter as the kernel wants it: 8 bytes an instruction, jumps forward only.

    Args:
        machine: from `MACHINES`.
        process: the only one that signals may be sent to.
    """
    lines = [
        *_load(_ARCHITECTURE),
        _jump(_EQUAL, machine.audit, 1, 0),
        _fail(errno.EPERM),
        *_load(_CALL),
        # The C library does without a call that it takes for unknown. Also all those of x32.
        *_when(_GREATER, _NEWEST, _fail(errno.ENOSYS)),
    ]
    for number in calls(FREE, machine).values():
        lines += _when(_EQUAL, number, _PASS)
    for name, number in calls(BOUND, machine).items():
        lines += _when(_EQUAL, number, *_conditions(name, process))
    return b"".join([*lines, _fail(errno.EPERM)])


def _conditions(name: str, process: int) -> list[bytes]:
    """What decides about a call of `BOUND`, to the end."""
    match name:
        case "clone":  # a thread of this process, but no process
            rule = [*_load(_ARGUMENTS), *_when(_ANY_BIT, _CLONE_THREAD, _PASS)]
        case "clone3":  # its flags lie in memory; the C library then falls back on clone
            rule = [_fail(errno.ENOSYS)]
        case "prlimit64":  # read only: no pointer to new limits, in neither half
            new = _ARGUMENTS + 2 * 8
            rule = [*_load(new), *_when(_EQUAL, 0, *_load(new + 4), *_when(_EQUAL, 0, _PASS))]
        case "prctl":
            rule = _one_of(0, _PRCTL)
        case "fcntl":
            rule = _one_of(1, _FCNTL)
        case "ioctl":
            rule = _one_of(1, _IOCTL)
        case _:  # kill, tgkill
            rule = _one_of(0, (process,))
    return [*rule, _fail(errno.EPERM)]


def _one_of(argument: int, values: Iterable[int]) -> list[bytes]:
    tests = [_when(_EQUAL, value, _PASS) for value in values]
    return [*_load(_ARGUMENTS + 8 * argument), *(line for test in tests for line in test)]


def _when(test: int, value: int, *then: bytes) -> list[bytes]:
    return [_jump(test, value, 0, len(then)), *then]


def _load(offset: int) -> list[bytes]:
    return [_instruction(_LOAD, 0, 0, offset)]


def _jump(test: int, value: int, true: int, false: int) -> bytes:
    return _instruction(test, true, false, value)


def _fail(code: int) -> bytes:
    return _instruction(_RETURN, 0, 0, ERRNO | code)


def _instruction(code: int, true: int, false: int, value: int) -> bytes:
    return struct.pack("=HBBI", code, true, false, value)


_PASS = _instruction(_RETURN, 0, 0, _ALLOW)
