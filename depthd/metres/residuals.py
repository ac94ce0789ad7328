"""What is left at the reference points, spread smoothly over the photo.

Knows arrays only.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

LENGTH = 0.3  # of the photo's longer side: how far a point's residual reaches
_GRID = 32  # nodes along the longer side; between them it is smooth enough for straight lines


def covariance(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rational quadratic kernel with alpha = 1 (Rasmussen and Williams 2006, equation 4.19).

    Args:
        first: (n, 2) places in units of the photo's longer side.
        second: (m, 2) places.

    Returns:
        (n, m), 1 at distance 0.
    """
    squares = np.square(first[:, None] - second[None]).sum(axis=2)
    return np.asarray(1 / (1 + squares / (2 * LENGTH**2)))


@dataclass(frozen=True)
class Residuals:
    """A sum of bumps: `centres` (n, 2) in the photo's longer side, `heights` (n,) in 1/m."""

    centres: NDArray[np.float64]
    heights: NDArray[np.float64]

    def at(self, places: NDArray[np.float64]) -> NDArray[np.float64]:
        """(m,) in 1/m at places (m, 2)."""
        return np.asarray(covariance(places, self.centres) @ self.heights)

    def over(self, width: int, height: int) -> NDArray[np.float32]:
        """float32 (height, width) in 1/m for a photo of this size or shape."""
        longer = max(width, height)
        across, down = (max(2, -(-_GRID * side // longer)) for side in (width, height))
        x = (np.arange(across) + 0.5) / across * (width / longer)
        y = (np.arange(down) + 0.5) / down * (height / longer)
        nodes = np.stack(np.meshgrid(x, y), axis=2).reshape(-1, 2)
        grid = self.at(nodes).reshape(down, across).astype(np.float32)
        large = cv2.resize(grid, (width, height), interpolation=cv2.INTER_LINEAR)
        return np.asarray(large, np.float32)
