"""Sparse depth: a few pixels of a photo that a laser has met."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SPARSE = 0.3
"""With a smaller share of known pixels a map counts as sparse."""


def is_sparse(inverse: NDArray[np.float32]) -> bool:
    """Whether picking every n-th pixel would lose most of what is known."""
    return float(np.isfinite(inverse).mean()) < SPARSE


def gather(inverse: NDArray[np.float32], width: int, height: int) -> NDArray[np.float32]:
    """A smaller map in which each pixel has the nearest point that was met in its part."""
    rows = np.arange(inverse.shape[0]) * height // inverse.shape[0]
    columns = np.arange(inverse.shape[1]) * width // inverse.shape[1]
    y, x = np.nonzero(np.isfinite(inverse))
    small = np.full((height, width), -np.inf, dtype=np.float32)
    np.maximum.at(small, (rows[y], columns[x]), inverse[y, x])
    return np.where(np.isfinite(small), small, np.nan).astype(np.float32)
