from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from depthd.training import evaluate, pairs


@pytest.mark.parametrize(("scale", "shift"), [(7, -3), (1e16, 3e16), (1e-12, 1e-13)])
def test_scale_and_shift_are_fitted(scale: float, shift: float) -> None:
    random = np.random.default_rng(0)
    inverse = random.uniform(0.1, 1, (20, 30)).astype(np.float32)
    found = evaluate.score((scale * inverse + shift).astype(np.float32), inverse)
    assert found.over == 0
    assert found.disordered == 0


def test_score_of_a_case_done_by_hand() -> None:
    # Truth 1, 1, 2, 2 against a guess that tells nothing: the fit is 1.5 everywhere, a ratio of
    # 1.5 for the far half (over) and of 1.33 for the near half (over). Ties count half.
    inverse = np.array([[1.0, 1.0], [2.0, 2.0]], dtype=np.float32).repeat(20, axis=0)
    found = evaluate.score(np.ones_like(inverse), inverse)
    assert found.over == 1.0
    assert found.disordered == 0.5


def test_sky_and_unknown_pixels_do_not_count() -> None:
    inverse = np.array([[0.5, 1.0, 1.5, np.nan, 0.0]], dtype=np.float32).repeat(10, axis=0)
    guess = np.array([[1.0, 2.0, 3.0, 99.0, -99.0]], dtype=np.float32).repeat(10, axis=0)
    assert evaluate.score(guess, inverse) == evaluate.Score(0.0, 0.0)


def test_a_reversed_map_orders_every_pair_wrongly_before_the_fit_turns_it() -> None:
    # A free scale may turn a map round; the order is then right, as it is for the eye.
    inverse = np.linspace(0.2, 1, 50, dtype=np.float32)[:, None].repeat(4, axis=1)
    assert evaluate.score(-inverse, inverse).disordered == 0


def test_ramp_is_perfect_on_a_plane_and_constant_is_not(tmp_path: Path) -> None:
    inverse = np.linspace(0.2, 1, 40, dtype=np.float32)[:, None].repeat(60, axis=1)
    pairs.write(tmp_path / "plane", np.zeros((40, 60, 3), np.uint8), inverse)
    found = evaluate.measure(tmp_path, evaluate.constant)
    assert found["ramp"].over == 0
    assert found["constant"].over > 0.3


@pytest.mark.parametrize(
    ("suffix", "stored", "expected"),
    [
        (".depth.png", np.uint16([[2000, 500], [0, 1000]]), [[0.5, 2.0], [np.nan, 1.0]]),
        (".inverse-depth.png", np.uint8([[255, 1], [0, 8]]), [[255, 1], [np.nan, 8]]),
        (".inverse.png", np.uint16([[1, 65535], [0, 3]]), [[0, 65534], [np.nan, 2]]),
    ],
)
def test_the_three_formats_are_read(
    tmp_path: Path, suffix: str, stored: np.ndarray, expected: list[list[float]]
) -> None:
    cv2.imwrite(str(tmp_path / "a.jpg"), np.zeros((2, 2, 3), np.uint8))
    cv2.imwrite(str(tmp_path / f"a{suffix}"), stored)
    _, inverse = pairs.read(tmp_path / f"a{suffix}")
    np.testing.assert_allclose(inverse, expected, rtol=1e-6)


def test_a_pair_without_its_photo_is_an_error(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.depth.png"), np.ones((2, 2), np.uint16))
    with pytest.raises(ValueError, match="missing"):
        pairs.read(tmp_path / "a.depth.png")
