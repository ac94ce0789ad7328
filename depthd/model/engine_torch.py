"""The reference engine: torch, float32, eager. Slow to start and large, but upstream's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from depthd.config import Model
from depthd.contract.errors import UnavailableError
from depthd.model.checkpoint import read_tensors
from depthd.model.cpus import usable_cpus
from depthd.model.engine import EngineDescription, processor_name
from depthd.model.network import MidasNet
from depthd.model.weights import Weights

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class TorchEngine:
    """See `Engine`. One stream: the thread count is torch's, and so holds for the whole process."""

    streams = most_streams = 1

    def __init__(self, config: Model, weights: Weights) -> None:
        """Load the network.

        Raises:
            UnavailableError: the weights do not fit, or a precision other than f32 is asked for.
        """
        if config.precision != "f32":
            raise UnavailableError(
                f"the torch engine is the reference and has no precision {config.precision}",
                "set model.precision: f32, or install openvino and set model.engine: openvino",
            )
        threads = config.threads or usable_cpus()
        torch.set_num_threads(threads)
        tensors = read_tensors(weights.spec, weights.path, weights.sha256)
        network = MidasNet.of(weights.spec).loaded(tensors)
        # A quarter faster than torch's default layout.
        self._network = network.to(memory_format=torch.channels_last)
        self.description = EngineDescription(
            "torch", str(torch.__version__), "f32", threads, processor_name()
        )
        with torch.inference_mode():
            self._network(torch.zeros(1, 3, 64, 64))

    def infer(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        photos = torch.from_numpy(batch).contiguous(memory_format=torch.channels_last)
        with torch.inference_mode():
            depth: NDArray[np.float32] = self._network(photos)[0].numpy()
        return depth

    def arrange(self, streams: int) -> None:
        """There is nothing to choose from."""
