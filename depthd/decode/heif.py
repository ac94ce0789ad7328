"""HEIF (HEIC) by libheif: an extra of depthd, because its wheels are under the GPL.

Its picture data carry no checksum: damage that libheif can decode is not seen.
"""

from __future__ import annotations

import io

import pillow_heif

from depthd.contract.errors import FaultCode
from depthd.decode.boxes import check_boxes
from depthd.decode.common import Decoded, Header, Reader, library
from depthd.decode.pixels import from_pillow


def _open(data: bytes) -> pillow_heif.HeifFile:
    with library(FaultCode.DAMAGED):
        return pillow_heif.open_heif(io.BytesIO(data))


def _read_header(data: bytes) -> Header:
    """Libheif turns pictures upright by the container's own rule; EXIF has no say in HEIF."""
    check_boxes(data)
    file = _open(data)
    with library(FaultCode.DAMAGED):
        width, height = file.size
    notes = ("the primary one of several pictures was taken",) * (len(file) > 1)
    return Header("heif", width, height, 1, notes)


def _decode(data: bytes, _header: Header, _reduce_to: int | None) -> Decoded:
    file = _open(data)
    with library(FaultCode.DAMAGED):
        image = file.to_pillow()
    return from_pillow(image)


READER = Reader(_read_header, _decode)
