"""Make sure that OpenVINO's form of the network is there: checked, or made once."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from depthd.contract.errors import OutputError
from depthd.model.ir_cache import MODEL_FILE, IrCache
from depthd.model.storage import exclusive
from depthd.model.weights import Weights


def is_prepared(weights: Weights, state: Path) -> bool:
    """Whether `prepare` would find a whole entry in the cache."""
    cache = IrCache(state / "models")
    return cache.is_whole(cache.entry(weights))


def prepare(weights: Weights, state: Path, *, report: Callable[[str], None]) -> Path:
    """The network as an OpenVINO file, from the cache in state/models/ or newly made.

    Safe to call from several processes at once: one makes it, the others wait and use it.

    Returns:
        Path of `model.xml`; `model.bin` lies beside it.

    Raises:
        UnavailableError: the weights do not fit.
        OutputError: state/ cannot be written.
    """
    cache = IrCache(state / "models")
    entry = cache.entry(weights)
    if cache.is_whole(entry):
        cache.note_use(entry)
        return entry / MODEL_FILE
    try:
        with exclusive(cache.folder, report):
            if not cache.is_whole(entry):
                report(f"converting {weights.spec.name} for OpenVINO; this is done once")
                unfinished = cache.begin()
                try:
                    _convert(weights, unfinished)
                    cache.commit(unfinished, entry)
                finally:
                    shutil.rmtree(unfinished, ignore_errors=True)
    except OSError as error:
        raise OutputError(
            f"cannot write to {cache.folder}: {error.strerror or error}",
            "make room there, or correct the folder's rights",
        ) from error
    return entry / MODEL_FILE


def _convert(weights: Weights, folder: Path) -> None:
    """Write model.xml and model.bin.

    Raises:
        OSError: they cannot be written.
    """
    from depthd.model.checkpoint import read_tensors  # noqa: PLC0415 - not needed when prepared
    from depthd.model.graph import build  # noqa: PLC0415
    from depthd.model.silent_openvino import openvino  # noqa: PLC0415

    tensors = read_tensors(weights.spec, weights.path, weights.sha256)
    place = os.statvfs(folder)
    if place.f_bavail * place.f_frsize < sum(array.nbytes for array in tensors.values()):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # OpenVINO does not say it
    model = build(weights.spec, tensors)
    try:
        openvino.save_model(model, folder / MODEL_FILE, compress_to_fp16=False)
    except RuntimeError as error:
        raise OSError(f"OpenVINO could not write {MODEL_FILE}: {error}") from error
