"""Boxes, of which HEIF, AVIF, JPEG 2000, JPEG XL and CR3 files are made. Knows their frame only."""

from __future__ import annotations

from collections.abc import Iterator

from depthd.contract.errors import FaultCode, PhotoError
from depthd.decode.common import truncated, unpack

_LONGEST_FTYP = 256  # bytes looked at


def brands(data: bytes) -> list[bytes]:
    """What the leading ftyp box says the file is, major brand first."""
    length = min(int.from_bytes(data[:4], "big"), _LONGEST_FTYP)
    return [data[8:12], *(data[place : place + 4] for place in range(16, length, 4))]


def boxes(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Kind, start and end of the content of each box at the top.

    Raises:
        PhotoError: one is damaged, or ends where the file does not.
    """
    place = 0
    while place < len(data):
        (size,) = unpack(">I", data, place)
        kind, start = data[place + 4 : place + 8], place + 8
        if size == 1:
            (size,) = unpack(">Q", data, place + 8)
            start += 8
        if size == 0:  # up to the end of the file
            size = len(data) - place
        if size < start - place:
            raise PhotoError(FaultCode.DAMAGED, f"a box of {size} bytes at byte {place}")
        yield kind, start, place + size
        place += size
    if place > len(data):
        raise truncated(data)


def check_boxes(data: bytes) -> None:
    """The boxes end where the file does."""
    for _ in boxes(data):
        pass
