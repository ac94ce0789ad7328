"""Child process of `prepare`: from torch to OpenVINO, compared before anybody uses it.

`python -m depthd.model.convert PARENT MODEL WEIGHTS SHA256 FOLDER` writes model.xml and model.bin
into FOLDER, unless the process PARENT dies before. On failure the last line of standard error
says why. Knows torch and OpenVINO.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import warnings
from pathlib import Path

import torch

from depthd.contract.errors import DepthdError, ExitCode, UnavailableError
from depthd.model.catalogue import MODELS
from depthd.model.checkpoint import load_network
from depthd.model.ir_cache import MODEL_FILE
from depthd.model.network import MidasNet
from depthd.model.silent_openvino import openvino

_TOLERANCE = 1e-3  # of the range; right conversions differ by 1e-6 to 2e-4
_PR_SET_PDEATHSIG = 1


def main() -> int:
    parent, model, weights, sha256, folder = sys.argv[1:]
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(parent):  # it died before the line above
        sys.stderr.write("nobody waits for the result any more\n")
        return ExitCode.TEMPORARY
    try:
        network = load_network(MODELS[model], Path(weights), sha256)
        target = Path(folder) / MODEL_FILE
        _convert(network, target)
        _compare(network, target)
    except DepthdError as error:
        sys.stderr.write(f"{error.message}\n")
        return error.exit_code
    return ExitCode.OK


def _convert(network: MidasNet, target: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tracing is how OpenVINO reads modules
        converted = openvino.convert_model(network, example_input=torch.zeros(1, 3, 64, 96))
    # One compiled network for all shapes: two percent slower than one for each, and its memory
    # does not grow with the variety of photos.
    converted.reshape([1, 3, -1, -1])
    openvino.save_model(converted, target, compress_to_fp16=False)


def _compare(network: MidasNet, target: Path) -> None:
    """Refuse a conversion that does not give torch's depth on noise, in two shapes.

    Raises:
        UnavailableError: the two differ, or the weights give no finite depth.
    """
    compiled = openvino.compile_model(target, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    generator = torch.Generator().manual_seed(1)
    for height, width in ((192, 256), (256, 160)):
        photos = torch.randn(1, 3, height, width, generator=generator)
        with torch.inference_mode():
            expected = network(photos)[0].numpy()
        depth = compiled(photos.numpy())[0][0]
        allowed = _TOLERANCE * max(expected.max() - expected.min(), 1e-3 * abs(expected).max())
        difference = abs(depth - expected).max()
        if not difference <= allowed:  # NaN is not
            raise UnavailableError(
                f"OpenVINO's depth differs from torch's by {difference:.3g} "
                f"where {allowed:.3g} is allowed; are the weights finite?"
            )


if __name__ == "__main__":
    sys.exit(main())
