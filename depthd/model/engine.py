"""What an engine is, and what it says of itself. Importing this module imports none."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

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


def processor_name() -> str:
    """The processor's marketing name on x86, else the machine's architecture."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except (OSError, ValueError):
        pass
    return os.uname().machine
