"""Which reference points agree on one line from the network's depth to inverse metres.

Knows arrays of points only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from depthd.metres.references import Undetermined

Array = NDArray[np.float64]

# Chosen on photos with measured depth; `python -m depthd.training.metres` says which. Errors are
# in units of the points' median inverse depth.
LEAST_POINTS = 3
CUT = 3.0  # a point is thrown out that is more than so many deviations off
TYPICAL_RATIO = 0.3  # inverse depth of what is far over that of what is near, in most photos
_RATIO_DEVIATION = 0.2
_LEAST_ERROR = 0.05  # points that agree better than so do it by chance
_BISQUARE = 3.5
_VAGUE = 0.8  # of the inverse depth of what is far, or near: the line is no better known there
_MOST_PAIRS = 1000
_ROUNDS = 8
_STILL = 0.01  # of the deviation: less is no change
WRONG_WAY = "what the reference points call nearer does not look nearer to the network"

# Far minus TYPICAL_RATIO times near, for depth that runs from 0 to 1: what a photo with few or
# bunched points is taken to look like, until points say otherwise.
RATIO_EQUATION = np.array([-TYPICAL_RATIO, 1 - TYPICAL_RATIO])


@dataclass(frozen=True)
class Problem:
    """Points in the fit's own units.

    `depth` runs from 0 (far) to 1 (near); `precision` is one over each point's deviation, which is
    1 for the median point of a good network.
    """

    place: Array
    depth: Array
    inverse: Array  # 1/m
    precision: Array
    unit: float  # 1/m; the points' median

    def of(self, used: NDArray[np.bool_]) -> Problem:
        return Problem(
            self.place[used],
            self.depth[used],
            self.inverse[used],
            self.precision[used],
            self.unit,
        )


@dataclass(frozen=True)
class Line:
    """inverse = scale * depth + shift, with points `deviation / precision` off."""

    scale: float
    shift: float
    deviation: float

    def at(self, depth: Array) -> Array:
        return self.scale * depth + self.shift

    @property
    def ratio_weight(self) -> float:
        """Weight of the equation far - TYPICAL_RATIO * near = 0."""
        near = max(self.scale + self.shift, 1e-9)
        return 1 / (_RATIO_DEVIATION * near)


def agree(problem: Problem) -> tuple[Line, NDArray[np.bool_]]:
    """The line that most points agree on, and which they are, (n,) bool.

    1. Each pair of points gives a line (1000 of them, if there are more); the one that most points
       agree with is taken, as in least median of squares (Rousseeuw 1984) but with a cut-off
       square.
    2. It is refined by reweighting (Tukey's bisquare); what is left far off does not agree.

    Raises:
        Undetermined: too few agree, or they do not tell the line.
    """
    line = _refine(problem, _most_agreed(problem))
    agreeing = _agreeing(problem, line)
    _demand(problem, line, agreeing)
    return line, agreeing


def _most_agreed(problem: Problem) -> Line:
    """The line through two points that the most points agree with."""
    depth, inverse = problem.depth, problem.inverse
    first, second = np.triu_indices(len(depth), 1)
    if len(first) > _MOST_PAIRS:
        some = np.linspace(0, len(first) - 1, _MOST_PAIRS).astype(np.intp)
        first, second = first[some], second[some]
    apart = np.abs(depth[second] - depth[first]) > 1e-3
    first, second = first[apart], second[apart]
    scale = (inverse[second] - inverse[first]) / (depth[second] - depth[first])
    shift = inverse[first] - scale * depth[first]
    rising = scale > 0
    if not rising.any():
        raise Undetermined(WRONG_WAY)
    scale, shift = scale[rising], shift[rising]
    off = np.abs(scale[:, None] * depth + shift[:, None] - inverse) * problem.precision
    majority = max(-(-3 * len(depth) // 5), LEAST_POINTS)
    best = np.partition(off, majority - 1, axis=1)[:, :majority].mean(axis=1).min()
    deviation = max(1.5 * float(best), _LEAST_ERROR * problem.unit)
    cost = np.minimum((off / (2.5 * deviation)) ** 2, 1).sum(axis=1)
    ratio = shift / np.maximum(scale + shift, 1e-9)
    oddness = ((ratio - TYPICAL_RATIO) / _RATIO_DEVIATION) ** 2
    chosen = int(np.argmin(cost + 0.1 * np.minimum(oddness, 30)))
    return Line(float(scale[chosen]), float(shift[chosen]), deviation)


def _refine(problem: Problem, line: Line) -> Line:
    """Iteratively reweighted least squares; the deviation is that of the points that count."""
    counted = np.ones(len(problem.depth), bool)
    throws = len(counted) > LEAST_POINTS  # of three points none can be called wrong
    for _ in range(_ROUNDS):
        off = (line.at(problem.depth) - problem.inverse) * problem.precision
        deviation = _deviation(off[counted], problem.unit)
        weight = np.maximum(1 - (off / (_BISQUARE * deviation)) ** 2, 0)
        if throws and np.count_nonzero(weight) >= LEAST_POINTS:
            counted = weight > 0
        else:
            weight = counted.astype(np.float64)
        rows = weight * problem.precision / deviation
        columns = np.stack([problem.depth * rows, rows], axis=1)
        equation = RATIO_EQUATION * line.ratio_weight
        normal = columns.T @ columns + np.outer(equation, equation)
        right = columns.T @ (problem.inverse * rows)
        determinant = float(normal[0, 0] * normal[1, 1] - normal[0, 1] ** 2)
        if determinant <= 1e-12 * normal[0, 0] * normal[1, 1]:
            raise Undetermined(_alike(int(counted.sum())))
        scale = float(normal[1, 1] * right[0] - normal[0, 1] * right[1]) / determinant
        shift = float(normal[0, 0] * right[1] - normal[0, 1] * right[0]) / determinant
        moved = max(abs(scale - line.scale), abs(shift - line.shift))
        line = Line(scale, shift, deviation)
        if moved < _STILL * deviation:
            break
    return line


def _deviation(off: Array, unit: float) -> float:
    """By the median, raised for small numbers."""
    raised = 1.4826 * (1 + 2 / max(len(off) - 2, 2))
    return max(raised * float(np.median(np.abs(off))), _LEAST_ERROR * unit)


def _agreeing(problem: Problem, line: Line) -> NDArray[np.bool_]:
    if len(problem.depth) == LEAST_POINTS:
        return np.ones(LEAST_POINTS, bool)
    off = (line.at(problem.depth) - problem.inverse) * problem.precision
    return np.asarray(np.abs(off) < CUT * line.deviation)


def _demand(problem: Problem, line: Line, agreeing: NDArray[np.bool_]) -> None:
    """Enough points agree, they rise, and they are spread enough to tell the scale."""
    count, agreed = len(agreeing), int(agreeing.sum())
    if agreed < LEAST_POINTS or 2 * agreed <= count:
        raise Undetermined(f"only {agreed} of {count} reference points agree with each other")
    if line.scale <= 0:
        raise Undetermined(WRONG_WAY)
    weight = (problem.precision[agreeing] / line.deviation) ** 2
    depth = problem.depth[agreeing]
    middle = (depth * weight).sum() / weight.sum()
    information = max(float(((depth - middle) ** 2 * weight).sum()), 1e-30)
    ends = np.array([0.0, 1.0])  # what is far and what is near in this photo
    deviation = np.sqrt(1 / weight.sum() + (ends - middle) ** 2 / information)
    if (deviation > _VAGUE * line.at(ends)).any():
        raise Undetermined(_alike(agreed))


def _alike(count: int) -> str:
    return (
        f"the {count} reference points that agree are too much alike in depth to tell the scale; "
        "one more that is much nearer or farther would help"
    )
