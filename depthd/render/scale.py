"""Which depth is drawn darkest and which brightest, and what stands beside the colours.

Knows estimates, the policy's range, and palette indices; draws nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from depthd.config import FolderPolicy
from depthd.contract import manifest
from depthd.estimate.estimate import Estimate
from depthd.render.colors import quantise

_MARGIN = 1.5  # times nearer and farther than the reference points are still told apart
_BLOCK = 2**17  # values computed at a time, so that all passes stay in the cache
_STEPS = ((1, 1.5, 2, 3, 4, 5, 6, 8), (1, 2, 3, 5), (1, 2, 5), (1,))  # times powers of ten
_MOST_TICKS = 7


@dataclass(frozen=True)
class Scale:
    """From values to palette indices; bright is near.

    Attributes:
        darkest, brightest: metres (then darkest is the larger one) or relative inverse depth.
        is_metres: the colours are even steps of the distance's logarithm, so that an error of so
            many per cent looks the same near and far; else of relative inverse depth.
    """

    darkest: float
    brightest: float
    is_metres: bool = False

    @property
    def ends(self) -> tuple[float, float]:
        """As the manifest has them."""
        return self.darkest, self.brightest

    def indices(self, values: NDArray[np.float32]) -> NDArray[np.uint8]:
        """uint8 (H, W): 0 is darkest, and what has no metres."""
        if not self.is_metres:
            return cast("NDArray[np.uint8]", quantise(values, self.darkest, self.brightest, 255))
        indices = np.empty(values.shape, np.uint8)
        step = np.float32(255 / math.log(self.darkest / self.brightest))
        farthest = np.float32(math.log(self.darkest))
        rows = max(1, _BLOCK // values.shape[1])
        for start in range(0, values.shape[0], rows):
            logarithm = np.log(values[start : start + rows])
            np.subtract(farthest, logarithm, out=logarithm)
            logarithm *= step
            np.fmax(logarithm, 0, out=logarithm)  # fmax: 0 for NaN too
            np.minimum(logarithm, 255, out=logarithm)
            indices[start : start + rows] = logarithm
        return indices

    def ticks(self) -> Iterator[tuple[float, str]]:
        """Round distances for the legend: the share of the bar from far to near, and the words."""
        if not self.is_metres:
            return
        span = math.log(self.darkest / self.brightest)
        for metres in _round_distances(self.brightest, self.darkest):
            text = f"{metres:g} m" if metres >= 0.01 else f"{metres * 1000:g} mm"
            yield math.log(self.darkest / metres) / span, text


def _round_distances(near: float, far: float) -> list[float]:
    """As many as there is room for."""
    powers = range(math.floor(math.log10(near)), math.ceil(math.log10(far)) + 1)
    for steps in _STEPS:
        all_of_them = (step * 10.0**power for power in powers for step in steps)
        found = [metres for metres in all_of_them if near <= metres <= far]
        if len(found) <= _MOST_TICKS:
            return found or [near, far]
    return [near, far]


def scale_of(estimate: Estimate, policy: FolderPolicy) -> Scale:
    """In metres where there are some: then the same for all photos of a camera."""
    if estimate.measured is not None:
        if isinstance(policy.range, tuple):
            near, far = policy.range
        else:
            near, far = estimate.measured.span
            near, far = near / _MARGIN, far * _MARGIN
        return Scale(darkest=far, brightest=near, is_metres=True)
    return Scale(*relative_range(estimate.info.depth, policy))


def relative_range(statistics: manifest.Depth, policy: FolderPolicy) -> tuple[float, float]:
    """Relative depth that is drawn darkest and brightest."""
    if isinstance(policy.range, tuple) and not policy.references:
        return policy.range
    if policy.range in ("percentile", "rolling"):  # rolling: no photo before this one is known
        return statistics.percentiles["2"], statistics.percentiles["98"]
    return statistics.min, statistics.max


def shown_values(estimate: Estimate, size: tuple[int, int] | None = None) -> NDArray[np.float32]:
    """Metres where there are some, else relative inverse depth; of this width and height."""
    values = estimate.depth if estimate.measured is None else estimate.measured.depth
    if size is None:
        return values
    return np.asarray(cv2.resize(values, size, interpolation=cv2.INTER_AREA), np.float32)
