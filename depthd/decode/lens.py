"""What a photo's EXIF says of the lens; whatever cannot be read is not known.

Knows bytes of photos; Pillow reads the tags.
"""

from __future__ import annotations

import io
import math
from typing import Any

import PIL.TiffImagePlugin  # noqa: F401 - else loaded late, where a caged worker cannot
from PIL import ExifTags, Image

from depthd.contract.errors import FaultCode, PhotoError
from depthd.decode.common import library
from depthd.metres.lens import Lens

_MM = {2.0: 25.4, 3.0: 10.0, 4.0: 1.0, 5.0: 0.001}  # EXIF's FocalPlaneResolutionUnit
_FORMATS = ("PNG", "WEBP", "TIFF")  # others have no EXIF, or none that Pillow finds
_EXIF = b"Exif\0\0"
_NEAR_THE_START = 1 << 17  # bytes; it is the first segment, or follows JFIF's
_SEGMENT = 65535
_MOST_NAME = 64  # letters of a camera's name


def read_lens(data: bytes) -> Lens:
    """Focal lengths and the sensor's resolution, from the EXIF of a file that was decoded."""
    try:
        with library(FaultCode.DAMAGED):
            exif = _exif(data)
            tags = exif.get_ifd(ExifTags.IFD.Exif)
            model = exif.get(ExifTags.Base.Model, "")
    except PhotoError:
        return Lens()
    unit = _MM.get(_number(tags.get(ExifTags.Base.FocalPlaneResolutionUnit)), 25.4)
    return Lens(
        focal_35mm=_number(tags.get(ExifTags.Base.FocalLengthIn35mmFilm)),
        focal=_number(tags.get(ExifTags.Base.FocalLength)),
        pixels_per_mm=_number(tags.get(ExifTags.Base.FocalPlaneXResolution)) / unit,
        sensor_pixels=max(
            _number(tags.get(ExifTags.Base.ExifImageWidth)),
            _number(tags.get(ExifTags.Base.ExifImageHeight)),
        ),
        model=str(model)[:_MOST_NAME],
    )


def _exif(data: bytes) -> Image.Exif:
    """A JPEG's from its segment: Pillow's own reader of JPEG is not loaded in the worker."""
    if data.startswith(b"\xff\xd8"):
        exif = Image.Exif()
        place = data.find(_EXIF, 0, _NEAR_THE_START)
        exif.load(data[place : place + _SEGMENT] if place >= 0 else b"")
        return exif
    loaded = [name for name in _FORMATS if name in Image.OPEN]
    with Image.open(io.BytesIO(data), formats=loaded) as image:
        return Image.Image.getexif(image)  # PNG's own would decode the whole picture


def _number(value: Any) -> float:
    """0 for what is no number above 0."""
    try:
        number = float(value)
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return 0.0
    return number if 0 < number < math.inf else 0.0
