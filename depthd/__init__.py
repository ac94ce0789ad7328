"""Photos in, depth out: MiDaS_small as a background service on a CPU.

Importing this package is cheap: what it exports is loaded on first use, because the supervisor
must never import numpy, OpenCV, OpenVINO or torch. It imports nothing at all by itself, so that
`python -m depthd` runs no code of the working directory (see `__main__`).
"""

TYPE_CHECKING = False  # typing's own would be an import
if TYPE_CHECKING:
    from depthd.config import Config
    from depthd.estimate.estimate import Estimate
    from depthd.estimate.estimator import DepthEstimator
    from depthd.estimate.reading import read_depth
    from depthd.metres.lens import Intrinsics
    from depthd.metres.references import References, Undetermined

__version__ = "0.1.0"
__all__ = [
    "Config",
    "DepthEstimator",
    "Estimate",
    "Intrinsics",
    "References",
    "Undetermined",
    "__version__",
    "read_depth",
]


_HOMES = {
    "Config": "depthd.config",
    "DepthEstimator": "depthd.estimate.estimator",
    "Estimate": "depthd.estimate.estimate",
    "Intrinsics": "depthd.metres.lens",
    "References": "depthd.metres.references",
    "Undetermined": "depthd.metres.references",
    "read_depth": "depthd.estimate.reading",
}


def __getattr__(name: str) -> object:
    if name in _HOMES:
        from importlib import import_module  # noqa: PLC0415 - see the docstring

        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
