"""BMP: its structure is read here, its pixels come from Pillow."""

from __future__ import annotations

import io

from PIL import BmpImagePlugin

from depthd.contract.errors import FaultCode, PhotoError
from depthd.decode.common import Decoded, Header, Reader, library, truncated, unpack
from depthd.decode.pixels import from_pillow

_UNCOMPRESSED = (0, 3, 6)


def _fields(data: bytes) -> tuple[int, int, int, int, int]:
    """Where the pixels start, width, height, bits a pixel, compression."""
    start, header_size = unpack("<II", data, 10)
    if header_size == 12:
        width, height, _, bits = unpack("<HHHH", data, 18)
        return start, width, height, bits, 0
    width, height, _, bits, compression = unpack("<iiHHI", data, 18)
    return start, width, abs(height), bits, compression


def _read_header(data: bytes) -> Header:
    _, width, height, bits, _ = _fields(data)
    if width <= 0 or height == 0 or bits > 32:
        raise PhotoError(FaultCode.DAMAGED, "its header gives no size")
    return Header("bmp", width, height)


def _decode(data: bytes, _header: Header, _reduce_to: int | None) -> Decoded:
    start, width, height, bits, compression = _fields(data)
    row = (width * bits + 31) // 32 * 4
    if compression in _UNCOMPRESSED and start + row * height > len(data):
        raise truncated(data)
    with library(FaultCode.UNSUPPORTED):
        image = BmpImagePlugin.BmpImageFile(io.BytesIO(data))
    return from_pillow(image)


READER = Reader(_read_header, _decode)
