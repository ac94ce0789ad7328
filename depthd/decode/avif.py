"""AVIF, where Pillow has libavif. Its picture data carry no checksum."""

from __future__ import annotations

import io

from PIL import AvifImagePlugin, features

from depthd.contract.errors import FaultCode
from depthd.decode.boxes import check_boxes
from depthd.decode.common import Decoded, Header, Reader, library
from depthd.decode.pixels import from_pillow, orientation_of

if not features.check("avif"):
    raise ImportError("AVIF needs a Pillow with libavif")


def _open(data: bytes) -> AvifImagePlugin.AvifImageFile:
    with library(FaultCode.DAMAGED):
        return AvifImagePlugin.AvifImageFile(io.BytesIO(data))


def _read_header(data: bytes) -> Header:
    check_boxes(data)
    image = _open(data)
    with library(FaultCode.DAMAGED):
        orientation = orientation_of(image)
    notes = ("the first picture of a sequence was taken",) * image.is_animated
    return Header("avif", *image.size, orientation, notes)


def _decode(data: bytes, _header: Header, _reduce_to: int | None) -> Decoded:
    return from_pillow(_open(data))


READER = Reader(_read_header, _decode)
