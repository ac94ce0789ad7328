"""PNG: chunks are checked here and only those that make the picture reach a decoder.

So text, profiles and animations can be as large and as compressed as they like: nobody unpacks
them. (The writer of depthd's own pictures is `png_writer`.)
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator

import cv2
import numpy as np
from PIL import PngImagePlugin

from depthd.contract.errors import FaultCode, PhotoError
from depthd.decode.common import Decoded, Header, Reader, library, truncated, unpack
from depthd.decode.pixels import from_opencv, from_pillow, from_sixteen_bit
from depthd.decode.tiff_directory import exif_orientation

_MAGIC = b"\x89PNG\r\n\x1a\n"
_PICTURE = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Kind, start and end (of the whole chunk) up to IEND; what follows that is not PNG."""
    place, kind = len(_MAGIC), b""
    while kind != b"IEND":
        (length,) = unpack(">I", data, place)
        kind = data[place + 4 : place + 8]
        end = place + 12 + length
        if end > len(data):
            raise truncated(data)
        yield kind, place, end
        place = end


def _read_header(data: bytes) -> Header:
    kind = data[12:16]
    width, height = unpack(">II", data, 16)
    if kind != b"IHDR" or not width or not height:
        raise PhotoError(FaultCode.DAMAGED, "its header gives no size")
    orientation, notes = 1, tuple[str, ...]()
    for kind, start, end in _chunks(data):
        if kind == b"eXIf":
            orientation = exif_orientation(data[start + 8 : end - 4])
        elif kind == b"acTL":
            notes = ("the still picture of an animation was taken",)
    return Header("png", width, height, orientation, notes)


def _decode(data: bytes, _header: Header, _reduce_to: int | None) -> Decoded:
    kept = [_MAGIC]
    for kind, start, end in _chunks(data):
        if kind in _PICTURE:
            chunk = data[start:end]
            if zlib.crc32(chunk[4:-4]) != int.from_bytes(chunk[-4:], "big"):
                raise PhotoError(FaultCode.DAMAGED, f"chunk {kind.decode()} fails its checksum")
            kept.append(chunk)
    picture = b"".join(kept)
    with library(FaultCode.DAMAGED):
        image = PngImagePlugin.PngImageFile(io.BytesIO(picture))
    if data[24] != 16:
        return from_pillow(image)
    with library(FaultCode.DAMAGED):
        # Pillow cuts colours to 8 bits before anyone sees their range; here it checks the data.
        image.load()
        values = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_UNCHANGED)
    if values is None or values.dtype != np.uint16:
        raise PhotoError(FaultCode.DAMAGED, "its 16-bit picture data cannot be read")
    return from_sixteen_bit(np.asarray(from_opencv(values), np.uint16))


READER = Reader(_read_header, _decode)
