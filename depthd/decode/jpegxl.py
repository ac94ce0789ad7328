"""JPEG XL by libjxl: an extra of depthd. Its size is read here, before any pixel is decoded.

Source of the header's bits: ISO/IEC 18181-1, D.2 (SizeHeader) and D.3 (ImageMetadata).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pillow_jxl import Decoder

from depthd.contract.errors import FaultCode, PhotoError
from depthd.decode.boxes import boxes
from depthd.decode.common import Decoded, Header, Reader, library, truncated
from depthd.decode.jpeg import decode_jpeg
from depthd.decode.jpeg_structure import take_apart
from depthd.decode.numbers import from_numbers
from depthd.decode.pixels import from_pillow, from_sixteen_bit, upright

_CODESTREAM = b"\xff\x0a"
_HEADER_BYTES = 32
_SIDE_BITS = (9, 13, 18, 30)
_RATIOS = {1: (1, 1), 2: (12, 10), 3: (4, 3), 4: (3, 2), 5: (16, 9), 6: (5, 4), 7: (2, 1)}
_SIXTEEN_BIT = {"I;16": 1, "LA;16": 2, "RGB;16": 3, "RGBA;16": 4}
_FLOATS = {"F": 1, "LA;F": 2, "RGB;F": 3, "RGBA;F": 4}


class _Bits:
    """Numbers of so many bits, lowest first."""

    def __init__(self, data: bytes) -> None:
        self._number = int.from_bytes(data, "little")
        self._left = 8 * len(data)
        self._data = data

    def take(self, count: int) -> int:
        if count > self._left:
            raise truncated(self._data)
        value = self._number & (1 << count) - 1
        self._number >>= count
        self._left -= count
        return value

    def side(self, *, is_small: bool) -> int:
        if is_small:
            return 8 * (self.take(5) + 1)
        return self.take(_SIDE_BITS[self.take(2)]) + 1

    def size(self) -> tuple[int, int]:
        is_small = bool(self.take(1))
        height = self.side(is_small=is_small)
        ratio = self.take(3)
        if not ratio:
            return self.side(is_small=is_small), height
        across, down = _RATIOS[ratio]
        return height * across // down, height


def _codestream(data: bytes) -> bytes:
    """The first bytes of it; the boxes around it are checked on the way."""
    if data.startswith(_CODESTREAM):
        return data[:_HEADER_BYTES]
    first = b""
    for kind, start, _ in boxes(data):
        if kind in (b"jxlc", b"jxlp") and not first:
            begin = start + 4 * (kind == b"jxlp")
            first = data[begin : begin + _HEADER_BYTES]
    if not first.startswith(_CODESTREAM):
        raise PhotoError(FaultCode.DAMAGED, "it holds no picture")
    return first


def _read_header(data: bytes) -> Header:
    """Libjxl turns pictures upright by the codestream's own rule."""
    bits = _Bits(_codestream(data)[2:])
    width, height = bits.size()
    has_defaults = bits.take(1)
    if not has_defaults and bits.take(1) and bits.take(3) + 1 >= 5:
        width, height = height, width
    return Header("jpegxl", width, height)


def _decode(data: bytes, _header: Header, _reduce_to: int | None) -> Decoded:
    with library(FaultCode.DAMAGED):
        try:
            is_jpeg, info, content, _, _ = Decoder(num_threads=0)(data)
        except RuntimeError as error:  # its words speak of how libjxl was built
            raise PhotoError(FaultCode.DAMAGED, "its picture data cannot be decoded") from error
    if is_jpeg:  # one that was packed into JPEG XL without a change
        jpeg = take_apart(content)
        decoded = decode_jpeg(content, jpeg)
        return Decoded(upright(decoded.pixels, jpeg.orientation), decoded.notes)
    size = (info.height, info.width)
    if info.mode in _SIXTEEN_BIT:
        return from_sixteen_bit(_array(content, np.uint16, size, _SIXTEEN_BIT[info.mode]))
    if info.mode in _FLOATS:
        return from_numbers(_array(content, np.float32, size, _FLOATS[info.mode]))
    with library(FaultCode.UNSUPPORTED):
        image = Image.frombytes(info.mode, (info.width, info.height), content)
    return from_pillow(image)


def _array(content: bytes, kind: type[Any], size: tuple[int, int], channels: int) -> NDArray[Any]:
    with library(FaultCode.DAMAGED):
        return np.frombuffer(content, kind).reshape(*size, channels)


READER = Reader(_read_header, _decode)
