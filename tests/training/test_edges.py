"""Edges of heatmaps against borders, and backgrounds that are out of focus."""

from __future__ import annotations

import numpy as np

from depthd.training import blur, edges


def box(left: int) -> np.ndarray:
    """A near square before a far wall."""
    inverse = np.full((192, 256), 0.2, np.float32)
    inverse[60:130, left : left + 80] = 1.0
    return inverse


def test_the_truth_has_all_edges_and_only_true_ones() -> None:
    found = edges.compare(box(90), box(90))
    assert found == edges.Edges(1.0, 1.0)


def test_an_edge_elsewhere_is_neither_found_nor_true() -> None:
    found = edges.compare(box(150), box(90))
    assert found is not None
    assert found.complete < 0.7
    assert found.accurate < 0.7


def test_a_smooth_map_finds_nothing() -> None:
    smooth = np.linspace(0, 1, 192, dtype=np.float32)[:, None].repeat(256, axis=1)
    found = edges.compare(smooth, box(90))
    assert found == edges.Edges(0.0, 0.0)


def test_sparse_depth_knows_no_borders() -> None:
    truth = box(90)
    truth[::2] = np.nan
    assert edges.compare(box(90), truth) is None


def test_only_what_is_far_gets_blurred() -> None:
    random = np.random.default_rng(1)
    photo = random.integers(0, 255, (192, 256, 3)).astype(np.uint8)
    inverse = np.full((192, 256), 0.2, np.float32)
    inverse[:, :160] = 1.0
    seen = blur.behind(photo, inverse, random)
    near = inverse == 1.0
    np.testing.assert_array_equal(seen[near], photo[near])
    assert seen[~near].std() < 0.7 * photo[~near].std()
