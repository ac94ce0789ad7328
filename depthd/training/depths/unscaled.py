"""Depth without a unit, as from a camera that moved by an unknown length: larger is farther."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def inverse(stored: NDArray[np.float32]) -> NDArray[np.float32]:
    """Inverse depth up to scale (H, W), NaN where it is 0: unknown."""
    known = stored > 0
    return np.where(known, 1 / np.where(known, stored, 1), np.nan).astype(np.float32)
