"""Between a photo's pixels and the network's numbers, both ways, as upstream computes them.

Knows arrays and sizes; nothing of files, engines or configuration.
Source of the rules: `midas/transforms.py` and `run.py` of isl-org/MiDaS v3.1.
"""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

MULTIPLE = 32  # the network halves its input five times
_MEAN = np.array([0.485, 0.456, 0.406])
_STD = np.array([0.229, 0.224, 0.225])
_SCALE = (1 / (255 * _STD)).astype(np.float32)
_SHIFT = (-_MEAN / _STD).astype(np.float32)
_BLOCK = 2**18  # float32 values resized at a time: 1 MiB stays in the cache


def network_size(width: int, height: int, input_size: int) -> tuple[int, int]:
    """Width and height that the network sees: upstream's `upper_bound` rule.

    The longer side becomes `input_size` (a multiple of 32), the shorter keeps the aspect ratio
    rounded to a multiple of 32; never below 32, where upstream would ask for an empty picture.
    """
    scale = min(input_size / width, input_size / height)
    sides = (round(scale * side / MULTIPLE) * MULTIPLE for side in (width, height))
    first, second = (min(max(side, MULTIPLE), input_size) for side in sides)
    return first, second


def output_size(
    width: int, height: int, size: Literal["original", "model"] | int, input_size: int
) -> tuple[int, int]:
    """Width and height of the depth: as the photo, as the network sees it, or by longest side."""
    longest = max(width, height)
    if size == "model":
        return network_size(width, height, input_size)
    if size == "original" or size >= longest:
        return width, height
    scale = size / longest
    return max(1, round(width * scale)), max(1, round(height * scale))


def _cubic_taps(source: int, target: int) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Source indices and weights, both (target, 4), of OpenCV's INTER_CUBIC (a = -0.75).

    Positions are float32 like OpenCV's: at 4,000 pixels their rounding is larger than ours.
    """
    position = ((np.arange(target) + 0.5) * (source / target) - 0.5).astype(np.float32)
    left = np.floor(position)
    x, a = position - left, np.float32(-0.75)
    y = 1 - x
    outer = ((a * (x + 1) - 5 * a) * (x + 1) + 8 * a) * (x + 1) - 4 * a
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = ((a + 2) * y - (a + 3)) * y * y + 1
    weights = np.stack([outer, near, far, 1 - outer - near - far], axis=1)
    indices = left.astype(np.intp)[:, None] + np.arange(-1, 3)
    return np.clip(indices, 0, source - 1), weights


def preprocess(pixels: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.float32]:
    """Resize (bicubic, no antialiasing) and normalise by ImageNet's mean and deviation.

    Upstream resizes the whole photo as float64. Bicubic reads only four rows per output row. Where
    these are not all of them, only they are turned into float32 and narrowed by OpenCV, and the
    four are then weighted here. Within 2e-6 of upstream.

    Args:
        pixels: uint8 (H, W, 3), RGB.
        size: width and height from `network_size`.

    Returns:
        float32 (1, 3, height, width), contiguous.
    """
    width, height = size
    pixels = np.ascontiguousarray(pixels)  # rows of other strides take 486 times the time
    if pixels.shape[0] <= 4 * height:
        resized = cv2.resize(pixels.astype(np.float32), size, interpolation=cv2.INTER_CUBIC)
    else:
        resized = _resize_by_rows(pixels, width, height)
    normalised = resized.reshape(height, width, 3) * _SCALE + _SHIFT
    return np.ascontiguousarray(normalised.transpose(2, 0, 1))[None]


def _resize_by_rows(pixels: NDArray[np.uint8], width: int, height: int) -> NDArray[np.float32]:
    """Bicubic to float32 (height, width * 3), some rows of the result at a time."""
    rows, weights = _cubic_taps(pixels.shape[0], height)
    resized = np.empty((height, width * 3), np.float32)
    step = max(1, _BLOCK // (12 * pixels.shape[1]))
    for start in range(0, height, step):
        block = slice(start, min(start + step, height))
        wide = pixels.take(rows[block].ravel(), axis=0).astype(np.float32)
        narrow = cv2.resize(wide, (width, len(wide)), interpolation=cv2.INTER_CUBIC)
        taps = narrow.reshape(-1, 4, width * 3)
        np.einsum("hkx,hk->hx", taps, weights[block], out=resized[block])
    return resized


def with_longest_side(pixels: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Pixels (H, W, 3) smaller or larger, so that their longer side has so many."""
    height, width = pixels.shape[:2]
    scale = side / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    kind = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(pixels, size, interpolation=kind), np.uint8)


def resize_depth(depth: NDArray[np.float32], width: int, height: int) -> NDArray[np.float32]:
    """Bicubic resize of the network's output, as torch's interpolate(align_corners=False).

    Args:
        depth: float32 (h, w), inverse depth.
        width: of the result in pixels.
        height: of the result in pixels.

    Returns:
        float32 (height, width); the input itself where the size is the same.
    """
    if depth.shape == (height, width):
        return depth
    resized = cv2.resize(depth, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.asarray(resized, np.float32)
