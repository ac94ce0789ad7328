"""What an engine is, and the choice between the two. Importing this module imports neither."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from depthd.config import Model
from depthd.contract.errors import UnavailableError
from depthd.model.weights import Weights

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class EngineDescription:
    """What runs the network.

    Attributes:
        engine: `torch` or `openvino`.
        precision: the arithmetic it really uses, `f32` or `bf16`.
        threads: how many threads its inferences use, all streams together.
        device: the processor's name, as far as it is known.
    """

    engine: str
    engine_version: str
    precision: str
    threads: int
    device: str


class Engine(Protocol):
    """A loaded network, for as many threads at once as it has streams.

    Attributes:
        streams: how many inferences may run at once, each on its share of the processors.
        most_streams: how many it can be given.
    """

    @property
    def description(self) -> EngineDescription: ...
    @property
    def streams(self) -> int: ...
    @property
    def most_streams(self) -> int: ...

    def infer(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Relative inverse depth of one prepared photo.

        Args:
            batch: (1, 3, h, w) float32, RGB, normalised with ImageNet's mean and standard
                deviation; h and w are multiples of 32.

        Returns:
            (h, w) float32, at least 0, larger is nearer; an array of the caller's own, the same
            to the last bit in any number of streams.
        """
        ...

    def arrange(self, streams: int) -> None:
        """Change the number of streams, while no inference runs; takes half a second.

        Raises:
            UnavailableError: it cannot be had, for lack of memory say; nothing has changed.
        """
        ...


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


def processor_name() -> str:
    """The processor's marketing name on x86, else the machine's architecture."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except (OSError, ValueError):
        pass
    return os.uname().machine
