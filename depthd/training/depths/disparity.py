"""Disparity, or what another network said: larger is nearer; scale and shift are unknown."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def inverse(stored: NDArray[np.float32]) -> NDArray[np.float32]:
    """Inverse depth up to scale and shift (H, W), NaN where it is 0: unknown."""
    return np.where(stored > 0, stored, np.nan).astype(np.float32)
