"""A photo's depth in metres, from its relative depth and its camera's reference points.

Knows arrays, `References` and the fit; nothing of files or settings.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from depthd.metres.fit import Fit, Points, fit
from depthd.metres.references import References

_BLOCK = 2**17  # values computed at a time, so that all passes stay in the cache


@dataclass(frozen=True)
class Metres:
    """Depth in metres, and how far it can be believed.

    Attributes:
        depth: float32 (H, W), distance along the optical axis in metres; NaN where the network
            sees something farther than twice the farthest reference point, so also the sky.
        fit: scale, shift, errors, and what became of each point.
        span: metres of the nearest and the farthest of all reference points, whether used or not,
            so that it is the same for all photos of one camera.
    """

    depth: NDArray[np.float32]
    fit: Fit
    span: tuple[float, float]


def measure(
    depth: NDArray[np.float32],
    size: tuple[int, int],
    far_and_near: tuple[float, float],
    references: References,
) -> Metres:
    """Metres of one photo.

    Args:
        depth: float32 (H, W), relative inverse depth, of any size.
        size: width and height of the upright photo, in whose pixels the points are.
        far_and_near: 2nd and 98th percentile of `depth`.
        references: at least three points.

    Raises:
        Undetermined: the points do not say what the metres are; the text says why.
    """
    width, height = size
    points = np.array(references.on(width, height), np.float64).reshape(-1, 3)
    place = points[:, :2] / max(width, height)
    sampled = sample(depth, points[:, :2] / size)
    found = fit(Points(place, sampled, points[:, 2], *far_and_near))
    span = float(points[:, 2].min()), float(points[:, 2].max())
    return Metres(to_metres(depth, found), found, span)


def sample(depth: NDArray[np.float32], shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Depth between its pixels, by straight lines.

    Args:
        depth: float32 (H, W).
        shares: (n, 2), x of the width and y of the height, from 0 to 1.

    Returns:
        (n,) float64.
    """
    last = np.array(depth.shape[::-1]) - 1
    position = np.clip(shares * depth.shape[::-1] - 0.5, 0, last)
    first = np.minimum(position.astype(np.intp), np.maximum(last - 1, 0))
    second = np.minimum(first + 1, last)
    x, y = (position - first).T
    left, top, right, bottom = first[:, 0], first[:, 1], second[:, 0], second[:, 1]
    above = depth[top, left] * (1 - x) + depth[top, right] * x
    below = depth[bottom, left] * (1 - x) + depth[bottom, right] * x
    return np.asarray(above * (1 - y) + below * y, np.float64)


def to_metres(depth: NDArray[np.float32], found: Fit) -> NDArray[np.float32]:
    """float32 (H, W), NaN beyond the fit's reach."""
    height, width = depth.shape
    metres = np.empty((height, width), np.float32)
    residuals = None if found.residuals is None else found.residuals.over(width, height)
    least = np.float32(1 / found.reach)
    rows = max(1, _BLOCK // width)
    for start in range(0, height, rows):
        part = slice(start, start + rows)
        inverse = metres[part]
        np.multiply(depth[part], np.float32(found.scale), out=inverse)
        inverse += np.float32(found.shift)
        if residuals is not None:
            inverse += residuals[part]
        if inverse.min() < least:
            np.putmask(inverse, inverse < least, np.nan)
        np.reciprocal(inverse, out=inverse)
    return metres
