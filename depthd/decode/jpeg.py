"""JPEG by simplejpeg, which is libjpeg-turbo with its warnings: it alone says what was lost.

Other libraries fill what is missing with grey, and call that success.
"""

from __future__ import annotations

import re

import numpy as np
import simplejpeg
from PIL import Image

from depthd.contract.errors import FaultCode, PhotoError
from depthd.decode.common import Decoded, Header, Pixels, Reader, library
from depthd.decode.jpeg_structure import Frame, Jpeg, take_apart, tidied
from depthd.decode.pixels import from_pillow

_END = b"\xff\xd9"
_REDUCTIONS = (8, 4, 2)
_HOLE = bytes(32)
_LEFT_OVER = re.compile(r"(\d+) extraneous bytes before marker 0xd9")
_FEW = 2  # bytes; of damaged data more are left over, nearly always


def _read_header(data: bytes) -> Header:
    jpeg = take_apart(data)
    frame = jpeg.frame
    return Header(
        "jpeg", frame.width, frame.height, jpeg.orientation, jpeg.notes, passes=jpeg.passes
    )


def _decode(data: bytes, _header: Header, reduce_to: int | None) -> Decoded:
    return decode_jpeg(data, take_apart(data), reduce_to)


def decode_jpeg(data: bytes, jpeg: Jpeg, reduce_to: int | None = None) -> Decoded:
    """Pixels of a file that was taken apart.

    Raises:
        PhotoError: libjpeg warns of anything that may have changed the picture.
    """
    notes: tuple[str, ...] = ()
    code = FaultCode.DAMAGED
    if not jpeg.ended:
        code = FaultCode.TRUNCATED
        if data.endswith(_HOLE):
            raise PhotoError(code, "zero bytes stand where its end should be")
        notes = ("its end marker is missing",)
        data += _END
    is_cmyk = len(jpeg.frame.sampling) == 4
    smallest = _smallest(jpeg.frame, reduce_to)
    try:
        pixels = _decode_strictly(data, smallest, is_cmyk=is_cmyk)
    except ValueError as error:
        pixels = _decode_tidied(data, jpeg, smallest, str(error), code, is_cmyk=is_cmyk)
        notes = (*notes, "bytes that belong to no part of it were passed over")
    if is_cmyk:  # stored inverted, as Adobe does and everybody after it
        decoded = from_pillow(Image.fromarray(255 - pixels, mode="CMYK"))
        return Decoded(decoded.pixels, notes + decoded.notes)
    return Decoded(pixels, notes)


def _decode_tidied(
    data: bytes,
    jpeg: Jpeg,
    smallest: tuple[int, int],
    complaint: str,
    code: FaultCode,
    *,
    is_cmyk: bool,
) -> Pixels:
    """Cameras leave bytes between the parts; what is left of the file must be without fault."""
    found = _LEFT_OVER.search(complaint)
    left_over = int(found[1]) if found else 0
    if left_over > _FEW and not _is_padding(data, jpeg.end, left_over):
        raise PhotoError(code, complaint)
    tidy = tidied(data, jpeg, left_over)
    if tidy == data:
        raise PhotoError(code, complaint)
    with library(code):
        return _decode_strictly(tidy, smallest, is_cmyk=is_cmyk)


def _is_padding(data: bytes, end: int, count: int) -> bool:
    """Whether so many bytes are zeros, and not the rest of a hole that was decoded."""
    zeros = len(data[:end]) - len(data[:end].rstrip(b"\0"))
    return count <= zeros < len(_HOLE)


def _decode_strictly(data: bytes, smallest: tuple[int, int], *, is_cmyk: bool) -> Pixels:
    """Raises ValueError at the least warning."""
    width, height = smallest
    colours = "CMYK" if is_cmyk else "RGB"
    try:
        pixels = simplejpeg.decode_jpeg(data, colours, min_width=width, min_height=height)
    except ValueError as error:
        if "memory" in str(error):
            raise MemoryError(str(error)) from error
        raise
    return np.asarray(pixels, np.uint8)


def _smallest(frame: Frame, reduce_to: int | None) -> tuple[int, int]:
    """Width and height by the strongest reduction that keeps `reduce_to` pixels; 0 is no limit."""
    longest = max(frame.width, frame.height)
    for factor in _REDUCTIONS:
        if reduce_to is not None and longest // factor >= reduce_to:
            return -(-frame.width // factor), -(-frame.height // factor)
    return 0, 0


READER = Reader(_read_header, _decode)
