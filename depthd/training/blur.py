"""A lens that is open wide: what is far from its focus gets blurred, as in close-ups."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

LAYERS = 4


def behind(
    photo: NDArray[np.uint8], inverse: NDArray[np.float32], random: np.random.Generator
) -> NDArray[np.uint8]:
    """The photo (H, W, 3) with its far parts blurred, the farther the more.

    Each layer is blurred without what lies before it, so that nothing near bleeds into it.
    Needs dense depth; pixels without any count as the farthest.
    """
    near = np.nan_to_num(inverse, nan=0.0)
    focus = float(np.percentile(near, random.uniform(75, 98)))
    if focus <= 0:
        return photo
    gap = np.clip(1 - near / focus, 0, 1)  # 0 at the focus and nearer, 1 at infinity
    most = float(random.uniform(1.5, 7.0))
    image = photo.astype(np.float32)
    result = image.copy()
    for layer in range(LAYERS):
        edge = 0.15 + 0.75 * layer / LAYERS
        share = (gap >= edge).astype(np.float32)
        if share.mean() < 0.01:
            break
        sigma = most * (layer + 1) / LAYERS
        weight = cv2.GaussianBlur(share, (0, 0), sigma)
        blurred = cv2.GaussianBlur(image * share[..., None], (0, 0), sigma)
        blurred = blurred / np.maximum(weight, 1e-3)[..., None]
        result = np.where(share[..., None] > 0, blurred, result)
    return np.clip(result, 0, 255).astype(np.uint8)
