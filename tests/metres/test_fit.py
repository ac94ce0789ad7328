"""The fit: exact where points are, sane where they are not, and honest about its error."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from depthd.metres import agreement
from depthd.metres import fit as fitting
from depthd.metres.agreement import agree
from depthd.metres.fit import LIMIT, REACH, Points, fit
from depthd.metres.references import Undetermined

from .scenes import HIGH, LOW, SCALE, SHIFT, Scene, scene


@pytest.mark.parametrize("count", [3, 4, 6, 12, 100])
def test_exact_points_give_scale_and_shift(count: int) -> None:
    found = fit(scene(count).points())
    # The typical ratio of far to near, 0.3 where it is 0.18 here, pulls a little at few points.
    tolerance = 0.02 if count < 6 else 0.005
    assert found.scale == pytest.approx(SCALE, rel=tolerance)
    assert found.shift == pytest.approx(SHIFT, rel=2 * tolerance, abs=0.003)
    assert found.used.all()
    assert found.error < (0.1 if count < 6 else 0.03)
    assert found.reach == REACH * found.farthest


def spoilt(right: Scene, wrong: int, seed: int) -> Scene:
    """Some points off by a factor of 2 to 5, nearer (covered) or farther (measured wrongly)."""
    random = np.random.default_rng(seed)
    metres = right.metres.copy()
    factor = np.exp(random.uniform(np.log(2), np.log(5), wrong))
    metres[:wrong] *= np.where(random.random(wrong) < 0.5, factor, 1 / factor)
    return replace(right, metres=metres)


@pytest.mark.parametrize("seed", range(20))
def test_a_third_of_the_points_may_be_wrong(seed: int) -> None:
    found = fit(spoilt(scene(12, seed, noise=0.02), 4, seed).points())
    assert not found.used[:4].any() or found.error > 0.1
    assert found.used[4:].sum() >= 6
    assert found.scale == pytest.approx(SCALE, rel=0.1)


def test_plain_least_squares_would_have_failed() -> None:
    """So the spoilt points are bad enough to test anything."""
    off = []
    for seed in range(20):
        points = spoilt(scene(12, seed, noise=0.02), 4, seed).points()
        off.append(abs(np.polyfit(points.depth, 1 / points.metres, 1)[0] / SCALE - 1))
    assert np.median(off) > 0.3


def test_leave_one_out_is_what_refitting_says() -> None:
    """Dubrule's closed form against kriging without each point in turn."""
    problem = fitting._problem(scene(9, 5, noise=0.1, bend=0.2).points())
    line, _ = agree(problem)
    for smooth in (0.0, fitting.SMOOTH):
        whole = fitting._solve(problem, line, smooth)
        for left_out in range(9):
            others = fitting._solve(problem.of(np.arange(9) != left_out), line, smooth)
            expected = others.line.at(problem.depth[left_out : left_out + 1])
            if others.residuals is not None:
                expected = expected + others.residuals.at(problem.place[left_out : left_out + 1])
            got = problem.inverse[left_out] - whole.left_out[left_out]
            assert got == pytest.approx(float(expected[0]), rel=1e-6)


def test_smooth_residuals_are_used_where_they_help_and_only_there() -> None:
    bent = fit(scene(20, 2, noise=0.01, bend=0.25).points())
    assert bent.residuals is not None
    straight = [fit(scene(20, seed, noise=0.1).points()).residuals for seed in range(10)]
    assert straight.count(None) >= 6
    assert bent.leave_one_out < 0.05


def test_the_residuals_bring_the_points_back() -> None:
    points = scene(20, 2, noise=0.01, bend=0.25).points()
    found = fit(points)
    assert found.residuals is not None
    inverse = found.scale * points.depth + found.shift + found.residuals.at(points.place)
    assert np.abs(1 / inverse / points.metres - 1).mean() < 0.03


@pytest.mark.parametrize("noise", [0.05, 0.15])
def test_the_error_said_is_about_the_true_one(noise: float) -> None:
    said, true = [], []
    for seed in range(30):
        try:
            found = fit(scene(12, seed, noise=noise).points())
        except Undetermined:
            continue
        others = scene(200, seed + 1000, noise=noise)  # new points of the same kind
        inverse = np.maximum(found.scale * others.depth + found.shift, 1e-3)
        true.append(np.abs(1 / inverse / others.metres - 1).mean())
        said.append(found.error)
    assert len(said) > 20
    assert 0.6 < np.mean(said) / np.mean(true) < 1.7


def refusal(points: Points) -> str:
    with pytest.raises(Undetermined) as caught:
        fit(points)
    return str(caught.value)


def test_too_few_points() -> None:
    assert refusal(scene(2).points()) == "3 reference points are needed, and there are 2"
    nothing = Points(np.empty((0, 2)), np.empty(0), np.empty(0), LOW, HIGH)
    assert "there are 0" in refusal(nothing)


def test_a_photo_without_depth() -> None:
    flat = replace(scene(6).points(), low=5.0, high=5.0)
    assert refusal(flat) == "the network sees no depth in this photo"


def test_near_and_far_exchanged() -> None:
    right = scene(8)
    assert "does not look nearer" in refusal(replace(right, depth=-right.depth).points())


def test_points_that_are_all_at_one_depth() -> None:
    bunched = replace(scene(8), depth=np.linspace(118, 122, 8), metres=np.full(8, 1.72))
    noise = np.random.default_rng(0).normal(size=8) * 0.05
    spread = replace(bunched, metres=1 / (1 / bunched.metres + noise))
    assert "alike in depth" in refusal(spread.points()) or "nearer" in refusal(spread.points())
    identical = replace(bunched, depth=np.full(8, 120.0))
    refusal(identical.points())


def test_points_that_say_nothing_together() -> None:
    words = [
        refusal(replace(scene(12, seed), metres=np.geomspace(0.2, 90, 12)).points())
        for seed in range(5)
    ]
    assert all("agree" in text or "nearer" in text or "alike" in text for text in words)


def test_no_metres_above_the_limit() -> None:
    """What is left after refusing is never worse than it says the limit is."""
    for seed in range(40):
        try:
            found = fit(scene(6, seed, noise=0.5).points())
        except Undetermined:
            continue
        assert found.error <= LIMIT


def test_three_points_are_all_used() -> None:
    off = scene(3, noise=0.0)
    metres = off.metres * [1.0, 1.1, 1.0]
    assert fit(replace(off, metres=metres).points()).used.all()


numbers = st.floats(0.01, 1000)


@given(
    st.lists(
        st.tuples(st.floats(0, 1), st.floats(0, 1), st.floats(-50, 400), numbers),
        min_size=3,
        max_size=60,
    )
)
@settings(max_examples=300)
def test_whatever_the_points_there_is_a_reason_or_a_sane_fit(
    rows: list[tuple[float, float, float, float]],
) -> None:
    array: NDArray[np.float64] = np.array(rows)
    try:
        found = fit(Points(array[:, :2], array[:, 2], array[:, 3], LOW, HIGH))
    except Undetermined:
        return
    assert found.scale > 0
    assert np.isfinite([found.scale, found.shift, found.leave_one_out]).all()
    assert 0 <= found.error <= LIMIT
    assert 2 * found.used.sum() > len(rows)
    assert found.used.sum() >= agreement.LEAST_POINTS
    assert 0 < found.nearest <= found.farthest
    assert (found.predicted > 0).all()
