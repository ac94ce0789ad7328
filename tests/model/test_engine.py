"""Which engine serves, what it says of itself, and that it stays within its bounds."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from depthd.config import Model
from depthd.contract.errors import UnavailableError
from depthd.model import engine_openvino
from depthd.model.engine import Engine
from depthd.model.engine_choice import open_engine
from depthd.model.weights import find_weights

CPUS = len(os.sched_getaffinity(0))
HAS_BF16 = "BF16" in engine_openvino._precisions(engine_openvino.openvino.Core())


def opened(state: Path, weights: Path, **keys: object) -> Engine:
    config = Model(weights=weights, **keys)
    return open_engine(config, find_weights(config, state, report=print), state, report=print)


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((1, 3, height, width), dtype=np.float32)


def test_auto_is_openvino_in_f32(prepared_state: Path, random_weights: Path) -> None:
    description = opened(prepared_state, random_weights).description
    assert (description.engine, description.precision) == ("openvino", "f32")
    assert 1 <= description.threads <= CPUS
    assert description.device
    assert description.engine_version.startswith("20")
    assert opened(prepared_state, random_weights, threads=1).description.threads == 1


def test_without_openvino_auto_is_torch_and_openvino_an_error(
    prepared_state: Path, random_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")
    monkeypatch.setitem(sys.modules, "openvino", None)
    assert opened(prepared_state, random_weights).description.engine == "torch"
    with pytest.raises(UnavailableError, match="not installed") as caught:
        opened(prepared_state, random_weights, engine="openvino")
    assert "pip install openvino" in caught.value.hint


@pytest.mark.parametrize("engine", ["auto", "torch"])
def test_a_missing_torch_is_said_with_the_command_that_brings_it(
    engine: str, prepared_state: Path, random_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for package in ("torch", "openvino"):
        monkeypatch.setitem(sys.modules, package, None)
    words = "is torch, which is not installed" if engine == "torch" else "neither openvino nor"
    with pytest.raises(UnavailableError, match=words) as caught:
        opened(prepared_state, random_weights, engine=engine)
    assert "pip install 'depthd[torch]'" in caught.value.hint


def test_warm_start_never_imports_torch(prepared_state: Path, random_weights: Path) -> None:
    code = """
import json, sys
from pathlib import Path
from depthd.config import Model
from depthd.model.engine_choice import open_engine
from depthd.model.weights import find_weights
state, config = Path(sys.argv[1]), Model(weights=sys.argv[2])
open_engine(config, find_weights(config, state, report=print), state, report=print)
print(json.dumps([name for name in ("torch", "timm", "torchvision", "cv2") if name in sys.modules]))
"""
    command = [sys.executable, "-c", code, str(prepared_state), str(random_weights)]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(run.stdout) == []  # and nothing was reported: no conversion


@pytest.mark.skipif(CPUS < 2, reason="one processor has one stream")
def test_streams_side_by_side_give_the_same_bits(
    prepared_state: Path, random_weights: Path
) -> None:
    engine = opened(prepared_state, random_weights)
    photos = [noise(192, 256), -noise(256, 160)]
    alone = [engine.infer(photo) for photo in photos]
    assert (engine.streams, engine.most_streams) == (1, 2)
    engine.arrange(2)
    with ThreadPoolExecutor(2) as threads:
        together = list(threads.map(engine.infer, 4 * photos))
    assert all(np.array_equal(a, b) for a, b in zip(4 * alone, together, strict=True))


@pytest.mark.skipif(CPUS < 2, reason="one processor has one stream")
def test_another_arrangement_needs_no_file(prepared_state: Path, random_weights: Path) -> None:
    engine = opened(prepared_state, random_weights)
    expected = engine.infer(noise(64, 64))
    shutil.rmtree(prepared_state / "models")
    engine.arrange(2)
    assert np.array_equal(engine.infer(noise(64, 64)), expected)


@pytest.mark.skipif(CPUS < 2, reason="one processor has one stream")
def test_an_arrangement_that_cannot_be_had_changes_nothing(
    prepared_state: Path, random_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class NoMemory:
        def compile_model(self, *arguments: object) -> None:
            raise RuntimeError("out of memory")

    engine = opened(prepared_state, random_weights)
    expected = engine.infer(noise(64, 64))
    monkeypatch.setattr(engine, "_core", NoMemory())
    with pytest.raises(UnavailableError, match=r"cannot load .*: out of memory"):
        engine.arrange(2)
    assert engine.streams == 1
    assert np.array_equal(engine.infer(noise(64, 64)), expected)


def test_the_networks_file_is_not_kept_in_memory(
    prepared_state: Path, random_weights: Path
) -> None:
    engine = opened(prepared_state, random_weights)
    for height in (192, 96):  # the second one makes OpenVINO read it again
        engine.infer(noise(height, 256))
        mappings = re.split(
            r"^(?=[0-9a-f]+-)", Path("/proc/self/smaps").read_text(), flags=re.MULTILINE
        )
        (mapping,) = (text for text in mappings if str(prepared_state / "models") in text)
        size, resident = re.findall(r"^(?:Size|Rss): +(\d+) kB", mapping, re.MULTILINE)
        assert int(resident) < int(size) / 10  # each inference reads a few small weights


@pytest.mark.skipif(not HAS_BF16, reason="this processor has no bf16")
def test_bf16_is_another_arithmetic_and_says_so(prepared_state: Path, random_weights: Path) -> None:
    exact = opened(prepared_state, random_weights).infer(noise(192, 256))
    engine = opened(prepared_state, random_weights, precision="bf16")
    assert engine.description.precision == "bf16"
    difference = abs(engine.infer(noise(192, 256)) - exact).max() / np.ptp(exact)
    assert 1e-5 < difference < 0.1


def test_precision_that_cannot_be_had_is_an_error(
    prepared_state: Path, random_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")
    monkeypatch.setattr(engine_openvino, "_precisions", lambda core: {"F32"})
    with pytest.raises(UnavailableError, match="processor has no bf16"):
        opened(prepared_state, random_weights, precision="bf16")
    with pytest.raises(UnavailableError, match="no precision bf16"):
        opened(prepared_state, random_weights, precision="bf16", engine="torch")


def test_memory_is_flat_over_all_shapes(prepared_state: Path, random_weights: Path) -> None:
    engine = opened(prepared_state, random_weights)
    sides = range(32, 257, 32)
    shapes = [(256, side) for side in sides] + [(side, 256) for side in sides]

    def round_of_all() -> int:
        for height, width in shapes:
            assert engine.infer(noise(height, width)).shape == (height, width)
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    first = round_of_all()
    assert round_of_all() - first < 20e6
