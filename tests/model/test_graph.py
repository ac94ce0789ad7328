"""OpenVINO's network is torch's: the same tensors, the same depth."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from random_weights import random_network, random_tensors, save_random_weights

from depthd.model.architecture import convolutions, counters, layout, taps
from depthd.model.catalogue import MODELS
from depthd.model.graph import build
from depthd.model.silent_openvino import openvino

# A photo's network size is 256 by a multiple of 32; the others are what else might be asked for.
SIZES = [(256, 160), (32, 256), (32, 32), (224, 96), (384, 288)]

WITHOUT_TORCH = """
import json, sys
from pathlib import Path
for name in ("torch", "torchvision", "timm"):
    sys.modules[name] = None  # an import of it fails
import numpy as np
from depthd.config import Model
from depthd.model.engine_choice import open_engine
from depthd.model.weights import find_weights
state, weights, photo, depth = map(Path, sys.argv[1:])
config = Model(weights=weights, name=sys.stdin.read())
engine = open_engine(config, find_weights(config, state, report=print), state, report=print)
np.save(depth, engine.infer(np.load(photo)))
"""


def compiled(model: str) -> openvino.CompiledModel:
    tensors = random_tensors(model)
    options = {"INFERENCE_PRECISION_HINT": "f32"}
    return openvino.compile_model(build(MODELS[model], tensors), "CPU", options)


@pytest.mark.parametrize("model", MODELS)
def test_the_tensors_are_torchs_one_by_one(model: str) -> None:
    pytest.importorskip("torch")
    state = random_network(model).state_dict()
    ours = layout(MODELS[model]) | dict.fromkeys(counters(MODELS[model]), ())
    assert ours == {name: tuple(value.shape) for name, value in state.items()}


@pytest.mark.parametrize("model", MODELS)
def test_the_depth_is_torchs_at_every_size(model: str) -> None:
    torch = pytest.importorskip("torch")
    network, graph = random_network(model), compiled(model)
    for height, width in SIZES:
        photo = np.random.default_rng(0).standard_normal((1, 3, height, width), np.float32)
        with torch.inference_mode():
            expected = network(torch.from_numpy(photo))[0].numpy()
        depth = graph(photo)[0][0]
        assert depth.shape == (height, width)
        assert np.ptp(expected) > 50
        assert abs(depth - expected).max() <= 1e-5 * np.ptp(expected), (height, width)


@pytest.mark.parametrize("model", MODELS)
def test_every_tensor_counts(model: str) -> None:
    """None is forgotten on the way, but the unit that the published network has and never uses."""
    spec, photo = (
        MODELS[model],
        np.random.default_rng(0).standard_normal((1, 3, 64, 64), np.float32),
    )
    graph = build(spec, random_tensors(model))
    numbers = sum(
        node.get_output_shape(0) != [] and int(np.prod(node.get_output_shape(0)))
        for node in graph.get_ops()
        if node.get_type_name() == "Constant" and node.get_element_type() == openvino.Type.f32
    )
    unused = [
        conv for name, conv in convolutions(spec).items() if "refinenet4.resConfUnit1" in name
    ]
    expected = sum(int(np.prod(shape)) for shape in layout(spec).values())
    expected -= sum(int(np.prod(conv.shape)) + conv.outputs for conv in unused)
    # Of each normalisation four vectors become one bias.
    norms = (conv for conv in convolutions(spec).values() if conv.norm)
    expected -= 3 * sum(conv.outputs for conv in norms)
    scales = 2 * sum(node.get_type_name() == "Interpolate" for node in graph.get_ops())
    assert numbers == expected + scales - 2 * spec.plane  # the plane's has sizes instead
    assert np.isfinite(openvino.compile_model(graph, "CPU")(photo)[0]).all()


@pytest.mark.parametrize("name", ["midas_v21_small_256.pt", "half.safetensors", "builtin.pt"])
def test_weights_serve_without_torch(name: str, tmp_path: Path) -> None:
    if name.endswith(".pt"):
        pytest.importorskip("torch")
    model = "builtin" if name.startswith("builtin") else "midas_small"
    weights = save_random_weights(tmp_path / name, model)
    photo = np.random.default_rng(1).standard_normal((1, 3, 192, 256), np.float32)
    np.save(tmp_path / "photo.npy", photo)
    arguments = [tmp_path / "state", weights, tmp_path / "photo.npy", tmp_path / "depth.npy"]
    run = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, *map(str, arguments)],
        input=model, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    depth = np.load(tmp_path / "depth.npy")
    expected = compiled(model)(photo)[0][0]
    allowed = 0.02 if name == "half.safetensors" else 1e-5
    assert abs(depth - expected).max() <= allowed * np.ptp(expected)


def test_taps() -> None:
    assert taps(MODELS["midas_small"]) == [32, 48, 136, 384]


def test_the_description_is_light() -> None:
    heavy = json.dumps(["numpy", "openvino", "torch", "timm"])
    code = f"import sys, depthd.model.architecture; print(*set({heavy}) & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == ""
