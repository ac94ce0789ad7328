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
from depthd.decode.decoder import load_decoders

SAMPLES = Path(depthd.__file__).parent / "samples"
MAX_PIXELS = 10_000_000
DECODERS = load_decoders()


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


def depth_of(config: Config, state: Path, path: Path) -> NDArray[np.float32]:
    """For a spawned process, which can import this module."""
    return depthd.DepthEstimator(config, state=state).estimate(path).depth
