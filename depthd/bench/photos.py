"""Photos to measure with, made from the bundled samples: varied crops, scaled, with grain.

Grain matters: an enlarged picture is smoother than what a camera's sensor gives, and a smooth
JPEG is small and quick to decode.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from depthd.contract.errors import UnavailableError

_QUALITIES = (80, 90, 95)
_GRAIN = 4.0  # standard deviation, of 255


@dataclass(frozen=True)
class Kind:
    """A size of photos; `distinct` of them are made, and repeated."""

    name: str
    width: int
    height: int
    distinct: int


TINY = Kind("160x120", 160, 120, 4)
SMALL = Kind("640x480", 640, 480, 24)
LARGE = Kind("12 megapixels", 4000, 3000, 6)


def make_photos(kind: Kind, folder: Path) -> list[Path]:
    """JPEGs of one kind, the same ones on every machine with the same OpenCV.

    Raises:
        UnavailableError: the samples are missing from the installation.
    """
    samples = sorted(Path(str(files("depthd") / "samples")).glob("*.jpg"))
    if not samples:
        raise UnavailableError("the bundled photos are missing", "install depthd again")
    random = np.random.default_rng(1)
    grain = random.normal(0, _GRAIN, (512, 512, 3)).astype(np.float32)
    paths = []
    for number in range(kind.distinct):
        picture = np.asarray(cv2.imread(str(samples[number % len(samples)])), np.uint8)
        picture = _crop(picture, kind, random)
        size = (kind.width, kind.height)
        picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_CUBIC), np.uint8)
        path = folder / f"{kind.width}x{kind.height}-{number:03d}.jpg"
        quality = (cv2.IMWRITE_JPEG_QUALITY, _QUALITIES[number % len(_QUALITIES)])
        cv2.imwrite(str(path), _with_grain(picture, grain, random), quality)
        paths.append(path)
    return paths


def _crop(picture: NDArray[np.uint8], kind: Kind, random: np.random.Generator) -> NDArray[np.uint8]:
    """A random part of the right shape, at least 60 % of what fits."""
    height, width = picture.shape[:2]
    scale = min(width / kind.width, height / kind.height) * random.uniform(0.6, 1)
    w, h = int(kind.width * scale), int(kind.height * scale)
    x, y = (int(random.integers(0, room + 1)) for room in (width - w, height - h))
    return picture[y : y + h, x : x + w]


def _with_grain(
    picture: NDArray[np.uint8], grain: NDArray[np.float32], random: np.random.Generator
) -> NDArray[np.uint8]:
    """Grain from one tile that is shifted at random."""
    side = len(grain)
    shifted = np.roll(grain, random.integers(0, side, 2), axis=(0, 1))
    noisy = np.empty_like(picture)
    for y in range(0, picture.shape[0], side):
        for x in range(0, picture.shape[1], side):
            block = picture[y : y + side, x : x + side]
            tile = shifted[: block.shape[0], : block.shape[1]]
            noisy[y : y + side, x : x + side] = np.clip(block + tile, 0, 255)
    return noisy
