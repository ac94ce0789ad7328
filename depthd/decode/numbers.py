"""Signed, long and floating-point values to uint8 RGB, as viewers show them. Knows arrays only."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from depthd.contract.errors import FaultCode, PhotoError
from depthd.decode.common import Decoded
from depthd.decode.pixels import from_sixteen_bit

_BLOCK = 2**18  # values turned into float64 at a time


def from_numbers(values: NDArray[Any]) -> Decoded:
    """Values of any kind, (H, W) or (H, W, 3 or 4: RGB and what is ignored).

    Whole ones from 0 to 65535 are taken as 16-bit ones. Floating-point ones from 0 to 1 are shown
    from black to white, all others from the least (black) to the greatest (white); what is no
    number is black.
    """
    if values.ndim == 2:
        values = values[..., None]
    values = values[..., :3]
    low, high = _range(values)
    is_whole = np.issubdtype(values.dtype, np.integer)
    if is_whole and low >= 0 and high <= 65535:
        return from_sixteen_bit(values.astype(np.uint16))
    if not is_whole and low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    shown: NDArray[np.uint8] = np.empty(values.shape, np.uint8)
    scale = 255 / (high - low) if high > low else 0.0
    for rows in _blocks(values):
        levels = np.rint((values[rows].astype(np.float64) - low) * scale)
        shown[rows] = np.clip(np.nan_to_num(levels, nan=0, posinf=255, neginf=0), 0, 255)
    if shown.shape[2] == 1:
        shown = np.repeat(shown, 3, axis=2)
    return Decoded(shown, (f"values from {low:g} to {high:g} are shown from black to white",))


def _range(values: NDArray[Any]) -> tuple[float, float]:
    """Least and greatest of the finite values."""
    low, high = np.inf, -np.inf
    for rows in _blocks(values):
        finite = values[rows][np.isfinite(values[rows])]
        if finite.size:
            low, high = min(low, float(finite.min())), max(high, float(finite.max()))
    if low > high:
        raise PhotoError(FaultCode.DAMAGED, "none of its values is a number")
    return low, high


def _blocks(values: NDArray[Any]) -> list[slice]:
    step = max(1, _BLOCK // (values.shape[1] * values.shape[2]))
    return [slice(start, start + step) for start in range(0, values.shape[0], step)]
