"""What a child process says on standard error arrives as lines, and never floods."""

from __future__ import annotations

import fcntl
import os
import select
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from depthd.supervisor.worker_words import WorkerWords

DEADLINE = 20.0  # seconds


@pytest.fixture
def words() -> Iterator[WorkerWords]:
    with closing(WorkerWords()) as words:
        yield words


def everything(words: WorkerWords) -> list[str]:
    lines = []
    while not words.ended:
        readable, _, _ = select.select([words], [], [], DEADLINE)
        assert readable, lines
        lines += words.read()
    return lines


def test_a_childs_words_to_its_end(words: WorkerWords) -> None:
    code = "import os; os.write(2, b'one\\n\\n  two \\xff\\nthree'); os.abort()"
    with subprocess.Popen([sys.executable, "-c", code], stderr=words.writer) as child:
        words.hand_over()
        assert everything(words) == ["one", r"two \xff", "three"]
        assert child.wait(DEADLINE) < 0


def test_it_never_waits(words: WorkerWords) -> None:
    assert words.read() == []
    os.write(words.writer, b"half a ")
    assert words.read() == []
    os.write(words.writer, b"line\nand")
    assert words.read() == ["half a line"]
    assert not words.ended


def test_a_line_without_an_end_takes_no_memory(words: WorkerWords) -> None:
    size = 10_000_000
    piece = bytes(65536).replace(b"\0", b"x")

    def shout() -> None:
        left = size
        while left:
            left -= os.write(words.writer, piece[:left])
        os.write(words.writer, b"\nquiet\n")
        words.hand_over()

    shouting = threading.Thread(target=shout)
    shouting.start()
    long, short = everything(words)
    shouting.join()
    assert long == f"{'x' * 500} ... ({size - 500} bytes more)"
    assert short == "quiet"


def test_one_turn_takes_no_more_than_its_share(words: WorkerWords) -> None:
    line = b"again and again\n"  # 16 bytes
    fcntl.fcntl(words.writer, fcntl.F_SETPIPE_SZ, 1 << 20)
    assert os.write(words.writer, line * 65536) == 1 << 20
    words.hand_over()
    assert len(words.read()) <= 4 * 65536 / len(line)
    assert not words.ended
    assert len(everything(words)) >= 65536 - 4 * 65536 / len(line)


def test_a_flood_of_short_lines_comes_in_many_turns(words: WorkerWords) -> None:
    os.write(words.writer, b"x\n" * 30_000)
    words.hand_over()
    turns = []
    while not words.ended:
        turns.append(len(words.read()))
    assert sum(turns) == 30_000
    assert max(turns) < 5000
