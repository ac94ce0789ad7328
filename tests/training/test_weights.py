"""The weights that ship: whole, small, and of the network that the catalogue says."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import depthd.model
from depthd.model.network import MidasNet
from depthd.training import weights
from depthd.training.train import SPEC

WEIGHTS = Path(depthd.model.__file__).parent / SPEC.package_data


@pytest.fixture(scope="module")
def network() -> MidasNet:
    return weights.load(WEIGHTS).eval()


def test_size_and_parameters(network: MidasNet) -> None:
    assert WEIGHTS.stat().st_size <= 12 * 2**20
    assert sum(p.numel() for p in network.parameters()) <= 6_000_000


def test_card_lies_beside_the_weights() -> None:
    card = WEIGHTS.with_suffix(".card.md").read_text(encoding="utf-8")
    assert "licence" in card.lower()
    assert "{" not in card  # every blank of the template is filled


def test_output_is_finite_and_tells_a_floor_from_a_far_wall(network: MidasNet) -> None:
    photo = torch.zeros(1, 3, 192, 256)
    photo[:, :, 96:] = torch.rand(1, 3, 96, 256) - 0.5
    with torch.inference_mode():
        inverse = network(photo)[0]
    assert torch.isfinite(inverse).all()
    assert float(inverse.min()) >= 0
    assert float(inverse[-32:].mean()) > float(inverse[:64].mean())
