"""TIFF: directory and parts are checked first, then the pixels come from Pillow or OpenCV.

OpenCV reads what has more than 8 bits a colour, which Pillow cuts off or refuses.
"""

from __future__ import annotations

import ctypes
import io
import struct
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import ImageCms, TiffImagePlugin

from depthd.contract.errors import FaultCode, PhotoError
from depthd.decode.common import Decoded, Header, Reader, library
from depthd.decode.numbers import from_numbers
from depthd.decode.pixels import from_opencv, from_pillow, from_sixteen_bit
from depthd.decode.tiff_directory import (
    HEIGHT,
    ORIENTATION,
    PHOTOMETRIC,
    TYPES,
    WIDTH,
    Directory,
    read_directory,
)
from depthd.decode.tiff_parts import check_deflate, check_jpeg, find_parts

_BITS, _COMPRESSION, _SAMPLES, _PLANES = 258, 259, 277, 284
_EXTRA_SAMPLES, _SAMPLE_FORMAT = 338, 339
_RGB, _PREMULTIPLIED = 2, 1
_UNSIGNED, _SIGNED, _FLOAT, _UNDEFINED = 1, 2, 3, 4
_JPEG, _DEFLATE = 7, (8, 32946)
# Neither LZMA, which takes seconds for what others do at once, nor the JPEG of before 1995.
_COMPRESSIONS = (1, 2, 3, 4, 5, _JPEG, *_DEFLATE, 32771, 32773, 50000)
_SUB_DIRECTORIES = (34665, 34853, 40965)  # EXIF, GPS, interoperability
_NUMBERS = {(_UNSIGNED, 32), (_SIGNED, 16), (_SIGNED, 32), (_FLOAT, 32), (_FLOAT, 64)}
_KINDS = {_UNSIGNED: "whole", _SIGNED: "signed", _FLOAT: "floating-point"}


def _read_header(data: bytes) -> Header:
    directory = read_directory(data)
    width, height = directory.number(WIDTH), directory.number(HEIGHT)
    if not width or not height:
        raise PhotoError(FaultCode.DAMAGED, "it gives no size")
    notes = ("the first of several pictures was taken",) * (directory.next != 0)
    return Header("tiff", width, height, directory.orientation, notes)


def _decode(data: bytes, _header: Header, _reduce_to: int | None) -> Decoded:
    directory = read_directory(data)
    are_numbers = _check_kind(directory)
    compression = directory.number(_COMPRESSION, 1)
    parts = find_parts(directory, compression)
    if compression in _DEFLATE:
        check_deflate(parts)
    if compression == _JPEG:
        check_jpeg(parts)
    code = FaultCode.DAMAGED if parts.are_whole else FaultCode.TRUNCATED
    data = _unturned(directory)
    if are_numbers:
        return from_numbers(_by_opencv(data, code))
    if _has_wide_colours(directory):
        return from_sixteen_bit(np.asarray(_by_opencv(data, code), np.uint16))
    return _by_pillow(data, code)


def _by_pillow(data: bytes, code: FaultCode) -> Decoded:
    with library(FaultCode.UNSUPPORTED):
        image = TiffImagePlugin.TiffImageFile(io.BytesIO(data))
    with library(code):
        image.load()
        lab = ImageCms.applyTransform(image, _LAB_TO_SRGB) if image.mode == "LAB" else None
        return from_pillow(lab or image)


def _lab_to_srgb() -> ImageCms.ImageCmsTransform:
    lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    return ImageCms.buildTransform(lab, srgb, "LAB", "RGB")


def _silence_libtiff() -> None:
    """Pillow's libtiff would write its errors to standard error; it says enough to Pillow."""
    mapped = Path("/proc/self/maps").read_text(encoding="utf-8", errors="surrogateescape")
    for path in {line.split(maxsplit=5)[5] for line in mapped.splitlines() if "/libtiff" in line}:
        ctypes.CDLL(path).TIFFSetErrorHandler(None)


_LAB_TO_SRGB = _lab_to_srgb()
_silence_libtiff()


def _check_kind(directory: Directory) -> bool:
    """Whether the values are numbers beyond 16 bits; refuses what libraries would choke on."""
    samples = directory.number(_SAMPLES, 1)
    compression = directory.number(_COMPRESSION, 1)
    if samples not in range(1, 6) or compression not in _COMPRESSIONS:
        kind = f"{samples} values a pixel in compression {compression}"
        raise PhotoError(FaultCode.UNSUPPORTED, f"a TIFF of {kind}")
    for pointer in _SUB_DIRECTORIES:
        for offset in directory.numbers(pointer):
            try:
                read_directory(directory.data, offset)
            except PhotoError as error:
                if error.code != FaultCode.TRUNCATED:
                    raise
    form, bits = directory.number(_SAMPLE_FORMAT, _UNSIGNED), directory.number(_BITS, 1)
    if form == _UNDEFINED:
        form = _UNSIGNED
    if form == _UNSIGNED and bits <= 16:
        return False
    in_planes = samples > 1 and directory.number(_PLANES, 1) != 1
    if (form, bits) not in _NUMBERS or samples not in (1, 3, 4) or in_planes:
        kind = f"{_KINDS.get(form, 'complex')} values of {bits} bits"
        kind += f", {samples} a pixel" + " in planes" * in_planes
        raise PhotoError(FaultCode.UNSUPPORTED, f"a TIFF of {kind}")
    return True


def _has_wide_colours(directory: Directory) -> bool:
    """16-bit RGB or RGBA: Pillow cuts it to 8 bits before anyone sees its real range."""
    return (
        directory.number(_BITS, 1) == 16
        and directory.number(_SAMPLES, 1) in (3, 4)
        and directory.number(PHOTOMETRIC) == _RGB
        and directory.number(_PLANES, 1) == 1
        and directory.number(_EXTRA_SAMPLES) != _PREMULTIPLIED
    )


def _by_opencv(data: bytes, code: FaultCode) -> NDArray[Any]:
    with library(code):
        values = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if values is None or values.dtype == np.uint8:
        raise PhotoError(code, "its picture data cannot be read")
    return from_opencv(values)


def _unturned(directory: Directory) -> bytes:
    """The file with orientation 1: libraries turn some kinds of TIFF and leave others."""
    if directory.orientation == 1:
        return directory.data
    copy = bytearray(directory.data)
    entry = directory.entries[ORIENTATION]
    struct.pack_into(directory.order + TYPES[entry.type], copy, entry.offset, 1)
    return bytes(copy)


READER = Reader(_read_header, _decode)
