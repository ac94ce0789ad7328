"""From the bytes of a file to upright RGB pixels, or a fault code that says why not.

The only door to picture data. Knows bytes and pixels; nothing of files, jobs or the network.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from depthd.errors import FaultCode, PhotoError


@dataclass(frozen=True)
class Header:
    """What a file says of itself before any pixel is decoded; sizes as stored."""

    format: str
    width: int
    height: int


@dataclass(frozen=True)
class Photo:
    """A decoded photo.

    `pixels` is uint8 (H, W, 3), RGB, upright, possibly a view with unusual strides. It is
    smaller than `width` x `height` (the full upright photo) only after a reduced decode.
    `orientation` is the EXIF value (1 to 8) that was applied; `notes` says what was assumed.
    """

    pixels: NDArray[np.uint8]
    width: int
    height: int
    format: str
    orientation: int
    notes: tuple[str, ...]


def read_header(data: bytes) -> Header:
    if not data:
        raise PhotoError(FaultCode.EMPTY)
    try:
        with Image.open(io.BytesIO(data)) as image:
            return Header(str(image.format).lower(), *image.size)
    except OSError as error:
        raise PhotoError(FaultCode.NOT_AN_IMAGE, str(error)) from error


def decode(data: bytes, *, max_pixels: int, reduce_to: int | None = None) -> Photo:
    header = read_header(data)
    if header.width * header.height > max_pixels:
        raise PhotoError(FaultCode.TOO_MANY_PIXELS)
    with Image.open(io.BytesIO(data)) as image:
        orientation = image.getexif().get(0x0112, 1)
        upright = ImageOps.exif_transpose(image)
        pixels = np.asarray(upright.convert("RGB"))
    height, width = pixels.shape[:2]
    return Photo(pixels, width, height, header.format, orientation, ())
