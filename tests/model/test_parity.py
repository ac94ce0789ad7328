"""The same weights give the same depth in upstream's network and in ours, on both engines."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from random_weights import random_network

from depthd.config import Model
from depthd.model.catalogue import MODELS
from depthd.model.engine import Engine
from depthd.model.engine_choice import open_engine
from depthd.model.weights import find_weights

torch = pytest.importorskip("torch")
from upstream import Upstream  # noqa: E402 - needs torch

from depthd.model.network import MidasNet  # noqa: E402 - needs torch

SHAPES = [(256, 256), (256, 192), (192, 256), (256, 160), (384, 288)]


@pytest.fixture(scope="module", params=["torch", "openvino"])
def engine(request: pytest.FixtureRequest, random_weights: Path, _prepared_once: Path) -> Engine:
    config = Model(weights=random_weights, engine=request.param, threads=1)
    weights = find_weights(config, _prepared_once, report=print)
    return open_engine(config, weights, _prepared_once, report=print)


def noise(shape: tuple[int, int]) -> NDArray[np.float32]:
    return np.random.default_rng(0).standard_normal((1, 3, *shape), dtype=np.float32)


@pytest.mark.parametrize("shape", SHAPES)
def test_depth_is_upstreams(shape: tuple[int, int], engine: Engine, upstream: Upstream) -> None:
    batch = noise(shape)
    expected = upstream.infer(batch)
    depth = engine.infer(batch)
    assert depth.shape == shape
    assert depth.dtype == np.float32
    assert np.ptp(expected) > 100
    assert abs(depth - expected).max() <= 1e-5 * np.ptp(expected)


def test_result_survives_the_next_inference(engine: Engine) -> None:
    first = engine.infer(noise((192, 256)))
    kept = first.copy()
    engine.infer(-noise((192, 256)))
    assert np.array_equal(first, kept)


def test_batch_need_not_be_contiguous(engine: Engine) -> None:
    batch = noise((192, 256))
    strided = np.ascontiguousarray(batch.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    assert np.allclose(engine.infer(strided), engine.infer(batch), rtol=1e-4)


def test_checkpoint_layout_is_upstreams(upstream: Upstream) -> None:
    theirs = {name: value.shape for name, value in upstream.network.state_dict().items()}
    ours = {name: value.shape for name, value in random_network().state_dict().items()}
    assert ours == theirs
    assert sum(value.numel() for value in random_network().parameters()) == 21_320_545


@pytest.mark.parametrize("lacking", ["scratch.output_conv.4.bias", "pretrained.layer1.0.weight"])
def test_loading_is_strict(lacking: str) -> None:
    tensors = random_network().state_dict()
    del tensors[lacking]
    with pytest.raises(RuntimeError, match="Missing key"):
        MidasNet.of(MODELS["midas_small"]).load_state_dict(tensors)


def test_gradients_reach_every_used_parameter() -> None:
    network = random_network("builtin").train()
    network(torch.randn(2, 3, 64, 64)).sum().backward()
    unused = {name for name, value in network.named_parameters() if value.grad is None}
    assert all(name.startswith("scratch.refinenet4.resConfUnit1.") for name in unused)


@pytest.mark.parametrize("shape", [(192, 256), (32, 64)])
def test_a_plane_stays_straight(shape: tuple[int, int]) -> None:
    network = random_network("builtin")
    scratch = network.scratch
    with torch.no_grad():
        scratch.plane.corners.weight.zero_()
        scratch.plane.corners.bias.copy_(torch.tensor([1.0, 1.0, 4.0, 4.0]))
        scratch.output_conv[4].weight.zero_()
        scratch.output_conv[4].bias.zero_()
        depth = network(torch.randn(1, 3, *shape))[0]
    ramp = torch.linspace(1, 4, shape[0])[:, None].expand(shape)
    assert torch.allclose(depth, ramp, atol=1e-5)


def test_taps_are_where_the_decoder_expects_them(upstream: Upstream) -> None:
    network = random_network()
    sizes = []
    value = torch.zeros(1, 3, 64, 96)
    with torch.inference_mode():
        for name in ("layer1", "layer2", "layer3", "layer4"):
            value = network.pretrained[name](value)
            sizes.append(tuple(value.shape[1:]))
    assert sizes == [(32, 16, 24), (48, 8, 12), (136, 4, 6), (384, 2, 3)]
