"""Metres: a stored number is so many parts of a metre, larger is farther, 0 is unknown."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def inverse(stored: NDArray[np.float32], parts: float, limit: float) -> NDArray[np.float32]:
    """1 / metres (H, W), NaN where it is unknown or beyond `limit` metres."""
    metres = stored / np.float32(parts)
    known = (stored > 0) & (metres <= limit)
    return np.where(known, 1 / np.where(known, metres, 1), np.nan).astype(np.float32)
