"""HEIF (HEIC) and AVIF, where their decoders are installed: libheif and Pillow's libavif.

HEIC's decoder is an extra of depthd, because its wheels are under the GPL.
"""

from __future__ import annotations

import importlib.util
import io
from typing import TYPE_CHECKING

from PIL import AvifImagePlugin, features

from depthd.contract.errors import FaultCode, PhotoError
from depthd.decode.common import Decoded, Format, Header, library, unpack
from depthd.decode.pixels import from_pillow

if TYPE_CHECKING:
    from pillow_heif import HeifFile

AVIF_BRANDS = (b"avif", b"avis")
HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1", b"mif2")
_ORIENTATION = 0x0112


def _check_boxes(data: bytes) -> None:
    """The top-level boxes end where the file does."""
    place = 0
    while place < len(data):
        (size,) = unpack(">I", data, place)
        if size == 1:
            (size,) = unpack(">Q", data, place + 8)
        if size == 0:  # up to the end of the file
            return
        if size < 8:
            raise PhotoError(FaultCode.DAMAGED, f"a box of {size} bytes at byte {place}")
        place += size
    if place > len(data):
        raise PhotoError(FaultCode.TRUNCATED, f"ends at byte {len(data)}")


def _avif(data: bytes) -> AvifImagePlugin.AvifImageFile:
    if not features.check("avif"):
        raise PhotoError(FaultCode.UNSUPPORTED, "AVIF needs a Pillow with libavif")
    with library(FaultCode.DAMAGED):
        return AvifImagePlugin.AvifImageFile(io.BytesIO(data))


def _avif_header(data: bytes) -> Header:
    _check_boxes(data)
    image = _avif(data)
    with library(FaultCode.DAMAGED):
        orientation = image.getexif().get(_ORIENTATION, 1)
    notes = ("the first picture of a sequence was taken",) * image.is_animated
    return Header("avif", *image.size, orientation if orientation in range(1, 9) else 1, notes)


def _avif_decode(data: bytes, _header: Header, _reduce_to: int | None) -> Decoded:
    image = _avif(data)
    with library(FaultCode.DAMAGED):
        image.load()
        return from_pillow(image)


def _heif(data: bytes) -> HeifFile:
    if importlib.util.find_spec("pillow_heif") is None:
        raise PhotoError(FaultCode.UNSUPPORTED, "HEIC needs 'pip install pillow-heif'")
    import pillow_heif  # noqa: PLC0415 - an extra, and only for those who use it

    with library(FaultCode.DAMAGED):
        return pillow_heif.open_heif(io.BytesIO(data))


def _heif_header(data: bytes) -> Header:
    """Libheif turns pictures upright by the container's own rule; EXIF has no say in HEIF."""
    _check_boxes(data)
    file = _heif(data)
    with library(FaultCode.DAMAGED):
        width, height = file.size
    notes = ("the primary one of several pictures was taken",) * (len(file) > 1)
    return Header("heif", width, height, 1, notes)


def _heif_decode(data: bytes, _header: Header, _reduce_to: int | None) -> Decoded:
    file = _heif(data)
    with library(FaultCode.DAMAGED):
        return from_pillow(file.to_pillow())


AVIF = Format(_avif_header, _avif_decode)
HEIF = Format(_heif_header, _heif_decode)
