"""Files of weights: written, read, and mixed."""

from __future__ import annotations

import hashlib
from pathlib import Path

import safetensors.torch
import torch
from torch import nn

from depthd.model.network import MidasNet
from depthd.training.train import SPEC

KEPT = ("pretrained.layer4", "scratch.plane")
"""The encoder's last stage and the plane that is read from it."""
HALFWAY = "pretrained."
"""The encoder, which knows photos from ImageNet."""


def content(network: nn.Module) -> bytes:
    """The weights in half precision, as a file has them.

    Raises:
        ValueError: one is too large for that.
    """
    tensors = {
        name: (value.half() if value.is_floating_point() else value).contiguous()
        for name, value in network.state_dict().items()
    }
    if not all(bool(torch.isfinite(v).all()) for v in tensors.values() if v.is_floating_point()):
        raise ValueError("a weight is too large for half precision")
    return safetensors.torch.save(tensors)


def write(network: nn.Module, file: Path) -> str:
    """Write the weights in half precision; returns their SHA-256."""
    data = content(network)
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(".part")
    partial.write_bytes(data)
    partial.replace(file)
    return hashlib.sha256(data).hexdigest()


def load(file: Path) -> MidasNet:
    """The network with the weights of a file that this command wrote."""
    network = MidasNet.of(SPEC)
    tensors = safetensors.torch.load_file(file)
    network.load_state_dict(
        {k: v.float() if v.is_floating_point() else v for k, v in tensors.items()}
    )
    return network


def blended(old: MidasNet, new: MidasNet) -> MidasNet:
    """The second of two networks, which went on from the first, with some of it taken back.

    A step back towards weights that saw more photos costs little of what a short training has
    brought and undoes harm elsewhere: Wortsman et al., "Robust fine-tuning of zero-shot models",
    CVPR 2022. So the encoder goes half of the way (HALFWAY). What sees the whole photo at once
    (KEPT) is the first one's: a short training on few places learns where those have their floor.
    """
    tensors, before = new.state_dict(), old.state_dict()
    for name, value in tensors.items():
        if name.startswith(KEPT):
            tensors[name] = before[name]
        elif name.startswith(HALFWAY) and value.is_floating_point():
            tensors[name] = before[name].lerp(value, 0.5)
    network = MidasNet.of(SPEC)
    network.load_state_dict(tensors)
    return network
