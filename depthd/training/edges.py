"""How well a heatmap's edges lie on the borders of things, where depth is known densely.

Both maps are drawn as heatmaps are, 256 pixels along the longer side, and Canny's edges of both
are compared, as Koch et al. do ("Evaluation of CNN-based Single-Image Depth Estimation Methods",
ECCV Workshops 2018).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

LONG_SIDE = 256
REACH = 2.0  # pixels by which an edge may be off
DENSE = 0.75  # with a smaller share of known pixels, borders are not known
LOW, HIGH = 40, 80  # Canny's thresholds, in steps of 256 shades

Inverse = NDArray[np.float32]


@dataclass(frozen=True)
class Edges:
    """Shares from 0 to 1, higher is better.

    Attributes:
        complete: of the true borders, those with an edge of the heatmap within REACH.
        accurate: of the heatmap's edges, those with a true border within REACH.
    """

    complete: float
    accurate: float


def compare(predicted: Inverse, truth: Inverse) -> Edges | None:
    """Edges of `predicted` against those of `truth` (H, W); None where too little is known."""
    if np.isfinite(truth).mean() < DENSE:
        return None
    scale = LONG_SIDE / max(truth.shape)
    size = (round(truth.shape[1] * scale), round(truth.shape[0] * scale))
    known = cv2.resize(np.isfinite(truth).astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    sure = cv2.erode(known, np.ones((5, 5), np.uint8)).astype(bool)
    filled = np.where(np.isfinite(truth), truth, np.float32(np.nanmedian(truth)))
    real = _edges(cv2.resize(filled, size, interpolation=cv2.INTER_AREA), sure)
    drawn = _edges(cv2.resize(predicted, size, interpolation=cv2.INTER_AREA), sure)
    if real.sum() < 20:
        return None
    complete = float((_distance(drawn)[real] <= REACH).mean())
    accurate = float((_distance(real)[drawn] <= REACH).mean()) if drawn.any() else 0.0
    return Edges(complete, accurate)


def _edges(inverse: NDArray[np.generic], sure: NDArray[np.bool_]) -> NDArray[np.bool_]:
    values = inverse.astype(np.float32)
    low, high = np.percentile(values[sure], [0.5, 99.5])
    shade = np.clip((values - low) / max(float(high - low), 1e-6) * 255, 0, 255).astype(np.uint8)
    return np.asarray((cv2.Canny(shade, LOW, HIGH, L2gradient=True) > 0) & sure)


def _distance(edges: NDArray[np.bool_]) -> NDArray[np.float32]:
    if not edges.any():
        return np.full(edges.shape, np.inf, dtype=np.float32)
    return cv2.distanceTransform((~edges).astype(np.uint8), cv2.DIST_L2, 5).astype(np.float32)
