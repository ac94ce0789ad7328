"""Photos in, depth out: MiDaS_small as a background service on a CPU.

Importing this package is cheap: `DepthEstimator` is loaded on first use, because the supervisor
must never import numpy, OpenCV, OpenVINO or torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["DepthEstimator", "Estimate", "__version__"]

if TYPE_CHECKING:
    from depthd.estimate.estimator import DepthEstimator, Estimate


def __getattr__(name: str) -> Any:
    if name in ("DepthEstimator", "Estimate"):
        from depthd.estimate import estimator  # noqa: PLC0415 - see the docstring

        return getattr(estimator, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
