"""An estimate as points and as a mesh, in arrays that a file format can be made of.

Knows estimates and geometry; no file formats.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from depthd.estimate.estimate import Estimate
from depthd.metres.lens import Intrinsics
from depthd.metres.space import unproject

MOST_POINTS = 1024  # across and down; the network sees 256
MOST_VERTICES = 512
_STEEPEST = math.tan(math.radians(85))  # a surface seen more from the side is torn: it is an edge


@dataclass(frozen=True)
class Cloud:
    """Points in space.

    Attributes:
        points: float32 (N, 3), x right, y down, z forward from the camera; all finite.
        colours: uint8 (N, 3), RGB.
        unit: "metres" or "relative".
        camera: that they were made with.
    """

    points: NDArray[np.float32]
    colours: NDArray[np.uint8]
    unit: str
    camera: Intrinsics


@dataclass(frozen=True)
class Mesh:
    """A surface with the photo on it.

    Attributes:
        vertices: float32 (N, 3), axes as in `Cloud`; all finite.
        places: float32 (N, 2), the vertex on the photo, from 0 to 1, right and down.
        triangles: uint32 (M, 3), counter-clockwise seen from the camera.
        picture: uint8 (H, W, 3), RGB.
        unit: "metres" or "relative".
        camera: that it was made with.
    """

    vertices: NDArray[np.float32]
    places: NDArray[np.float32]
    triangles: NDArray[np.uint32]
    picture: NDArray[np.uint8]
    unit: str
    camera: Intrinsics


def cloud(estimate: Estimate) -> Cloud:
    """A point for each pixel of the depth that has a distance, at most 1024 across."""
    distance = _reduced(estimate.distance, MOST_POINTS)
    points = unproject(distance, estimate.camera)
    height, width = distance.shape
    small = cv2.resize(_picture(estimate), (width, height), interpolation=cv2.INTER_AREA)
    seen = np.isfinite(distance)
    return Cloud(points[seen], small[seen].astype(np.uint8), _unit(estimate), estimate.camera)


def mesh(estimate: Estimate) -> Mesh:
    """A surface over the pixels, at most 512 across, torn where one thing is before another."""
    distance = _reduced(estimate.distance, MOST_VERTICES)
    height, width = distance.shape
    triangles = _triangles(distance, estimate.camera.scaled(width, height).focal)
    used = np.zeros(height * width, bool)
    used[triangles] = True
    number = np.cumsum(used, dtype=np.uint32) - np.uint32(1)
    columns, rows = np.meshgrid(
        (np.arange(width, dtype=np.float32) + 0.5) / width,
        (np.arange(height, dtype=np.float32) + 0.5) / height,
    )
    return Mesh(
        vertices=unproject(distance, estimate.camera).reshape(-1, 3)[used],
        places=np.stack([columns, rows], axis=2).reshape(-1, 2)[used],
        triangles=number[triangles],
        picture=_picture(estimate),
        unit=_unit(estimate),
        camera=estimate.camera,
    )


def _triangles(distance: NDArray[np.float32], focal: float) -> NDArray[np.intp]:
    """(M, 3) pixel numbers: two triangles a square of pixels, without the torn ones.

    A side of a triangle may lead away from the camera by so many times its length across.
    """
    height, width = distance.shape
    numbers = np.arange(height * width).reshape(height, width)
    a, b = numbers[:-1, :-1].ravel(), numbers[:-1, 1:].ravel()
    c, d = numbers[1:, :-1].ravel(), numbers[1:, 1:].ravel()
    triangles = np.concatenate([np.stack([a, c, b], axis=1), np.stack([b, c, d], axis=1)])
    corners = distance.ravel()[triangles]
    nearest, farthest = corners.min(axis=1), corners.max(axis=1)
    with np.errstate(invalid="ignore"):
        whole = farthest - nearest <= _STEEPEST / focal * nearest  # False for NaN
    return np.asarray(triangles[whole], np.intp)


def _reduced(distance: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """Every so many pixels: an average of near and far would be a point where nothing is."""
    scale = side / max(distance.shape)
    if scale >= 1:
        return distance
    height, width = (max(1, round(scale * length)) for length in distance.shape)
    small = cv2.resize(distance, (width, height), interpolation=cv2.INTER_NEAREST)
    return np.asarray(small, np.float32)


def _picture(estimate: Estimate) -> NDArray[np.uint8]:
    if estimate.picture is None:
        raise ValueError("formats had neither ply nor glb when this photo was prepared")
    return estimate.picture


def _unit(estimate: Estimate) -> str:
    return "relative" if estimate.measured is None else "metres"
