"""Upstream's own network and transforms (package atoolkitdpt), as its run.py uses them.

The reference that depthd must equal. The backbone comes from geffnet instead of torch.hub.
"""

from __future__ import annotations

import io
import warnings
from contextlib import redirect_stdout
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
from numpy.typing import NDArray

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # both packages are years old
    import geffnet
    from atoolkitdpt.midas.model_loader import load_model


def _hub_load(repository: str, backbone: str, *, pretrained: bool, exportable: bool) -> object:
    assert (backbone, pretrained) == ("tf_efficientnet_lite3", False), repository
    return geffnet.tf_efficientnet_lite3(pretrained=False, exportable=exportable)


class Upstream:
    """MiDaS_small as upstream runs it on a CPU.

    Args:
        weights: a `.pt` in the published layout.
    """

    def __init__(self, weights: Path) -> None:
        with (
            patch("torch.hub.load", _hub_load),
            warnings.catch_warnings(),
            redirect_stdout(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            self.network, self.transform, _, _ = load_model(
                torch.device("cpu"), str(weights), "midas_v21_small_256", optimize=False
            )

    def infer(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """The network alone: (1, 3, h, w) prepared -> (h, w)."""
        with torch.no_grad():
            return self.network(torch.from_numpy(batch))[0].numpy()

    def prepare(self, rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The transforms alone: (H, W, 3) uint8 RGB -> (1, 3, h, w)."""
        return self.transform({"image": rgb / 255.0})["image"][None]

    def depth(self, rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The whole chain: (H, W, 3) uint8 RGB -> (H, W) float32 inverse depth."""
        with torch.no_grad():
            prediction = self.network(torch.from_numpy(self.prepare(rgb)))
            resized = torch.nn.functional.interpolate(
                prediction.unsqueeze(1), size=rgb.shape[:2], mode="bicubic", align_corners=False
            )
        return resized.squeeze().numpy()
