"""GIF: its blocks are walked here, the pixels of its first picture come from Pillow."""

from __future__ import annotations

import io
from dataclasses import dataclass

from PIL import GifImagePlugin

from depthd.contract.errors import FaultCode, PhotoError
from depthd.decode.common import Decoded, Header, Reader, library, unpack
from depthd.decode.pixels import from_pillow

_EXTENSION, _IMAGE, _TRAILER = 0x21, 0x2C, 0x3B


@dataclass(frozen=True)
class _Picture:
    """Where a picture lies on the screen, in pixels, and where it ends in the file."""

    right: int
    bottom: int
    end: int


def _after_blocks(data: bytes, place: int) -> int:
    """The place after a chain of data blocks."""
    while True:
        (length,) = unpack("B", data, place)
        place += 1 + length
        if not length:
            return place


def _table(flags: int) -> int:
    """Bytes of a colour table."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _next_picture(data: bytes, place: int) -> _Picture | None:
    """The first picture from a place on; None where the file says that there is none.

    Raises:
        PhotoError: the file ends within it.
    """
    while True:
        (kind,) = unpack("B", data, place)
        if kind == _EXTENSION:
            place = _after_blocks(data, place + 2)
        elif kind == _IMAGE:
            left, top, width, height, flags = unpack("<HHHHB", data, place + 1)
            end = _after_blocks(data, place + 11 + _table(flags))
            return _Picture(left + width, top + height, end)
        elif kind in (0, _TRAILER):
            return None
        else:
            raise PhotoError(FaultCode.DAMAGED, f"an unknown block at byte {place}")


def _has_more(data: bytes, place: int) -> bool:
    try:
        return _next_picture(data, place) is not None
    except PhotoError:
        return True


def _read_header(data: bytes) -> Header:
    width, height, flags = unpack("<HHB", data, 6)
    first = _next_picture(data, 13 + _table(flags))
    if first is None:
        raise PhotoError(FaultCode.DAMAGED, "it holds no picture")
    width, height = max(width, first.right), max(height, first.bottom)
    if not width or not height:
        raise PhotoError(FaultCode.DAMAGED, "its header gives no size")
    more = first.end < len(data) and _has_more(data, first.end)
    notes = ("the first picture of an animation was taken",) * more
    return Header("gif", width, height, 1, notes)


def _decode(data: bytes, _header: Header, _reduce_to: int | None) -> Decoded:
    with library(FaultCode.DAMAGED):
        image = GifImagePlugin.GifImageFile(io.BytesIO(data))
    return from_pillow(image)


READER = Reader(_read_header, _decode)
