"""From a weights file to the network's numbers, for every engine. Runs no code from the file.

Knows the two containers that weights come in, and numpy; no engine.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import safetensors
from numpy.typing import NDArray

from depthd.contract.errors import UnavailableError
from depthd.model import torch_file
from depthd.model.architecture import counters, layout
from depthd.model.catalogue import ModelSpec
from depthd.model.stored import Stored

LARGEST_FILE = 1 << 30  # bytes; midas_small in float64 has a fifth of it


def read_tensors(spec: ModelSpec, path: Path, sha256: str) -> dict[str, NDArray[np.float32]]:
    """All tensors of `architecture.layout`, finite.

    Args:
        spec: which network they must fit.
        path: a state_dict saved by torch or as safetensors, of any float type.
        sha256: what the file's content was when it was chosen.

    Raises:
        UnavailableError: the file cannot be read, has changed, or belongs to another network.
    """
    content = _content(path)
    if hashlib.sha256(content).hexdigest() != sha256:
        raise UnavailableError(f"{path} has changed since it was checked", "try again")
    tensors = _described(content, path)
    if faults := list(_faults(tensors, spec)):
        found = "; ".join(fault[:200] for fault in faults[:2])
        raise UnavailableError(
            f"{path} does not hold weights of {spec.name}: {found}",
            f"it must be a state_dict in the layout of {spec.file_names[0]}",
        )
    try:
        arrays = {name: tensors[name].array() for name in layout(spec)}
    except ValueError as error:
        raise _not_weights(path, error) from error
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise UnavailableError(
                f"{path}: {name} holds numbers that are not finite", "take other weights"
            )
    return arrays


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise UnavailableError(f"cannot read {path}: {error.strerror}") from error
    if len(content) > LARGEST_FILE:
        raise UnavailableError(
            f"{path} cannot be loaded as weights: it has more than {LARGEST_FILE >> 20} MiB",
            "take a state_dict saved by torch.save or as safetensors",
        )
    return content


def _described(content: bytes, path: Path) -> dict[str, Stored]:
    try:
        found = _safetensors(content) if content[8:9] == b"{" else torch_file.read(content)
    except MemoryError:
        raise
    except Exception as error:  # a damaged file raises whatever its bytes lead to
        raise _not_weights(path, error) from error
    if not isinstance(found, dict) or not all(
        isinstance(name, str) and isinstance(value, Stored) for name, value in found.items()
    ):
        raise UnavailableError(f"{path} holds no state_dict", "save model.state_dict() alone")
    return found


def _safetensors(content: bytes) -> dict[str, Stored]:
    tensors = {}
    for name, entry in safetensors.deserialize(content):  # type: ignore[no-untyped-call]
        shape = tuple(entry["shape"])
        strides = tuple(math.prod(shape[axis + 1 :]) for axis in range(len(shape)))
        tensors[name] = Stored("<" + entry["dtype"], shape, strides, 0, _giving(entry["data"]))
    return tensors


def _giving(data: bytes) -> Callable[[], bytes]:
    return lambda: data


def _faults(tensors: dict[str, Stored], spec: ModelSpec) -> Iterator[str]:
    """What is wrong with names, shapes and types, in torch's words."""
    shapes = layout(spec)
    for kind, names in (
        ("Missing", [name for name in shapes if name not in tensors]),
        ("Unexpected", sorted(set(tensors) - set(shapes) - counters(spec))),
    ):
        if names:
            yield f"{kind} key(s) in state_dict: " + ", ".join(f'"{name}"' for name in names[:10])
    for name, shape in shapes.items():
        if name in tensors and tensors[name].shape != shape:
            yield f"size mismatch for {name}: {tensors[name].shape} where the network has {shape}"
        elif name in tensors and not tensors[name].is_float:
            yield f"{name} is of type {tensors[name].dtype[1:]}, where the network has floats"


def _not_weights(path: Path, error: Exception) -> UnavailableError:
    reason = next(iter(str(error).splitlines()), type(error).__name__)
    return UnavailableError(
        f"{path} cannot be loaded as weights: {reason}",
        "take a state_dict saved by torch.save or as safetensors",
    )
