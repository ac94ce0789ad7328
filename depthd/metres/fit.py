"""Scale and shift from reference points: robust, and with an error that can be believed.

The network's depth d is inverse depth up to scale and shift, and so is upstream's (Ranftl et al.,
TPAMI 2022, section 5.1): 1 / metres = scale * d + shift. Scale and shift differ from photo to
photo. What the network gets wrong is, in inverse depth, about the same near and far; so points
count about alike there, a little less where they are near or where the tape is inexact.

Knows arrays of points only. All of it takes well below a millisecond for twelve points.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from depthd.metres.agreement import (
    CUT,
    LEAST_POINTS,
    RATIO_EQUATION,
    WRONG_WAY,
    Array,
    Line,
    Problem,
    agree,
)
from depthd.metres.references import Undetermined
from depthd.metres.residuals import Residuals, covariance

# Chosen on photos with measured depth; `python -m depthd.training.metres` says which.
LIMIT = 0.4  # expected error above which there are no metres
REACH = 2.0  # metres are given up to so many times the farthest point's distance
_TAPE = 0.01  # metres, and share of the distance: the error of what was measured
_NETWORK_ERROR = 0.1  # of the points' median inverse depth; weighs the tape's error against it
_NEAR_ERROR = 0.5  # a point with q times the median is off by sqrt(1 + (0.5 q)**2) as much
SMOOTH = 2.0  # deviation of the smooth residuals over that of the rest
_LEAST_SMOOTH = 5  # points
_SMALL = 4.0  # leave-one-out is too hopeful for few points; by the factor 1 + 4 / points


@dataclass(frozen=True)
class Points:
    """Reference points on one photo, all arrays float64 with one row a point.

    Attributes:
        place: (n, 2), x and y in units of the photo's longer side.
        depth: (n,), the network's relative inverse depth there.
        metres: (n,), as measured.
        low, high: depth of what is far and near in this photo (2nd and 98th percentile).
    """

    place: Array
    depth: Array
    metres: Array
    low: float
    high: float


@dataclass(frozen=True)
class Fit:
    """1 / metres = scale * depth + shift + residuals.

    Attributes:
        scale: above 0.
        shift: 1/m.
        residuals: smooth over the photo, 1/m; None where leave-one-out says they do not help.
        used: (n,) bool, False where a point was thrown out.
        predicted: (n,) metres; for a point that was used, what the others say of it.
        leave_one_out: mean relative error of the points used, each predicted from the others.
        error: mean relative error to be expected in the photo; like leave_one_out, and counts a
            point that was thrown out as if it were just inside the cut, and how few there are.
        nearest, farthest: metres of the points used.
    """

    scale: float
    shift: float
    residuals: Residuals | None
    used: NDArray[np.bool_]
    predicted: Array
    leave_one_out: float
    error: float
    nearest: float
    farthest: float

    @property
    def reach(self) -> float:
        """Metres are not given beyond this distance."""
        return REACH * self.farthest


@dataclass(frozen=True)
class _Solution:
    """A line and maybe residuals; `left_out` is each point's value minus what the others say."""

    line: Line
    residuals: Residuals | None
    left_out: Array


def fit(points: Points) -> Fit:
    """Scale, shift and error from reference points, of which up to a third may be grossly wrong.

    The points that agree (see `agreement`) are solved by universal kriging: a line, with or
    without smooth residuals. Each point's leave-one-out error follows in closed form (Dubrule
    1983); the smaller one wins.

    Raises:
        Undetermined: the points do not say what scale and shift are, or too inexactly.
    """
    count = len(points.metres)
    if count < LEAST_POINTS:
        raise Undetermined(f"{LEAST_POINTS} reference points are needed, and there are {count}")
    if not points.high > points.low:
        raise Undetermined("the network sees no depth in this photo")
    problem = _problem(points)
    line, used = agree(problem)
    kept = problem.of(used)
    solutions = [_solve(kept, line, smooth=0.0)]
    if len(kept.depth) >= _LEAST_SMOOTH:
        solutions.append(_solve(kept, line, smooth=SMOOTH))
    best = min(solutions, key=lambda solution: np.abs(solution.left_out * kept.precision).mean())
    if best.line.scale <= 0:
        raise Undetermined(WRONG_WAY)
    return _judge(points, problem, used, best)


def _problem(points: Points) -> Problem:
    inverse = 1 / points.metres
    unit = float(np.median(inverse))
    tape = _TAPE * inverse * (1 + inverse)  # of 1/z, for an error of z of 1 cm and 1 %
    variance = 1 + (_NEAR_ERROR * inverse / unit) ** 2 + (tape / (_NETWORK_ERROR * unit)) ** 2
    depth = (points.depth - points.low) / (points.high - points.low)
    return Problem(points.place, depth, inverse, 1 / np.sqrt(variance), unit)


def _solve(problem: Problem, line: Line, smooth: float) -> _Solution:
    """Universal kriging with the ratio as one more equation; Dubrule's leave-one-out."""
    count = len(problem.depth)
    matrix = np.zeros((count + 3, count + 3))
    spread = (smooth * line.deviation) ** 2
    if smooth:
        matrix[:count, :count] = spread * covariance(problem.place, problem.place)
    matrix[range(count), range(count)] += (line.deviation / problem.precision) ** 2
    matrix[count, count] = 1.0
    trend = np.stack([problem.depth, np.ones(count)], axis=1)
    trend = np.vstack([trend, RATIO_EQUATION * line.ratio_weight])
    matrix[: count + 1, count + 1 :] = trend
    matrix[count + 1 :, : count + 1] = trend.T
    inverse = np.linalg.inv(matrix)
    dual = inverse[:, :count] @ problem.inverse
    solved = Line(float(dual[count + 1]), float(dual[count + 2]), line.deviation)
    residuals = Residuals(problem.place, spread * dual[:count]) if smooth else None
    return _Solution(solved, residuals, dual[:count] / np.diag(inverse)[:count])


def _judge(points: Points, problem: Problem, used: NDArray[np.bool_], best: _Solution) -> Fit:
    """Errors of the points, and the fit in the units of depth and metres."""
    predicted = best.line.at(problem.depth)
    if best.residuals is not None:
        predicted = predicted + best.residuals.at(problem.place)
    predicted[used] = problem.inverse[used] - best.left_out
    metres = 1 / np.maximum(predicted, 1 / (100 * points.metres))
    off = np.minimum(np.abs(metres / points.metres - 1), 1)
    cut = CUT * best.line.deviation / problem.precision
    just_inside = cut / np.maximum(problem.inverse, predicted)
    counted = np.where(used, off, np.minimum(just_inside, 1))
    error = float(counted.mean()) * (1 + _SMALL / int(used.sum()))
    if error > LIMIT:
        raise Undetermined(
            f"the error to be expected, {error:.0%}, is above {LIMIT:.0%}: "
            f"{used.sum()} of {len(used)} reference points agree, and not closely"
        )
    scale = best.line.scale / (points.high - points.low)
    return Fit(
        scale=scale,
        shift=best.line.shift - scale * points.low,
        residuals=best.residuals,
        used=used,
        predicted=metres,
        leave_one_out=float(off[used].mean()),
        error=error,
        nearest=float(points.metres[used].min()),
        farthest=float(points.metres[used].max()),
    )
