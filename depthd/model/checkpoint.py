"""From a weights file to the network in torch. Runs no code from the file.

Knows torch and the two containers that weights come in.
"""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor

from depthd.contract.errors import UnavailableError
from depthd.model.catalogue import ModelSpec
from depthd.model.network import MidasNet


def load_network(spec: ModelSpec, path: Path, sha256: str) -> MidasNet:
    """The network in evaluation mode, float32.

    Args:
        spec: which network.
        path: a state_dict saved by torch or as safetensors, of any float type.
        sha256: what the file's content was when it was chosen.

    Raises:
        UnavailableError: the file cannot be read, has changed, or belongs to another network.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UnavailableError(f"cannot read {path}: {error.strerror}") from error
    if hashlib.sha256(content).hexdigest() != sha256:
        raise UnavailableError(f"{path} has changed since it was checked", "try again")
    tensors = _tensors(content, path)
    network = MidasNet.of(spec)
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:  # lists every key; the first lines say enough
        found = "; ".join(line.strip()[:200] for line in str(error).splitlines()[1:3])
        raise UnavailableError(
            f"{path} does not hold weights of {spec.name}: {found}",
            f"it must be a state_dict in the layout of {spec.file_names[0]}",
        ) from error
    return network.eval()


def _tensors(content: bytes, path: Path) -> dict[str, Tensor]:
    try:
        if content[8:9] == b"{":
            tensors = safetensors.torch.load(content)
        else:
            tensors = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    except Exception as error:  # a damaged file raises whatever its bytes lead to
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise UnavailableError(
            f"{path} cannot be loaded as weights: {reason}",
            "take a state_dict saved by torch.save or as safetensors",
        ) from error
    if not isinstance(tensors, dict) or not all(
        isinstance(value, Tensor) for value in tensors.values()
    ):
        raise UnavailableError(f"{path} holds no state_dict", "save model.state_dict() alone")
    return {
        name: value.float() if value.is_floating_point() else value
        for name, value in tensors.items()
    }
