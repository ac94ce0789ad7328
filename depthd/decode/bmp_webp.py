"""BMP and WebP: their structure is read here, their pixels come from Pillow."""

from __future__ import annotations

import io
from collections.abc import Iterator

from PIL import BmpImagePlugin, Image, WebPImagePlugin

from depthd.contract.errors import FaultCode, PhotoError
from depthd.decode.common import Decoded, Format, Header, library, unpack
from depthd.decode.pixels import from_pillow
from depthd.decode.tiff import exif_orientation

_UNCOMPRESSED = (0, 3, 6)
_ANIMATED = 0x02


def _load(image: Image.Image) -> Decoded:
    with library(FaultCode.DAMAGED):
        image.load()
        return from_pillow(image)


def _truncated(data: bytes) -> PhotoError:
    return PhotoError(FaultCode.TRUNCATED, f"ends at byte {len(data)}")


# BMP ------------------------------------------------------------------------------------------


def _bmp_fields(data: bytes) -> tuple[int, int, int, int, int]:
    """Where the pixels start, width, height, bits a pixel, compression."""
    start, header_size = unpack("<II", data, 10)
    if header_size == 12:
        width, height, _, bits = unpack("<HHHH", data, 18)
        return start, width, height, bits, 0
    width, height, _, bits, compression = unpack("<iiHHI", data, 18)
    return start, width, abs(height), bits, compression


def _bmp_header(data: bytes) -> Header:
    _, width, height, bits, _ = _bmp_fields(data)
    if width <= 0 or height == 0 or bits > 32:
        raise PhotoError(FaultCode.DAMAGED, "its header gives no size")
    return Header("bmp", width, height)


def _bmp_decode(data: bytes, _header: Header, _reduce_to: int | None) -> Decoded:
    start, width, height, bits, compression = _bmp_fields(data)
    row = (width * bits + 31) // 32 * 4
    if compression in _UNCOMPRESSED and start + row * height > len(data):
        raise _truncated(data)
    with library(FaultCode.UNSUPPORTED):
        image = BmpImagePlugin.BmpImageFile(io.BytesIO(data))
    return _load(image)


# WebP -----------------------------------------------------------------------------------------


def _webp_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Kind, start and end of each chunk's content."""
    (riff_size,) = unpack("<I", data, 4)
    if riff_size + 8 > len(data):
        raise _truncated(data)
    place = 12
    while place + 8 <= riff_size + 8:
        (length,) = unpack("<I", data, place + 4)
        yield data[place : place + 4], place + 8, place + 8 + length
        place += 8 + length + length % 2


def _webp_header(data: bytes) -> Header:
    orientation, notes = 1, tuple[str, ...]()
    size: tuple[int, int] | None = None
    for kind, start, end in _webp_chunks(data):
        if kind == b"VP8X":
            flags, width, width_high, height, height_high = unpack("<B3xHBHB", data, start)
            size = (width + (width_high << 16) + 1, height + (height_high << 16) + 1)
            if flags & _ANIMATED:
                notes = ("the first picture of an animation was taken",)
        elif kind == b"VP8 " and size is None:
            width, height = unpack("<HH", data, start + 6)
            size = (width & 0x3FFF, height & 0x3FFF)
        elif kind == b"VP8L" and size is None:
            (packed,) = unpack("<I", data, start + 1)
            size = ((packed & 0x3FFF) + 1, (packed >> 14 & 0x3FFF) + 1)
        elif kind == b"EXIF":
            orientation = exif_orientation(data[start:end])
    if size is None:
        raise PhotoError(FaultCode.DAMAGED, "it holds no picture")
    return Header("webp", *size, orientation, notes)


def _webp_decode(data: bytes, _header: Header, _reduce_to: int | None) -> Decoded:
    with library(FaultCode.DAMAGED):
        image = WebPImagePlugin.WebPImageFile(io.BytesIO(data))
    return _load(image)


BMP = Format(_bmp_header, _bmp_decode)
WEBP = Format(_webp_header, _webp_decode)
