"""Photos in, depth out: MiDaS_small as a background service on a CPU.

Importing this package is cheap: what it exports is loaded on first use, because the supervisor
must never import numpy, OpenCV, OpenVINO or torch. It imports nothing at all by itself, so that
`python -m depthd` runs no code of the working directory (see `__main__`).
"""

TYPE_CHECKING = False  # typing's own would be an import
if TYPE_CHECKING:
    from depthd.config import Config
    from depthd.estimate.estimator import DepthEstimator, Estimate

__version__ = "0.1.0"
__all__ = ["Config", "DepthEstimator", "Estimate", "__version__"]


def __getattr__(name: str) -> object:
    if name == "Config":
        from depthd import config  # noqa: PLC0415 - see the docstring

        return config.Config
    if name in ("DepthEstimator", "Estimate"):
        from depthd.estimate import estimator  # noqa: PLC0415 - see the docstring

        return getattr(estimator, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
