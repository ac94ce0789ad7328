"""Pixels with depth to points in space. Knows arrays and cameras; nothing of files."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from depthd.metres.agreement import TYPICAL_RATIO
from depthd.metres.lens import Intrinsics


def unproject(distance: NDArray[np.float32], camera: Intrinsics) -> NDArray[np.float32]:
    """The point that each pixel sees.

    x = (column + 0.5 - cx) * z / focal and y = (row + 0.5 - cy) * z / focal: the pinhole camera
    backwards (Hartley and Zisserman, Multiple View Geometry, section 6.1).

    Args:
        distance: float32 (H, W), z along the optical axis; NaN where there is none.
        camera: of a photo of any size; it is scaled to this one.

    Returns:
        float32 (H, W, 3), in the unit of `distance`; x right, y down, z forward; NaN where there
        is no distance.
    """
    height, width = distance.shape
    scaled = camera.scaled(width, height)
    points = np.empty((height, width, 3), np.float32)
    columns = (np.arange(width, dtype=np.float32) + 0.5 - scaled.cx) / scaled.focal
    rows = (np.arange(height, dtype=np.float32) + 0.5 - scaled.cy) / scaled.focal
    np.multiply(distance, columns[None], out=points[..., 0])
    np.multiply(distance, rows[:, None], out=points[..., 1])
    points[..., 2] = distance
    return points


def relative_distance(
    depth: NDArray[np.float32], far_and_near: tuple[float, float]
) -> NDArray[np.float32]:
    """A distance of the right order where scale and shift are unknown: what is near is at 1.

    The inverse depth of what is far is taken to be 0.3 of that of what is near, as in most photos.

    Args:
        depth: float32 (H, W), relative inverse depth.
        far_and_near: its 2nd and 98th percentile.

    Returns:
        float32 (H, W), without a unit; at most 1 / 0.3.
    """
    far, near = far_and_near
    span = near - far if near > far else 1.0
    share = (depth - np.float32(far)) * np.float32((1 - TYPICAL_RATIO) / span)
    return np.asarray(1 / (TYPICAL_RATIO + np.maximum(share, 0)), np.float32)
