"""What the worker writes to its standard error: libraries' warnings, a crash's last words.

Nobody may write to the daemon's own standard error but the log, so the worker gets a pipe instead.
Knows bytes and lines, nothing of what they say. However much comes, memory and each turn of the
caller stay bounded; how often a line reaches the log is the log's business.
"""

from __future__ import annotations

import os

_LONGEST = 500  # bytes of a line that are kept
_PIECE = 1 << 12  # bytes
_PIECES = 64  # at most in one turn
_LINES = 100  # after which a turn takes no further piece


class WorkerWords:
    """The reading end of the pipe. The writing end is for the worker alone.

    Attributes:
        writer: descriptor to be the worker's standard error; close it with `hand_over` once the
            worker has it, else the end is never seen.
        ended: whether nothing more will come.
    """

    def __init__(self) -> None:
        self._reader, self.writer = os.pipe()
        os.set_blocking(self._reader, False)
        self._line = bytearray()
        self._cut = 0
        self.ended = False

    def fileno(self) -> int:
        return self._reader

    def hand_over(self) -> None:
        """Close our copy of the writing end."""
        if self.writer >= 0:
            os.close(self.writer)
        self.writer = -1

    def read(self) -> list[str]:
        """The lines that are complete by now; with the end also one that is not.

        Call it when the descriptor is readable, and after the worker's death until `ended`. Never
        waits. Empty lines are passed over.
        """
        lines: list[str] = []
        for _ in range(_PIECES):
            try:
                piece = os.read(self._reader, _PIECE)
            except BlockingIOError:
                break
            if not piece:
                self.ended = True
                self._finish(lines)
                break
            *whole, rest = piece.split(b"\n")
            for part in whole:
                self._add(part)
                self._finish(lines)
            self._add(rest)
            if len(lines) >= _LINES:
                break
        return lines

    def close(self) -> None:
        """Let go; what the worker still says is lost."""
        self.ended = True
        os.close(self._reader)
        self.hand_over()

    def _add(self, part: bytes) -> None:
        room = _LONGEST - len(self._line)
        self._line += part[:room]
        self._cut += len(part[room:])

    def _finish(self, lines: list[str]) -> None:
        text = self._line.decode(errors="backslashreplace").strip()
        if text:
            lines.append(f"{text} ... ({self._cut} bytes more)" if self._cut else text)
        self._line.clear()
        self._cut = 0
