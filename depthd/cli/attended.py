"""Work in a process of its own: what it answered counts, however it ends.

For libraries whose native code may abort the process that they are in. The exit code of such a
process says nothing: an abort has none, and others are theirs (1 where Ray has lost its head node).
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType

from depthd.contract.errors import TemporaryError
from depthd.system.parent import die_with, killer

_ENDS = 60.0  # seconds for a process to end that has answered
_STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def attend(command: Sequence[str], order: bytes) -> int:
    """Run a program that calls `answer`.

    The first signal that asks to stop reaches it as SIGINT, the second kills it. One that is
    ignored here, as nohup has SIGHUP, stays so.

    Args:
        command: of the program; two arguments are appended for `answer`.
        order: its standard input.

    Returns:
        What it answered, or as a shell counts, the signal that it was stopped by.

    Raises:
        TemporaryError: it has died without an answer.
    """
    answers, told = os.pipe()
    with open(answers, "rb") as reader:
        try:
            child = subprocess.Popen(
                [*command, str(told), str(os.getpid())],
                stdin=subprocess.PIPE,
                pass_fds=[told],
                start_new_session=True,  # a terminal's Ctrl-C comes once, from here
            )
        finally:
            os.close(told)
        with _passed_on(child) as signals:
            _give(child, order)
            answer = reader.readline()
            _wait_for_end(child, is_over=bool(answer))
    if signals:
        return 128 + signals[0]
    if answer:
        return int(answer)
    code = child.returncode
    how = f"was killed by {killer(code)}" if code < 0 else f"ended with code {code}"
    raise TemporaryError(
        f"the process that did the work {how} before it was done",
        "run it again; it does what is missing",
    )


def answer(work: Callable[[bytes], int]) -> None:
    """Do the work that `attend` has ordered; to be called last of all in a program.

    Args:
        work: takes the order and returns the answer; everything that it says is said.
    """
    told, parent = map(int, sys.argv[-2:])
    os.set_inheritable(told, False)
    die_with(parent)
    # A shell's job in the background begins with SIGINT ignored; here it comes from `attend` alone.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    code = work(sys.stdin.buffer.read())
    os.write(told, b"%d\n" % code)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # nobody needs the words of a library that aborts


@contextmanager
def _passed_on(child: subprocess.Popen[bytes]) -> Iterator[list[int]]:
    """The signals that have come meanwhile, each passed on."""
    came: list[int] = []

    def pass_on(number: int, _frame: FrameType | None) -> None:
        came.append(number)
        child.send_signal(signal.SIGINT if len(came) == 1 else signal.SIGKILL)

    heeded = [number for number in _STOPS if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, pass_on) for number in heeded}
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _give(child: subprocess.Popen[bytes], order: bytes) -> None:
    assert child.stdin is not None  # noqa: S101 - it was asked for
    with suppress(BrokenPipeError), child.stdin:
        child.stdin.write(order)


def _wait_for_end(child: subprocess.Popen[bytes], *, is_over: bool) -> None:
    try:
        child.wait(_ENDS if is_over else None)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
