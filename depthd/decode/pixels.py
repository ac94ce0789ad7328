"""Whatever a decoder gives to uint8 RGB: 16-bit, grey, palette, alpha, CMYK; and upright."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor, ImageFile  # noqa: F401 - Pillow would load two of them late

from depthd.contract.errors import FaultCode, PhotoError
from depthd.decode.common import Decoded, Pixels, library
from depthd.decode.tiff_directory import ORIENTATION

_BITS = (8, 10, 12, 14, 16)  # of sensors and converters
_FLIPS = {2: 1, 3: -1, 4: 0, 6: 1, 7: -1, 8: 0}  # 1 left and right, 0 top and bottom, -1 both
_SIXTEEN_BIT = ("I;16", "I;16B", "I;16L", "I;16N")


def from_pillow(image: Image.Image) -> Decoded:
    """A Pillow image of any mode, whose pixels need not be loaded yet."""
    with library(FaultCode.DAMAGED):
        image.load()
        if image.mode in _SIXTEEN_BIT:
            return from_sixteen_bit(np.asarray(image).astype(np.uint16))
        if image.mode in ("I", "F", "LAB", "HSV"):
            raise PhotoError(FaultCode.UNSUPPORTED, f"its values are of kind {image.mode}")
        if image.has_transparency_data:
            return _over_white(image.convert("RGBA"))
        notes = ("CMYK colours were converted without their profile",) * (image.mode == "CMYK")
        return Decoded(np.asarray(image.convert("RGB")), notes)


def from_opencv(values: NDArray[Any]) -> NDArray[Any]:
    """What OpenCV decoded, with red first. Contiguous: other strides cost 486 times the time."""
    if values.ndim == 2 or values.shape[2] == 1:
        return np.ascontiguousarray(values)
    order = [2, 1, 0, 3][: values.shape[2]]
    if values.itemsize > 4:  # more than cvtColor takes
        return np.ascontiguousarray(values[:, :, order])
    swap = cv2.COLOR_BGRA2RGBA if len(order) == 4 else cv2.COLOR_BGR2RGB
    try:
        return np.asarray(cv2.cvtColor(values, swap))
    except cv2.error:  # nor signed whole numbers
        return np.ascontiguousarray(values[:, :, order])


def from_sixteen_bit(values: NDArray[np.uint16]) -> Decoded:
    """uint16 (H, W) or (H, W, 1 to 4: grey, grey and alpha, RGB, RGBA).

    The real range is the smallest of 8, 10, 12, 14 and 16 bits that holds the brightest colour:
    many cameras leave the upper bits empty. Dropping the lower bits gives the 8-bit twin exactly,
    whether that was widened by shifting or by scaling.
    """
    if values.ndim == 2:
        values = values[:, :, None]
    channels = values.shape[2]
    colours = values[:, :, : channels - (channels in (2, 4))]
    brightest = int(colours.max())
    bits = next(bits for bits in _BITS if brightest < 1 << bits)
    notes = (f"16-bit values use {bits} bits",) * (bits < 16)
    narrow = (colours >> (bits - 8)).astype(np.uint8)
    if narrow.shape[2] == 1:
        narrow = np.repeat(narrow, 3, axis=2)
    if channels in (1, 3):
        return Decoded(narrow, notes)
    alpha = (values[:, :, -1:] >> 8).astype(np.uint8)
    flat = _over_white(Image.fromarray(np.concatenate((narrow, alpha), axis=2)))
    return Decoded(flat.pixels, notes + flat.notes)


def _over_white(image: Image.Image) -> Decoded:
    """RGBA over white, as pages and viewers show it."""
    if image.getchannel("A").getextrema() == (255, 255):
        return Decoded(np.asarray(image.convert("RGB")))
    background = Image.new("RGBA", image.size, "white")
    background.alpha_composite(image)
    notes = ("transparent parts were put over white",)
    return Decoded(np.asarray(background.convert("RGB")), notes)


def orientation_of(image: Image.Image) -> int:
    """1 to 8, as its EXIF says; 1 where that is missing or nonsense."""
    said = image.getexif().get(ORIENTATION, 1)
    return said if said in range(1, 9) else 1


def upright(pixels: Pixels, orientation: int) -> Pixels:
    """Turned by an EXIF orientation (1 to 8); OpenCV does it in a tenth of NumPy's time."""
    if orientation == 1:
        return pixels
    if orientation >= 5:
        pixels = np.asarray(cv2.transpose(pixels), np.uint8)
    if orientation in _FLIPS:
        pixels = np.asarray(cv2.flip(pixels, _FLIPS[orientation]), np.uint8)
    return pixels
