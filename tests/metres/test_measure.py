"""From depth and points to metres, pixel by pixel, and to points in space."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from depthd.metres.advice import where_next
from depthd.metres.lens import Intrinsics
from depthd.metres.measure import measure, sample
from depthd.metres.references import References
from depthd.metres.space import relative_distance, unproject

SCALE, SHIFT = 0.004, 0.1
SIZE = (64, 48)


def slope() -> NDArray[np.float32]:
    """Depth that grows to the lower right."""
    y, x = np.mgrid[:48, :64]
    return (20 + 2 * y + 1.6 * x).astype(np.float32)


def truth(depth: NDArray[np.float32]) -> NDArray[np.float32]:
    return 1 / (SCALE * depth + SHIFT)


def references(depth: NDArray[np.float32], count: int = 12) -> References:
    random = np.random.default_rng(4)
    x, y = random.integers(0, 64, count), random.integers(0, 48, count)
    metres = truth(depth)[y, x]
    triples = zip((x + 0.5).tolist(), (y + 0.5).tolist(), metres.tolist(), strict=True)
    return References(tuple(triples))


def test_every_pixel_gets_its_metres() -> None:
    depth = slope()
    found = measure(depth, SIZE, (25.0, 210.0), references(depth))
    assert found.depth.dtype == np.float32
    assert np.abs(found.depth / truth(depth) - 1).max() < 0.03
    assert found.fit.used.all()


def test_the_size_of_the_depth_does_not_matter() -> None:
    depth = slope()
    small = depth.reshape(24, 2, 32, 2).mean(axis=(1, 3))
    found = measure(small, SIZE, (25.0, 210.0), references(depth))
    assert found.depth.shape == (24, 32)
    assert np.abs(found.depth / truth(small) - 1).max() < 0.03


def test_nothing_is_said_beyond_twice_the_farthest_point() -> None:
    depth = slope()
    points = references(depth)
    depth[:5, :5] = -24.5  # 1/m near 0: farther than anything measured
    depth[5:8, :5] = -400  # behind infinity
    kept = tuple(p for p in points.points if p[0] > 6 or p[1] > 9)
    found = measure(depth, SIZE, (25.0, 210.0), References(kept))
    unknown = np.isnan(found.depth)
    assert unknown[:8, :5].all()
    assert unknown.sum() == 40
    assert np.nanmax(found.depth) <= found.fit.reach


def test_span_is_that_of_all_points_so_that_photos_compare() -> None:
    depth = slope()
    right = references(depth)
    wrong = (*right.points[:-1], (*right.points[-1][:2], 40.0))
    found = measure(depth, SIZE, (25.0, 210.0), References(wrong))
    assert not found.fit.used[-1]
    assert found.span[1] == 40
    assert found.fit.farthest < 40


def test_sample_is_bilinear_between_the_middles_of_pixels() -> None:
    depth = np.array([[0, 10], [20, 30]], np.float32)
    shares = np.array([[0.25, 0.25], [0.75, 0.75], [0.5, 0.5], [0.5, 0.25], [0, 0], [1, 1]])
    assert sample(depth, shares).tolist() == [0, 30, 15, 5, 0, 30]
    assert sample(np.array([[7]], np.float32), shares).tolist() == [7] * 6


def test_points_in_space_project_back_to_their_pixels() -> None:
    camera = Intrinsics.from_fov(60, 640, 480)
    distance = truth(slope())
    distance[3, 3] = np.nan
    points = unproject(distance, camera)
    focal = camera.scaled(*SIZE).focal
    seen = points[..., :2] / points[..., 2:] * focal + (32, 24)
    y, x = np.mgrid[:48, :64] + 0.5
    known = np.isfinite(distance)
    assert np.isnan(points[3, 3]).all()
    assert np.allclose(seen[known], np.stack([x, y], axis=2)[known], atol=1e-3)
    assert points[0, 0, 0] < 0 < points[0, -1, 0]  # x right
    assert points[0, 0, 1] < 0 < points[-1, 0, 1]  # y down
    assert (points[known][:, 2] == distance[known]).all()  # z forward


def test_relative_distance_is_ordered_and_bounded() -> None:
    depth = np.array([[0, 100, 200, -1000, 1000]], np.float32)
    found = relative_distance(depth, (0.0, 200.0))[0]
    assert found[0] == pytest.approx(1 / 0.3)
    assert found[2] == pytest.approx(1)
    assert found[0] > found[1] > found[2] > found[4] > 0
    assert found[3] == found[0]
    assert np.isfinite(relative_distance(np.full((2, 2), 5, np.float32), (5.0, 5.0))).all()


def test_one_more_point_is_wanted_where_there_is_none() -> None:
    depth = slope()
    left = References(tuple(p for p in references(depth, 60).points if p[0] < 22))
    found = measure(depth, SIZE, (25.0, 210.0), left)
    places = np.array(left.points)[:, :2]
    wanted = where_next(places, depth, SIZE, found.fit, found.depth)
    assert wanted is not None
    assert wanted[0] > 30
    nothing = np.full_like(found.depth, np.nan)
    assert where_next(places, depth, SIZE, found.fit, nothing) is None
