"""Pictures that a caller already holds in memory, as decoded photos. Knows Pillow and arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from depthd.decode.common import Pixels
from depthd.decode.decoder import Photo
from depthd.decode.numbers import from_numbers
from depthd.decode.pixels import from_pillow, orientation_of, upright

Picture = NDArray[np.uint8] | Image.Image
_TAKEN = (
    "a photo is a path, the bytes of a file, a PIL image, or a uint8 array of (height, width), "
    "(height, width, 3) RGB or (height, width, 4) RGBA"
)


def as_photo(picture: Any) -> Photo:
    """A PIL image, turned upright by its EXIF, or upright pixels.

    Raises:
        TypeError: it is neither; the words say what is taken.
        PhotoError: the image's file is damaged.
    """
    if isinstance(picture, Image.Image):
        orientation = orientation_of(picture)
        kind = (picture.format or "image").lower()
    elif isinstance(picture, np.ndarray):
        picture, orientation, kind = _image_of(picture), 1, "array"
    else:
        raise TypeError(f"{_TAKEN}; not {type(picture).__name__}")
    is_numbers = picture.mode in ("I", "F")
    decoded = from_numbers(np.asarray(picture)) if is_numbers else from_pillow(picture)
    pixels: Pixels = np.ascontiguousarray(upright(decoded.pixels, orientation))
    height, width = pixels.shape[:2]
    return Photo(pixels, width, height, kind, orientation, decoded.notes)


def _image_of(pixels: NDArray[Any]) -> Image.Image:
    is_picture = pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] in (1, 3, 4))
    if pixels.dtype != np.uint8 or not is_picture or not pixels.size:
        raise TypeError(f"{_TAKEN}; not {pixels.dtype} {pixels.shape}")
    return Image.fromarray(pixels[:, :, 0] if pixels.shape[2:] == (1,) else pixels)
