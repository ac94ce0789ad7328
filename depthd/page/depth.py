"""Depth arrays without NumPy: their head, every so many values of them, and a thumbnail.

A thumbnail is made of the depth itself, so that no picture has to be decoded here: some 20,000
values become palette colours. Knows the formats npy and pfm, and how a PNG is written.
"""

from __future__ import annotations

import ast
import base64
import json
import math
import os
import re
import struct
import zlib
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from depthd.page.results import Opened

MOST_VALUES = 1536  # across or down, of what is sent to a browser
_THUMBNAIL = 176  # pixels of the longer side
_HEAD = 4096  # bytes
_MOST_SIDE = 1 << 20
# What a head that means harm makes of Python's reader of literals, and of numbers.
_NO_HEAD = (
    *(ValueError, TypeError, KeyError, SyntaxError),
    *(MemoryError, RecursionError, OverflowError),
)


class NotDepth(Exception):
    """The file is no such array."""


@dataclass(frozen=True)
class Depth:
    """An array in an open file, float32, little-endian.

    Attributes:
        handle: of the file.
        width, height: values.
        start: bytes before them.
        upside_down: the last row comes first.
    """

    handle: int
    width: int
    height: int
    start: int
    upside_down: bool = False

    @classmethod
    def of(cls, opened: Opened) -> Depth:
        """Read the head of an npy or pfm file.

        Raises:
            NotDepth: it is something else, or shorter than its head says.
        """
        head = os.pread(opened.handle, _HEAD, 0)
        found = _npy(opened.handle, head) if head[:6] == b"\x93NUMPY" else _pfm(opened.handle, head)
        if not (0 < found.width < _MOST_SIDE and 0 < found.height < _MOST_SIDE):
            raise NotDepth("impossible size")
        if found.start + 4 * found.width * found.height > opened.size:
            raise NotDepth("too short")
        return found

    def step_for(self, most: int) -> int:
        """Every how many values give at most so many across and down."""
        return max(1, math.ceil(max(self.width, self.height) / most))

    def size_at(self, step: int) -> tuple[int, int]:
        """Width and height of what `rows` gives."""
        return -(-self.width // step), -(-self.height // step)

    def rows(self, step: int) -> Iterator[bytes]:
        """Every step-th value of every step-th row, the top row first.

        Raises:
            NotDepth: the file became shorter.
        """
        length = 4 * self.width
        for row in range(0, self.height, step):
            line = self.height - 1 - row if self.upside_down else row
            data = os.pread(self.handle, length, self.start + line * length)
            if len(data) != length:
                raise NotDepth("too short")
            yield memoryview(data).cast("f")[::step].tobytes() if step > 1 else data


def _npy(handle: int, head: bytes) -> Depth:
    length = int.from_bytes(head[8:10], "little")
    try:
        about = ast.literal_eval(head[10 : 10 + length].decode("latin-1").strip())
        height, width = (int(side) for side in about["shape"])
        if head[6] != 1 or about["descr"] != "<f4" or about["fortran_order"]:
            raise NotDepth("another kind of array")
    except _NO_HEAD as error:
        raise NotDepth("no such head") from error
    return Depth(handle, width, height, 10 + length)


def _pfm(handle: int, head: bytes) -> Depth:
    match = re.match(rb"Pf\n(\d{1,7}) (\d{1,7})\n-\d[\d.]*\n", head)
    if match is None:
        raise NotDepth("no such head")
    return Depth(handle, int(match[1]), int(match[2]), match.end(), upside_down=True)


@cache
def palette(name: str) -> bytes:
    """256 RGB colours, the last for what is nearest; Inferno for an unknown name."""
    table = json.loads((files("depthd.page") / "static/palettes.json").read_bytes())
    return base64.b64decode(table.get(name) or table["inferno"])


def thumbnail(depth: Depth, *, is_metres: bool = False) -> bytes:
    """A PNG of at most 176 pixels across: Inferno from the farthest to the nearest value.

    Args:
        depth: relative inverse depth, or metres.
        is_metres: the smaller is the nearer; what is no number is far.

    Raises:
        NotDepth: the file became shorter.
    """
    step = depth.step_for(_THUMBNAIL)
    width, height = depth.size_at(step)
    values = array("f", b"".join(depth.rows(step)))
    if is_metres:
        values = array("f", [1 / value if value > 0 else 0.0 for value in values])
    finite = [value for value in values if math.isfinite(value)]
    low, high = (min(finite), max(finite)) if finite else (0.0, 0.0)
    scale = 255 / (high - low) if high > low else 0.0
    if len(finite) == len(values):
        indices = bytes([int((value - low) * scale) for value in values])
    else:
        indices = bytes(
            [int((value - low) * scale) if math.isfinite(value) else 0 for value in values]
        )
    lines = b"".join(
        b"\0" + indices[start : start + width] for start in range(0, width * height, width)
    )
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
            _chunk(b"PLTE", palette("inferno")),
            _chunk(b"IDAT", zlib.compress(lines, 6)),
            _chunk(b"IEND", b""),
        )
    )


def _chunk(kind: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(content, zlib.crc32(kind))
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)
