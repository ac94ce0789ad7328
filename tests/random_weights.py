"""Random weights in the published layout, scaled so that depth varies and is not zero.

Only for tests: real weights are 82 MB and need a network.
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save_file

from depthd.model.catalogue import MODELS
from depthd.model.network import MidasNet

SEED = 1  # gives depth between 0 and about 1000 that is hardly ever clipped at 0


def random_network(model: str = "midas_small", seed: int = SEED) -> MidasNet:
    """A seeded network in evaluation mode, about as sensitive to rounding as a trained one.

    Residual branches are damped; undamped, float32 itself moves depth by 1e-4 of its range.
    """
    spec = MODELS[model]
    generator = torch.Generator().manual_seed(seed)
    network = MidasNet.of(spec)
    for name, value in network.state_dict().items():
        noise = torch.randn(value.shape, generator=generator)
        if value.dim() == 4:
            value.copy_(noise * (2 / value[0].numel()) ** 0.5)
        elif name.endswith("running_var") or (name.endswith("weight") and value.dim() == 1):
            value.copy_(torch.rand(value.shape, generator=generator) + 0.5)
        elif value.is_floating_point():
            value.copy_(0.1 * noise)
        if name.endswith("bn3.weight"):
            value.mul_(0.3)
        if name.startswith("scratch.output_conv.4."):
            value.mul_(20)
    return network.eval()


def save_random_weights(path: Path, model: str = "midas_small", seed: int = SEED) -> Path:
    """Write a `.pt` as the published one, or a `.safetensors` with half precision."""
    tensors = random_network(model, seed).state_dict()
    if path.suffix == ".safetensors":
        save_file(
            {
                name: value.half() if value.is_floating_point() else value
                for name, value in tensors.items()
            },
            path,
        )
    else:
        torch.save(dict(tensors), path)
    return path
