"""The filter's program, run by an interpreter of our own: so arm64's is tested on any machine."""

from __future__ import annotations

import errno
import re
import struct
from pathlib import Path

import pytest

from depthd.system import call_filter
from depthd.system.call_filter import MACHINES, Machine

ALLOWED = "allowed"
PROCESS = 4321
HEADERS = {
    "x86_64": Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
    "aarch64": Path("/usr/include/asm-generic/unistd.h"),  # arm64 has the generic numbers
}


@pytest.fixture(params=MACHINES)
def machine(request: pytest.FixtureRequest) -> Machine:
    return MACHINES[request.param]


def answer(machine: Machine, call: int, *arguments: int, audit: int | None = None) -> str:
    """What the kernel would do, with the semantics of bpf(4) for the five instructions used."""
    program = call_filter.program(machine, PROCESS)
    lines = list(struct.iter_unpack("=HBBI", program))
    whole = [*arguments, *[0] * (6 - len(arguments))]
    data = struct.pack("=iIQ6Q", call, machine.audit if audit is None else audit, 0, *whole)
    loaded = at = 0
    while True:
        code, true, false, value = lines[at]
        at += 1
        match code:
            case 0x20:
                (loaded,) = struct.unpack_from("=I", data, value)
            case 0x15:
                at += true if loaded == value else false
            case 0x25:
                at += true if loaded > value else false
            case 0x45:
                at += true if loaded & value else false
            case 0x06:
                return ALLOWED if value == 0x7FFF0000 else errno.errorcode[value & 0xFFFF]
            case _:
                pytest.fail(f"an instruction {code:#x}")


def bound(machine: Machine, name: str) -> int:
    return call_filter.calls(call_filter.BOUND, machine)[name]


@pytest.mark.parametrize("name", MACHINES)
def test_the_numbers_are_the_kernels(name: str) -> None:
    if not HEADERS[name].exists():
        pytest.skip(f"needs {HEADERS[name]}, from linux-libc-dev")
    text = HEADERS[name].read_text()
    kernel = {
        call: int(number) for call, number in re.findall(r"#define __NR(?:3264)?_(\w+) (\d+)", text)
    }
    newest = max(kernel.values())
    for table in (call_filter.FREE, call_filter.BOUND):
        ours = call_filter.calls(table, MACHINES[name])
        # The C library's headers may be older than the last calls listed.
        known = {call: number for call, number in ours.items() if number <= newest}
        assert known.items() <= kernel.items()
        assert {call for call in ours if call in kernel} == set(known)
    assert MACHINES[name].seccomp == kernel["seccomp"]


def test_every_call_is_allowed_if_and_only_if_it_is_listed(machine: Machine) -> None:
    free = set(call_filter.calls(call_filter.FREE, machine).values())
    asked = {call for call in range(470) if answer(machine, call) == ALLOWED}
    # With arguments of 0, these of the others go too: F_DUPFD, and to read limits.
    assert asked == free | {bound(machine, "fcntl"), bound(machine, "prlimit64")}
    refused = {answer(machine, call) for call in range(470)} - {ALLOWED}
    assert refused == {"EPERM", "ENOSYS"}


def test_calls_of_later_kernels_and_of_x32_are_unknown(machine: Machine) -> None:
    assert answer(machine, 470) == "ENOSYS"
    assert answer(machine, 0x40000000) == "ENOSYS"
    assert answer(machine, -1) == "ENOSYS"


def test_another_architectures_calls_are_refused(machine: Machine) -> None:
    read = call_filter.calls(call_filter.FREE, machine)["read"]
    assert answer(machine, read) == ALLOWED
    assert answer(machine, read, audit=0x40000003) == "EPERM"  # 32 bits by int 0x80


def test_threads_but_no_processes(machine: Machine) -> None:
    thread, process = 0x3D0F00, 0x01200011  # flags of pthread_create and of fork in glibc
    assert answer(machine, bound(machine, "clone"), thread) == ALLOWED
    assert answer(machine, bound(machine, "clone"), process) == "EPERM"
    assert answer(machine, bound(machine, "clone3"), 0x7F0000000000, 88) == "ENOSYS"


def test_limits_are_read_and_not_set(machine: Machine) -> None:
    number = bound(machine, "prlimit64")
    assert answer(machine, number, 0, 7, 0, 0x7F0000001000) == ALLOWED
    assert answer(machine, number, 0, 7, 0x00001000) == "EPERM"
    assert answer(machine, number, 0, 7, 0x7F0000000000) == "EPERM"  # its lower half is 0


@pytest.mark.parametrize("name", ["kill", "tgkill"])
def test_signals_go_to_itself(machine: Machine, name: str) -> None:
    assert answer(machine, bound(machine, name), PROCESS, PROCESS) == ALLOWED
    for other in (1, 0, PROCESS + 1, 2**64 - 1, 2**64 - PROCESS):
        assert answer(machine, bound(machine, name), other, PROCESS) == "EPERM"


@pytest.mark.parametrize(
    ("name", "goes", "fails"),
    [
        ("fcntl", [0, 1, 2, 3, 4, 1030], [8, 10, 15, 1024, 1026, 1033]),
        ("ioctl", [0x5421], [0x5401, 0x5412, 0x8901, 0x40049409]),
    ],
)
def test_what_a_descriptor_is_told(
    machine: Machine, name: str, goes: list[int], fails: list[int]
) -> None:
    for command in goes:
        assert answer(machine, bound(machine, name), 3, command) == ALLOWED
    for command in fails:
        assert answer(machine, bound(machine, name), 3, command) == "EPERM"


def test_names_are_all_that_prctl_sets(machine: Machine) -> None:
    allowed = [n for n in range(1, 100) if answer(machine, bound(machine, "prctl"), n) == ALLOWED]
    assert allowed == [15, 16]
