"""Geometry of the scenes in plain numpy: no Blender here, so it can be tested anywhere.

A mesh is a pair: vertices, float64 (N, 3) in metres, and faces, tuples of vertex indices.
Unit meshes fill the cube from -0.5 to 0.5, so that an object's scale is its size in metres.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]
Face = tuple[int, ...]


@dataclass(frozen=True)
class Mesh:
    """Vertices (N, 3) in metres and polygons as tuples of vertex indices."""

    points: Points
    faces: tuple[Face, ...]
    smooth: bool = False


def box() -> Mesh:
    """The unit cube."""
    signs = [(x, y, z) for z in (-0.5, 0.5) for y in (-0.5, 0.5) for x in (-0.5, 0.5)]
    faces = ((0, 2, 3, 1), (4, 5, 7, 6), (0, 1, 5, 4), (2, 6, 7, 3), (0, 4, 6, 2), (1, 3, 7, 5))
    return Mesh(np.array(signs, dtype=np.float64), faces)


def plane() -> Mesh:
    """The unit square in z = 0, facing up."""
    corners = np.array([(-0.5, -0.5, 0), (0.5, -0.5, 0), (0.5, 0.5, 0), (-0.5, 0.5, 0)])
    return Mesh(corners.astype(np.float64), ((0, 1, 2, 3),))


def lathe(profile: Points, segments: int = 20, smooth: bool = True) -> Mesh:
    """A body of revolution about z; `profile` is (K, 2): radius and height in metres."""
    angles = np.linspace(0, 2 * np.pi, segments, endpoint=False)
    rings = [
        np.stack([r * np.cos(angles), r * np.sin(angles), np.full(segments, z)], axis=1)
        for r, z in profile
    ]
    faces: list[Face] = []
    for k in range(len(profile) - 1):
        for s in range(segments):
            t = (s + 1) % segments
            low, high = k * segments, (k + 1) * segments
            faces.append((low + s, low + t, high + t, high + s))
    return Mesh(np.concatenate(rings), tuple(faces), smooth)


def cylinder(segments: int = 20, top: float = 0.5) -> Mesh:
    """A unit cylinder, or a cone with the given top radius."""
    profile = np.array(
        [(1e-4, -0.5), (0.5, -0.5), (0.5, -0.5), (top, 0.5), (top, 0.5), (1e-4, 0.5)]
    )
    return lathe(profile, segments, smooth=False)


def ball(segments: int = 20) -> Mesh:
    """A unit sphere."""
    angle = np.linspace(-np.pi / 2, np.pi / 2, segments // 2 + 1)
    profile = np.stack([np.maximum(np.cos(angle) / 2, 1e-4), np.sin(angle) / 2], axis=1)
    return lathe(profile, segments)


def blob(random: np.random.Generator, roughness: float = 0.35, segments: int = 22) -> Mesh:
    """A sphere pushed in and out by a few random waves: stones, bushes, cushions, bags."""
    base = ball(segments)
    push = np.zeros(len(base.points))
    for octave in range(3):
        waves = random.normal(size=(4, 3)) * 4.0 * 2**octave
        phases = random.uniform(0, 2 * np.pi, 4)
        push += np.sin(base.points @ waves.T + phases).sum(axis=1) / 4 / 2**octave
    return Mesh(base.points * (1 + roughness * push[:, None]), base.faces, True)


def extrude(outline: Points, depth: float = 1.0) -> Mesh:
    """A polygon in x and z, (K, 2), made solid along y (centred)."""
    count = len(outline)
    front = np.stack([outline[:, 0], np.full(count, -depth / 2), outline[:, 1]], axis=1)
    back = front + np.array([0, depth, 0])
    sides = tuple((k, (k + 1) % count, count + (k + 1) % count, count + k) for k in range(count))
    caps = (tuple(range(count))[::-1], tuple(range(count, 2 * count)))
    return Mesh(np.concatenate([front, back]), sides + caps)


def tube(path: Points, radius: float, segments: int = 8) -> Mesh:
    """A cable or pipe along `path`, (K, 3) in metres."""
    tangent = np.gradient(path, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True) + 1e-9
    # Any vector that is not parallel to the path serves as a reference for the cross-section.
    reference = np.where(np.abs(tangent[:, 2:3]) < 0.9, [[0.0, 0.0, 1.0]], [[1.0, 0.0, 0.0]])
    side = np.cross(tangent, reference)
    side /= np.linalg.norm(side, axis=1, keepdims=True) + 1e-9
    up = np.cross(side, tangent)
    angles = np.linspace(0, 2 * np.pi, segments, endpoint=False)
    ring = (
        np.cos(angles)[None, :, None] * side[:, None] + np.sin(angles)[None, :, None] * up[:, None]
    )
    points = path[:, None] + radius * ring
    faces = tuple(
        (
            k * segments + s,
            k * segments + (s + 1) % segments,
            (k + 1) * segments + (s + 1) % segments,
            (k + 1) * segments + s,
        )
        for k in range(len(path) - 1)
        for s in range(segments)
    )
    return Mesh(points.reshape(-1, 3), faces, True)


def curl(random: np.random.Generator, length: float, spread: float, steps: int = 48) -> Points:
    """A smooth random path on the ground, such as a dropped cable: (steps, 3) in metres."""
    t = np.linspace(0, 1, steps)
    path = np.zeros((steps, 3))
    for axis in range(2):
        for wave in range(1, 4):
            path[:, axis] += (
                random.normal() / wave * np.sin(wave * np.pi * t + random.uniform(0, 6))
            )
    path[:, 0] += length * (t - 0.5)
    path[:, :2] *= spread
    return path


def leaves(
    centres: Points, directions: Points, length: float, width: float, random: np.random.Generator
) -> Mesh:
    """Bent leaves, each of three quads: `centres` (N, 3) are their feet, `directions` (N, 3)."""
    points: list[Points] = []
    faces: list[Face] = []
    for foot, direction in zip(centres, directions, strict=True):
        along = direction / (np.linalg.norm(direction) + 1e-9)
        side = np.cross(along, random.normal(size=3))
        side /= np.linalg.norm(side) + 1e-9
        size = random.uniform(0.6, 1.3)
        droop = random.uniform(0.0, 0.6)
        first = len(points) * 8
        rows = []
        for t, w in ((0.0, 0.15), (0.35, 1.0), (0.7, 0.8), (1.0, 0.05)):
            middle = foot + along * t * length * size - np.array([0, 0, droop * t * t * length])
            rows += [middle - side * w * width * size / 2, middle + side * w * width * size / 2]
        points.append(np.array(rows))
        faces += [(first + k, first + k + 1, first + k + 3, first + k + 2) for k in (0, 2, 4)]
    return Mesh(np.concatenate(points), tuple(faces))


def ground(
    size_x: float,
    size_y: float,
    cells: tuple[int, int],
    height: NDArray[np.float64] | None = None,
) -> Mesh:
    """A grid of `cells` quads along x and y; `height` in metres, (cells y + 1, cells x + 1)."""
    across, along = cells
    x, y = np.meshgrid(
        np.linspace(-0.5, 0.5, across + 1) * size_x, np.linspace(-0.5, 0.5, along + 1) * size_y
    )
    z = np.zeros_like(x) if height is None else height
    row = across + 1
    faces = tuple(
        (j * row + i, j * row + i + 1, (j + 1) * row + i + 1, (j + 1) * row + i)
        for j in range(along)
        for i in range(across)
    )
    return Mesh(np.stack([x, y, z], axis=-1).reshape(-1, 3), faces, True)
