"""The serving engine: OpenVINO on the CPU. Never imports torch.

Knows OpenVINO; finding and converting the network is `prepare`'s.
"""

from __future__ import annotations

import ctypes
import os
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING

import numpy as np

from depthd.config import Model
from depthd.contract.errors import UnavailableError
from depthd.model.cpus import usable_cpus
from depthd.model.engine import EngineDescription
from depthd.model.silent_openvino import openvino

if TYPE_CHECKING:
    from numpy.typing import NDArray

_DEVICE = "CPU"
_MADV_DONTNEED = 4
_MOST_STREAMS = 2  # the pipeline's other stages do not fill more


class OpenVinoEngine:
    """See `Engine`. Memory stays flat over changing shapes: height and width are dynamic.

    Args:
        config: the section `model`.
        network: `model.xml`, from `prepare`.
        is_busy: begin with `most_streams`.
    """

    def __init__(self, config: Model, network: Path, *, is_busy: bool = False) -> None:
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
        self.description = EngineDescription(
            "openvino",
            openvino.__version__,
            config.precision,
            threads,
            core.get_property(_DEVICE, "FULL_DEVICE_NAME"),
        )
        self.streams = 0
        self.most_streams = min(threads, _MOST_STREAMS)
        self._core = core
        self._path = network
        try:
            # Kept, so that another arrangement needs no file: the worker may open none by then.
            self._network = core.read_model(network)
        except RuntimeError as error:
            raise self._refused(error) from error
        self._mapped = _mappings(os.path.realpath(network.with_suffix(".bin")))
        self._seen: set[tuple[int, ...]] = set()
        self._free: SimpleQueue[openvino.InferRequest]
        self.arrange(self.most_streams if is_busy else 1)

    def arrange(self, streams: int) -> None:
        """See `Engine`; between two numbers of streams the memory holds both."""
        if streams == self.streams:
            return
        options = {
            # OpenVINO's own default is bf16 where the processor has it: other numbers.
            "INFERENCE_PRECISION_HINT": self.description.precision,
            "NUM_STREAMS": streams,
            "INFERENCE_NUM_THREADS": self.description.threads,
            # Pinned threads would fight with those that decode and encode, and a hardened
            # service may not call sched_setaffinity.
            "ENABLE_CPU_PINNING": False,
        }
        free: SimpleQueue[openvino.InferRequest] = SimpleQueue()
        try:
            compiled = self._core.compile_model(self._network, _DEVICE, options)
            requests = [compiled.create_infer_request() for _ in range(streams)]
            for request in requests:
                request.start_async([np.zeros((1, 3, 192, 256), np.float32)])
            for request in requests:
                request.wait()
                free.put(request)
        except RuntimeError as error:
            raise self._refused(error) from error
        self._free, self.streams = free, streams
        self._seen.clear()
        _leave_memory(self._mapped)

    def infer(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        request = self._free.get()
        try:
            request.infer([batch], share_inputs=True)
            depth: NDArray[np.float32] = request.get_output_tensor().data[0].copy()
        finally:
            self._free.put(request)
        if batch.shape not in self._seen:
            self._seen.add(batch.shape)
            _leave_memory(self._mapped)
        return depth

    def _refused(self, error: RuntimeError) -> UnavailableError:
        return UnavailableError(
            f"OpenVINO cannot load {self._path}: {str(error).splitlines()[-1]}",
            "delete its folder, or set model.engine: torch",
        )


def _mappings(file: str) -> list[tuple[int, int]]:
    """Where a file is mapped: addresses and sizes; none where the system does not say."""
    found = []
    with suppress(OSError), open("/proc/self/maps", encoding="utf-8", errors="replace") as maps:
        for line in maps:
            place, rights, *_ = line.split(" ", 2)
            if line.rstrip("\n").endswith(file) and "w" not in rights:
                start, end = (int(address, 16) for address in place.split("-"))
                found.append((start, end - start))
    return found


def _leave_memory(mapped: list[tuple[int, int]]) -> None:
    """Give back what compiling has left, and unmap the pages of the network's file.

    OpenVINO has its own copy in another layout, but maps the file for good and reads all of it
    again for each new shape. Saves 70 MB with midas_small.
    """
    libc = ctypes.CDLL(None)
    if trim := getattr(libc, "malloc_trim", None):  # not every C library has it
        trim(0)
    libc.madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    for start, size in mapped:
        libc.madvise(start, size, _MADV_DONTNEED)


def _precisions(core: openvino.Core) -> set[str]:
    names = {"FP32": "F32"}
    capabilities: list[str] = core.get_property(_DEVICE, "OPTIMIZATION_CAPABILITIES")
    return {names.get(name, name) for name in capabilities}
