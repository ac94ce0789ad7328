"""WebP: its structure is read here, its pixels come from Pillow.

Its picture data carry no checksum: damage that libwebp can decode is not seen.
"""

from __future__ import annotations

import io
from collections.abc import Iterator

from PIL import WebPImagePlugin

from depthd.contract.errors import FaultCode, PhotoError
from depthd.decode.common import Decoded, Header, Reader, library, truncated, unpack
from depthd.decode.pixels import from_pillow
from depthd.decode.tiff_directory import exif_orientation

_ANIMATED = 0x02


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Kind, start and end of each chunk's content."""
    (riff_size,) = unpack("<I", data, 4)
    if riff_size + 8 > len(data):
        raise truncated(data)
    place = 12
    while place + 8 <= riff_size + 8:
        (length,) = unpack("<I", data, place + 4)
        yield data[place : place + 4], place + 8, place + 8 + length
        place += 8 + length + length % 2


def _read_header(data: bytes) -> Header:
    orientation, notes = 1, tuple[str, ...]()
    size: tuple[int, int] | None = None
    for kind, start, end in _chunks(data):
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


def _decode(data: bytes, _header: Header, _reduce_to: int | None) -> Decoded:
    with library(FaultCode.DAMAGED):
        image = WebPImagePlugin.WebPImageFile(io.BytesIO(data))
    return from_pillow(image)


READER = Reader(_read_header, _decode)
