"""Depth values to colours: range, palette index, palette. Knows arrays only."""

from __future__ import annotations

from functools import cache
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

Colormap = Literal["inferno", "magma", "viridis", "turbo", "gray"]
_OPENCV = {
    "inferno": cv2.COLORMAP_INFERNO,
    "magma": cv2.COLORMAP_MAGMA,
    "viridis": cv2.COLORMAP_VIRIDIS,
    "turbo": cv2.COLORMAP_TURBO,
}
_BLOCK = 2**17  # values scaled at a time, so that all passes stay in the cache


@cache
def palette(name: Colormap) -> NDArray[np.uint8]:
    """(256, 3) RGB; index 255 is nearest. Not to be written to."""
    ramp = np.arange(256, dtype=np.uint8)[:, None]  # 2-D: OpenCV 4 and 5 differ in 1-D
    if name == "gray":
        return np.repeat(ramp, 3, axis=1)
    return np.ascontiguousarray(cv2.applyColorMap(ramp, _OPENCV[name])[:, 0, ::-1])


def quantise(
    depth: NDArray[np.float32], low: float, high: float, levels: Literal[255, 65535]
) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """`levels * (depth - low) / (high - low)`, cut off below 0 and above `levels`.

    In float32 and in upstream's order of operations (`write_depth` in midas/utils.py). 255 levels
    are rounded down, so that every colour is upstream's; 65535 are rounded to the nearest, because
    they are read back as numbers. Depth without a range is all 0, the darkest.

    Returns:
        uint8 or uint16 (H, W).
    """
    indices = np.zeros(depth.shape, np.uint8 if levels == 255 else np.uint16)
    span = np.float32(high) - np.float32(low)
    if not span > np.finfo(float).eps:
        return indices
    rows = max(1, _BLOCK // depth.shape[1])
    for start in range(0, depth.shape[0], rows):
        scaled = depth[start : start + rows] - np.float32(low)
        scaled *= np.float32(levels)
        scaled /= span
        if levels == 65535:
            np.rint(scaled, out=scaled)
        np.clip(scaled, 0, levels, out=scaled)
        indices[start : start + rows] = scaled
    return indices
