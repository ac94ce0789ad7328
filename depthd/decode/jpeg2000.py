"""JPEG 2000: its main header is read here, its pixels come from Pillow's OpenJPEG."""

from __future__ import annotations

import io

from PIL import Jpeg2KImagePlugin

from depthd.contract.errors import FaultCode, PhotoError
from depthd.decode.boxes import boxes
from depthd.decode.common import Decoded, Header, Reader, library, truncated, unpack
from depthd.decode.pixels import from_pillow

_CODESTREAM = b"\xff\x4f\xff\x51"  # its start, and the marker of its size
_END = b"\xff\xd9"
_MOST_TILES = 10_000
_MOST_BITS = 16


def _codestream(data: bytes) -> tuple[int, int]:
    """Start and end; the file's other boxes are checked on the way."""
    found = (0, len(data))
    if not data.startswith(_CODESTREAM):
        places = [(start, end) for kind, start, end in boxes(data) if kind == b"jp2c"]
        if not places:
            raise PhotoError(FaultCode.DAMAGED, "it holds no picture")
        found = places[0]
    start, end = found
    if data[start : start + 4] != _CODESTREAM:
        raise PhotoError(FaultCode.DAMAGED, "its picture does not begin as one")
    return start, end


def _read_header(data: bytes) -> Header:
    start, end = _codestream(data)
    right, bottom, left, top, tile_width, tile_height, _, _, count = unpack(">8IH", data, start + 8)
    width, height = right - left, bottom - top
    if min(width, height, tile_width, tile_height) <= 0:
        raise PhotoError(FaultCode.DAMAGED, "its header gives no size")
    rows = [unpack("BBB", data, start + 42 + 3 * number) for number in range(min(count, 5))]
    if count > 4 or any((bits & 127) + 1 > _MOST_BITS or bits & 128 for bits, _, _ in rows):
        raise PhotoError(FaultCode.UNSUPPORTED, f"{count} colours, or more than 16 bits of one")
    if -(-width // tile_width) * -(-height // tile_height) > _MOST_TILES:
        raise PhotoError(FaultCode.TOO_COSTLY, f"it has more than {_MOST_TILES} tiles")
    if data[end - 2 : end] != _END:
        raise truncated(data)
    return Header("jpeg2000", width, height)


def _decode(data: bytes, header: Header, _reduce_to: int | None) -> Decoded:
    with library(FaultCode.DAMAGED):
        image = Jpeg2KImagePlugin.Jpeg2KImageFile(io.BytesIO(data))
    if image.size != (header.width, header.height):  # Pillow makes room for what the box says
        width, height = image.size
        raise PhotoError(FaultCode.DAMAGED, f"its box says {width} x {height} pixels")
    return from_pillow(image)


READER = Reader(_read_header, _decode)
