"""The serving engine: OpenVINO on the CPU. Never imports torch.

Knows OpenVINO; finding and converting the network is `prepare`'s.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from depthd.config import Model
from depthd.errors import UnavailableError
from depthd.model.cpus import usable_cpus
from depthd.model.engine import EngineDescription
from depthd.model.silent_openvino import openvino

if TYPE_CHECKING:
    from numpy.typing import NDArray

_DEVICE = "CPU"


class OpenVinoEngine:
    """See `Engine`. Memory stays flat over changing shapes: height and width are dynamic.

    Args:
        config: the section `model`.
        network: `model.xml`, from `prepare`.
    """

    def __init__(self, config: Model, network: Path) -> None:
        """Compile the network and run it once.

        Raises:
            UnavailableError: the processor has no bf16, or OpenVINO refuses the network.
        """
        core = openvino.Core()
        if config.precision.upper() not in _precisions(core):
            raise UnavailableError(
                f"this processor has no {config.precision}", "set model.precision: f32"
            )
        threads = config.threads or usable_cpus()
        options = {
            # OpenVINO's own default is bf16 where the processor has it: other numbers.
            "INFERENCE_PRECISION_HINT": config.precision,
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": threads,
            # Pinned threads would fight with those that decode and encode, and a hardened
            # service may not call sched_setaffinity.
            "ENABLE_CPU_PINNING": False,
        }
        try:
            compiled = core.compile_model(network, _DEVICE, options)
            self._request = compiled.create_infer_request()
            self.infer(np.zeros((1, 3, 192, 256), np.float32))
        except RuntimeError as error:
            raise UnavailableError(
                f"OpenVINO cannot load {network}: {str(error).splitlines()[-1]}",
                "delete its folder, or set model.engine: torch",
            ) from error
        self.description = EngineDescription(
            "openvino",
            openvino.__version__,
            config.precision,
            threads,
            core.get_property(_DEVICE, "FULL_DEVICE_NAME"),
        )

    def infer(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        self._request.infer([batch], share_inputs=True)
        depth: NDArray[np.float32] = self._request.get_output_tensor().data[0].copy()
        return depth


def _precisions(core: openvino.Core) -> set[str]:
    names = {"FP32": "F32"}
    capabilities: list[str] = core.get_property(_DEVICE, "OPTIMIZATION_CAPABILITIES")
    return {names.get(name, name) for name in capabilities}
