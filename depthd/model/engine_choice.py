"""The choice between the two engines. Importing this module imports neither."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

from depthd.config import Model
from depthd.contract.errors import UnavailableError
from depthd.model.engine import Engine
from depthd.model.weights import Weights


def open_engine(
    config: Model,
    weights: Weights,
    state: Path,
    *,
    report: Callable[[str], None],
    is_busy: bool = False,
) -> Engine:
    """Load the network into the configured engine; it has run once when this returns.

    Args:
        config: the section `model`.
        weights: from `find_weights`.
        state: the folder state/; OpenVINO's form of the network is kept in state/models/.
        report: told in words about slow steps.
        is_busy: begin with as many streams as there can be, not with one.

    Raises:
        UnavailableError: the engine is not installed, the processor lacks the precision, or the
            weights do not fit the network.
    """
    if config.engine == "torch" or (config.engine == "auto" and not _installed("openvino")):
        if not all(map(_installed, ("torch", "torchvision", "timm"))):
            raise UnavailableError(
                "model.engine is torch, which is not installed"
                if config.engine == "torch"
                else "neither openvino nor torch is installed",
                "run \"pip install 'depthd[torch]'\" in depthd's environment"
                + (", or set model.engine: auto" if _installed("openvino") else ""),
            )
        from depthd.model.engine_torch import TorchEngine  # noqa: PLC0415 - two seconds

        return TorchEngine(config, weights)
    if not _installed("openvino"):
        raise UnavailableError(
            "model.engine is openvino, which is not installed",
            "run 'pip install openvino', or set model.engine: torch",
        )
    from depthd.model.engine_openvino import OpenVinoEngine  # noqa: PLC0415 - a heavy import
    from depthd.model.prepare import prepare  # noqa: PLC0415 - not needed for torch

    return OpenVinoEngine(config, prepare(weights, state, report=report), is_busy=is_busy)


def _installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ValueError:  # blocked on purpose
        return False
