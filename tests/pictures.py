"""Pictures for the tests of the photo room, made on the spot from the bundled photographs."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

import depthd
from depthd.config import Config
from depthd.contract import manifest
from depthd.decode.decoder import load_decoders
from depthd.metres.fit import Fit

SAMPLES = Path(depthd.__file__).parent / "samples"
MAX_PIXELS = 10_000_000
_WHITE = 16383  # of a sensor with 14 bits
DECODERS = load_decoders()


# What a manifest may say of a network and a photo.
MODEL = manifest.Model(
    name="midas_small",
    weights_sha256="0" * 64,
    fallback=False,
    published=False,
    engine="torch",
    engine_version="2",
    precision="f32",
    input_width=256,
    input_height=192,
    preprocess="exact",
)
PHOTO = manifest.Photo(format="jpeg", width=320, height=240, orientation=1, notes=())
FIT = Fit(0.1, 0.0, None, np.ones(3, bool), np.ones(3), 0.01, 0.02, 1.0, 4.0)  # of three points


def photograph(name: str = "coffee.jpg") -> Image.Image:
    """A bundled photograph, upright."""
    with Image.open(SAMPLES / name) as image:
        return ImageOps.exif_transpose(image).convert("RGB")


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def exif(orientation: int) -> bytes:
    block = Image.Exif()
    block[0x0112] = orientation
    return block.tobytes()


def by_opencv(suffix: str, rgb: NDArray[Any], *options: int) -> bytes:
    """OpenCV writes what Pillow cannot: 16-bit colours."""
    if rgb.ndim == 3:
        rgb = rgb[:, :, [2, 1, 0, 3][: rgb.shape[2]]]
    _, encoded = cv2.imencode(suffix, np.ascontiguousarray(rgb), options)
    return encoded.tobytes()


def holed(data: bytes, size: int = 2000) -> bytes:
    """Zero bytes in the middle, as a lost block of a disk leaves them."""
    middle = len(data) // 2
    return data[:middle] + bytes(size) + data[middle + size :]


def dng(rgb: NDArray[np.uint8], orientation: int = 1) -> bytes:
    """A camera's raw file whose sensor saw these sRGB pixels, with both sides even."""
    import tifffile  # noqa: PLC0415 - not every test room has it

    share = rgb / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    sensor = np.empty(rgb.shape[:2], np.uint16)
    for row, column, channel in ((0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 2)):
        cells = linear[row::2, column::2, channel]
        sensor[row::2, column::2] = np.rint(cells * _WHITE)
    # From XYZ to linear sRGB, as signed rationals.
    matrix = (32405, -15371, -4985, -9693, 18760, 416, 556, -2040, 10572)
    tags = [
        (271, 2, 0, "depthd", True),
        (272, 2, 0, "depthd", True),
        (274, 3, 1, orientation, True),
        (33421, 3, 2, (2, 2), True),
        (33422, 1, 4, bytes((0, 1, 1, 2)), True),
        (50706, 1, 4, bytes((1, 4, 0, 0)), True),
        (50708, 2, 0, "depthd test", True),
        (50717, 4, 1, _WHITE, True),
        (50721, 10, 9, tuple(part for value in matrix for part in (value, 10000)), True),
        (50728, 5, 3, (1, 1) * 3, True),
        (50778, 3, 1, 21, True),
    ]
    buffer = io.BytesIO()
    tifffile.imwrite(
        buffer, sensor, photometric=32803, metadata=None, software=None, extratags=tags
    )
    return buffer.getvalue()


def depth_of(config: Config, state: Path, path: Path) -> NDArray[np.float32]:
    """For a spawned process, which can import this module."""
    return depthd.DepthEstimator(config, state=state).estimate(path).depth
