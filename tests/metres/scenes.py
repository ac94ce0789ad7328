"""Scenes whose metres are known, for tests of the fit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from depthd.metres.fit import Points

SCALE, SHIFT = 0.004, 0.1  # 1/m for each unit of depth, and 1/m
LOW, HIGH = 20.0, 220.0  # 0.18 to 0.98 1/m, so from 5.6 m to 1 m


@dataclass(frozen=True)
class Scene:
    """Points that are exactly right until a test spoils them."""

    place: NDArray[np.float64]
    depth: NDArray[np.float64]
    metres: NDArray[np.float64]

    def points(self) -> Points:
        return Points(self.place, self.depth, self.metres, LOW, HIGH)


def scene(count: int, seed: int = 1, noise: float = 0.0, bend: float = 0.0) -> Scene:
    """Points spread over the photo and over depth.

    `noise` is the deviation of inverse depth, `bend` what the network makes of the left against
    the right side of the photo, both as shares of 0.5 1/m.
    """
    random = np.random.default_rng(seed)
    place = random.random((count, 2)) * (1, 0.75)
    depth = random.permutation(np.linspace(LOW, HIGH, count))
    inverse = SCALE * depth + SHIFT
    inverse += 0.5 * bend * np.sin(2 * place[:, 0]) + 0.5 * noise * random.normal(size=count)
    return Scene(place, depth, 1 / np.maximum(inverse, 0.05))
