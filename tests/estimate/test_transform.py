"""The numbers between pixels and network are upstream's, for every shape."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from atoolkitdpt.midas.transforms import NormalizeImage, PrepareForNet, Resize
from pictures import photograph

from depthd.estimate.transform import network_size, preprocess, resize_depth

SHAPES = [(600, 400), (300, 451), (40, 30), (31, 47), (1000, 130), (257, 255), (256, 256), (9, 7)]
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


def upstream_resize(input_size: int) -> Resize:
    import cv2  # noqa: PLC0415

    return Resize(
        input_size,
        input_size,
        resize_target=None,
        keep_aspect_ratio=True,
        ensure_multiple_of=32,
        resize_method="upper_bound",
        image_interpolation_method=cv2.INTER_CUBIC,
    )


@pytest.mark.parametrize("input_size", [256, 384, 64])
@pytest.mark.parametrize("shape", SHAPES)
def test_network_size_is_upstreams(shape: tuple[int, int], input_size: int) -> None:
    expected = upstream_resize(input_size).get_size(*shape)
    assert network_size(*shape, input_size) == tuple(max(32, side) for side in expected)


@pytest.mark.parametrize("shape", [(30000, 10), (10, 30000), (1, 1)])
def test_extreme_shapes_keep_a_network_size(shape: tuple[int, int]) -> None:
    width, height = network_size(*shape, 256)
    assert max(width, height) == 256
    assert min(width, height) in (32, 256)


@pytest.mark.parametrize("shape", [*SHAPES, (1500, 2000), (2400, 1000)])
def test_preprocess_is_upstreams(shape: tuple[int, int]) -> None:
    pixels = np.asarray(photograph("temple.jpg").resize(shape))
    sample = {"image": pixels / 255.0}
    for step in (upstream_resize(256), NormalizeImage(MEAN, STD), PrepareForNet()):
        sample = step(sample)
    batch = preprocess(pixels, network_size(*shape, 256))
    assert batch.dtype == np.float32
    assert batch.flags.c_contiguous
    assert batch[0].shape == sample["image"].shape
    assert abs(batch[0] - sample["image"]).max() < 5e-6


@pytest.mark.parametrize("shape", [(600, 400), (40, 30), (256, 192), (1000, 77)])
def test_resize_depth_is_torchs(shape: tuple[int, int]) -> None:
    depth = np.random.default_rng(0).random((192, 256), dtype=np.float32) * 1000
    width, height = shape
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(depth)[None, None],
        size=(height, width),
        mode="bicubic",
        align_corners=False,
    )[0, 0].numpy()
    resized = resize_depth(depth, width, height)
    assert resized.dtype == np.float32
    assert resized.flags.c_contiguous
    assert abs(resized - expected).max() < 5e-5 * np.ptp(
        depth
    )  # white noise; real depth is far smoother


def test_strides_do_not_matter_for_the_numbers() -> None:
    """A channel-last view of a channel-first array, as some decoders give it."""
    planes = np.random.default_rng(1).integers(0, 256, (3, 900, 1300), np.uint8)
    view = planes.transpose(1, 2, 0)
    size = network_size(1300, 900, 256)
    assert np.array_equal(preprocess(view, size), preprocess(np.ascontiguousarray(view), size))
