"""Where one more reference point would help most. Knows arrays and the fit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from depthd.metres.agreement import Array
from depthd.metres.fit import SMOOTH, Fit
from depthd.metres.residuals import covariance

_ACROSS = 24  # places that are looked at, along the longer side
_BORDER = 0.04  # of a side: nobody measures there
_LINE_VARIANCE = 100.0  # of scale and shift before any point; in squares of a point's error


def where_next(
    points: NDArray[np.float64],
    depth: NDArray[np.float32],
    size: tuple[int, int],
    fit: Fit,
    metres: NDArray[np.float32],
) -> tuple[float, float] | None:
    """The place at which one more point lowers the photo's relative error most.

    The model is the fit's own: a line plus smooth residuals plus an independent error. A point at
    c lowers the variance at p by cov(p, c)**2 / (var(c) + 1) (kriging's update formula); what
    counts is the sum over the photo, divided by the inverse depth squared.

    Args:
        points: (n, 2), x and y of all points, pixels of the photo.
        depth: float32 (H, W), relative inverse depth.
        size: width and height of the photo.
        fit: of this photo.
        metres: float32 (H, W); nobody is sent to where they are NaN.

    Returns:
        x and y in pixels of the photo; None where nothing has metres.
    """
    longer = max(size)
    across, down = (max(2, round(_ACROSS * side / longer)) for side in size)
    shares = np.stack(
        np.meshgrid(
            np.linspace(_BORDER, 1 - _BORDER, across), np.linspace(_BORDER, 1 - _BORDER, down)
        ),
        axis=2,
    ).reshape(-1, 2)
    pixels = (shares * depth.shape[::-1]).astype(np.intp)
    distance = metres[pixels[:, 1], pixels[:, 0]].astype(np.float64)
    shares, pixels = shares[np.isfinite(distance)], pixels[np.isfinite(distance)]
    distance = distance[np.isfinite(distance)]
    if not len(shares):
        return None
    known = points[fit.used]
    columns = np.minimum(known / size * depth.shape[::-1], np.array(depth.shape[::-1]) - 1)
    rows = columns.astype(np.intp)
    seen = np.concatenate([depth[rows[:, 1], rows[:, 0]], depth[pixels[:, 1], pixels[:, 0]]])
    low, span = float(depth.min()), float(np.ptp(depth)) or 1.0
    trend = np.stack([(seen - low) / span, np.ones(len(seen))], axis=1).astype(np.float64)
    places = np.concatenate([known, shares * size]) / longer
    covariances = _covariances(trend, places, len(known))
    gain = np.square(covariances) / (np.diag(covariances) + 1)
    best = int(np.argmax(np.square(distance) @ gain))
    x, y = shares[best] * size
    return float(x), float(y)


def _covariances(trend: Array, places: Array, known: int) -> Array:
    """Of the values at the places after the first `known`, once those are measured."""
    before = _LINE_VARIANCE * trend @ trend.T + SMOOTH**2 * covariance(places, places)
    across = before[:known, known:]
    measured = before[:known, :known] + np.eye(known)
    return np.asarray(before[known:, known:] - across.T @ np.linalg.solve(measured, across))
