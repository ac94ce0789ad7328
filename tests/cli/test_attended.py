"""Work in a process of its own: what counts when that process, or the one before it, ends oddly."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from depthd.cli import attended
from depthd.cli.attended import attend
from depthd.contract.errors import TemporaryError

BEGIN = "import os, signal, sys, threading, time\nfrom depthd.cli.attended import answer, attend\n"


def program(text: str) -> list[str]:
    return [sys.executable, "-P", "-c", BEGIN + text]


def test_the_answer_counts_and_not_how_its_process_ends(capfd: pytest.CaptureFixture[str]) -> None:
    said = "def work(order):\n    print(order.decode(), flush=True)\n    return 66\nanswer(work)\n"
    for end in ("", "sys.exit(3)", "os.write(2, b'Check failed')\nos.abort()"):
        assert attend(program(said + end), b"an order") == 66
    shown = capfd.readouterr()
    assert shown.out == "an order\n" * 3
    assert shown.err == ""


@pytest.mark.parametrize(
    ("end", "words"),
    [
        ("os.abort()", "was killed by SIGABRT"),
        ("os.kill(os.getpid(), 35)", "was killed by signal 35"),
        ("os._exit(1)", "ended with code 1"),
        ("raise SystemExit", "ended with code 0"),
    ],
)
def test_one_that_dies_without_an_answer_is_said(end: str, words: str) -> None:
    with pytest.raises(TemporaryError, match=f"the process that did the work {words}"):
        attend(program(f"def work(order):\n    {end}\nanswer(work)"), b"x" * 1_000_000)


def test_one_that_has_answered_and_hangs_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attended, "_ENDS", 0.01)
    assert attend(program("answer(lambda order: 5)\nthreading.Event().wait()"), b"") == 5


WAITS = """
def work(order):
    try:
        print("at work", os.getpid(), flush=True)
        threading.Event().wait()
    except KeyboardInterrupt:
        print("tidied up", flush=True)
        if order == b"twice":
            threading.Event().wait()
    return 130
answer(work)
"""


# Whatever the tests were started by; and as `nohup` has it in the background of a script.
HEEDED = "for n in (1, 2, 15): signal.signal(n, signal.SIG_DFL)\n"
IN_BACKGROUND = "for n in (1, 2): signal.signal(n, signal.SIG_IGN)\n"


def attending(order: str, before: str = HEEDED) -> subprocess.Popen[str]:
    text = f"{before}print(attend({program(WAITS)!r}, {order.encode()!r}))"
    started = subprocess.Popen(program(text), stdout=subprocess.PIPE, text=True)
    assert started.stdout is not None
    return started


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_lets_it_tidy_up(number: signal.Signals) -> None:
    with attending("once") as started:
        assert started.stdout is not None
        assert started.stdout.readline().startswith("at work")
        started.send_signal(number)
        assert started.stdout.read() == f"tidied up\n{128 + number}\n"


def test_in_the_background_it_is_stopped_by_sigterm_only() -> None:
    with attending("once", IN_BACKGROUND) as started:
        assert started.stdout is not None
        assert started.stdout.readline().startswith("at work")
        started.send_signal(signal.SIGHUP)
        started.send_signal(signal.SIGINT)
        started.send_signal(signal.SIGTERM)
        assert started.stdout.read() == f"tidied up\n{128 + signal.SIGTERM}\n"


def test_a_second_signal_kills_it() -> None:
    with attending("twice") as started:
        assert started.stdout is not None
        started.stdout.readline()
        started.send_signal(signal.SIGTERM)
        assert started.stdout.readline() == "tidied up\n"
        started.send_signal(signal.SIGTERM)
        assert started.stdout.read() == "143\n"


def test_it_dies_with_the_one_that_attends() -> None:
    with attending("once") as started:
        assert started.stdout is not None
        started.stdout.readline()
        started.kill()
        assert started.stdout.read() == ""  # the end: nobody has it open any more
