"""Random weights in the published layout, scaled so that depth varies and is not zero.

Only for tests: real weights are 82 MB and need a network. Torch is imported only where a caller
asks for what is torch's.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from depthd.model.architecture import counters, layout
from depthd.model.catalogue import MODELS

if TYPE_CHECKING:
    from depthd.model.network import MidasNet

SEED = 7  # gives depth between 0 and about 900 that is hardly ever clipped at 0


def random_tensors(model: str = "midas_small", seed: int = SEED) -> dict[str, NDArray[np.float32]]:
    """A seeded network's numbers, about as sensitive to rounding as a trained one's.

    Residual branches are damped; undamped, float32 itself moves depth by 1e-4 of its range.
    """
    generator = np.random.default_rng(seed)
    tensors = {}
    for name, shape in layout(MODELS[model]).items():
        noise = generator.standard_normal(shape, np.float32)
        if len(shape) == 4:
            noise *= (2 / noise[0].size) ** 0.5
        elif name.endswith(("running_var", "weight")):
            noise = generator.random(shape, np.float32) + 0.5
        else:
            noise *= 0.1
        if name.endswith("bn3.weight"):
            noise *= 0.3
        if name.startswith("scratch.output_conv.4."):
            noise *= 20
        tensors[name] = noise
    return tensors


def random_network(model: str = "midas_small", seed: int = SEED) -> MidasNet:
    """The same in torch, in evaluation mode."""
    from depthd.model.network import MidasNet  # noqa: PLC0415 - torch, two seconds

    return MidasNet.of(MODELS[model]).loaded(random_tensors(model, seed))


def save_random_weights(path: Path, model: str = "midas_small", seed: int = SEED) -> Path:
    """Write a `.pt` as the published one (needs torch), or a `.safetensors` in half precision."""
    tensors = random_tensors(model, seed)
    if path.suffix == ".safetensors":
        count = {name: np.array(0) for name in counters(MODELS[model])}
        save_file({name: array.astype(np.float16) for name, array in tensors.items()} | count, path)
    else:
        import torch  # noqa: PLC0415 - two seconds

        torch.save(random_network(model, seed).state_dict(), path)
    return path
