"""The files hold what they should, read back by other programs' readers."""

from __future__ import annotations

import io
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from pictures import MODEL, PHOTO, photograph
from PIL import Image

from depthd.config import Output
from depthd.estimate.estimate import Estimate, Info
from depthd.estimate.estimator import describe
from depthd.render.render import Rendered, render


def smooth_depth() -> NDArray[np.float32]:
    small = np.random.default_rng(3).random((6, 8), dtype=np.float32)
    return cv2.resize(small, (320, 240), interpolation=cv2.INTER_CUBIC) * 900 - 50


def estimate(depth: NDArray[np.float32]) -> Estimate:
    info = Info(PHOTO, describe(depth, depth), MODEL, {})
    return Estimate(depth, info, np.asarray(photograph().resize((320, 240))))


def rendered(kind: str, depth: NDArray[np.float32], **output: Any) -> tuple[Rendered, bytes]:
    (result,) = render(estimate(depth), Output(formats=(kind,), **output))
    return result, b"".join(result.parts)


def upstream_heatmap(depth: NDArray[np.float32]) -> NDArray[np.uint8]:
    low, high = depth.min(), depth.max()
    index = (255 * (depth - low) / (high - low)).astype(np.uint8)
    return cv2.applyColorMap(index, cv2.COLORMAP_INFERNO)


def test_heatmap_has_upstreams_pixels_in_one_channel() -> None:
    depth = smooth_depth()
    result, data = rendered("heatmap", depth)
    assert result.suffix == ".heatmap.png"
    assert Image.open(io.BytesIO(data)).mode == "P"
    shown = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert np.array_equal(shown, upstream_heatmap(depth))


@pytest.mark.parametrize("name", ["magma", "viridis", "turbo"])
def test_other_colours_are_opencvs(name: str) -> None:
    ramp = np.tile(np.arange(256, dtype=np.float32), (4, 1))
    _, data = rendered("heatmap", ramp, colormap=name)
    expected = cv2.applyColorMap(ramp.astype(np.uint8), getattr(cv2, f"COLORMAP_{name.upper()}"))
    assert np.array_equal(cv2.imdecode(np.frombuffer(data, np.uint8), 1), expected)


def test_gray_is_bright_near() -> None:
    ramp = np.tile(np.arange(256, dtype=np.float32), (4, 1))
    _, data = rendered("heatmap", ramp, colormap="gray")
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(data)).convert("L")), ramp)


def indices(data: bytes) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(data)))


def test_fixed_range_cuts_off_and_compares() -> None:
    depth = np.array([[-10.0, 0, 50, 100, 300]], np.float32)
    _, data = rendered("heatmap", depth, range=(0, 100))
    assert indices(data).tolist() == [[0, 0, 127, 255, 255]]


def test_percentile_range_ignores_the_extremes() -> None:
    depth = np.linspace(0, 100, 101, dtype=np.float32)[None]
    depth[0, -1] = 1e6
    _, data = rendered("heatmap", depth, range="percentile")
    index = indices(data)[0]
    assert index[2] == 0
    assert index[98] == 255
    assert abs(int(index[50]) - 127) <= 1


@pytest.mark.parametrize("value", [0.0, 7.5, -3.0])
@pytest.mark.parametrize("setting", ["minmax", "percentile", (0.0, 100.0)])
def test_depth_without_range_gives_defined_files(value: float, setting: Any) -> None:
    depth = np.full((50, 60), value, np.float32)
    _, data = rendered("heatmap", depth, range=setting)
    expected = int(np.clip(255 * value / 100, 0, 255)) if setting == (0.0, 100.0) else 0
    assert (indices(data) == expected).all()
    result, data = rendered("png16", depth)
    assert (np.asarray(Image.open(io.BytesIO(data))) * result.scale + result.offset == value).all()
    assert rendered("preview", depth)[1].startswith(b"\xff\xd8")


def test_npy_loads_and_was_not_copied() -> None:
    depth = smooth_depth()
    result, data = rendered("npy", depth)
    assert result.suffix == ".depth.npy"
    assert np.array_equal(np.load(io.BytesIO(data)), depth)
    assert data[6:8] == b"\x01\x00"
    assert np.shares_memory(np.asarray(result.parts[1]), depth)


def test_pfm_is_read_by_opencv() -> None:
    depth = smooth_depth()
    result, data = rendered("pfm", depth)
    assert result.suffix == ".pfm"
    assert data.startswith(b"Pf\n320 240\n-1.000000\n")
    values = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(values, depth)


def test_png16_gives_depth_back_by_scale_and_offset() -> None:
    depth = smooth_depth()
    result, data = rendered("png16", depth)
    values = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    assert values.dtype == np.uint16
    assert (values.min(), values.max()) == (0, 65535)
    assert result.scale is not None
    assert abs(values * result.scale + result.offset - depth).max() <= 0.51 * result.scale


@pytest.mark.parametrize("size", [(640, 480), (30, 640), (640, 20)])
def test_preview_shows_photo_heatmap_and_legend(size: tuple[int, int]) -> None:
    width, height = size
    depth = np.tile(np.linspace(0, 1, 300, dtype=np.float32), (200, 1))
    photo = np.full((height, width, 3), (30, 160, 60), np.uint8)
    made = Estimate(depth, Info(PHOTO, describe(depth, depth), MODEL, {}), photo)
    (result,) = render(made, Output(formats=("preview",)))
    shown = np.asarray(Image.open(io.BytesIO(b"".join(result.parts))))
    middle = shown.shape[0] // 2
    assert abs(shown[middle, width // 2].astype(int) - (30, 160, 60)).max() < 12
    heatmap = shown[middle, width + 12 : 2 * width + 12].sum(axis=1)
    assert heatmap[-3] > heatmap[3] + 300
    legend = shown[:, 2 * width + 24 + 9].astype(int).sum(axis=1)
    assert legend[20] > legend[-20] + 300


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1), (33, 17)])
def test_odd_shapes(shape: tuple[int, int]) -> None:
    depth = np.random.default_rng(0).random(shape, dtype=np.float32)
    for kind in ("heatmap", "png16"):
        assert Image.open(io.BytesIO(rendered(kind, depth)[1])).size == shape[::-1]
