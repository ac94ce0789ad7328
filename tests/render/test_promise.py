"""What a header promises is never less than what is made, and not much more."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pictures import DECODERS, FIT, MODEL, PHOTO

from depthd.config import FolderPolicy
from depthd.contract.formats import Format
from depthd.estimate.estimate import Estimate, Info
from depthd.estimate.estimator import PICTURE_SIDE, PREVIEW_SIDE, describe
from depthd.estimate.transform import network_size, output_size
from depthd.metres.measure import Metres
from depthd.render.promise import promised_bytes
from depthd.render.render import render

CORPUS = Path(__file__).parents[1] / "decode/corpus"


@pytest.mark.parametrize("kind", [*Format, None])
@pytest.mark.parametrize("photo", [(1, 1), (1, 4000), (4000, 1), (700, 500), (64, 48)])
@pytest.mark.parametrize("size", ["original", "model", 300])
def test_noise_keeps_within_the_promise(
    kind: Format | None, photo: tuple[int, int], size: str | int
) -> None:
    """Nothing is harder to pack than noise."""
    policy = FolderPolicy(formats=tuple(Format) if kind is None else (kind,), size=size)
    width, height = output_size(*photo, policy.size, 256)
    chance = np.random.default_rng(7)
    depth = chance.random((height, width), np.float32)
    longest = PREVIEW_SIDE / max(photo)
    sides = [max(1, round(side * longest)) for side in photo[::-1]]
    thumbnail = chance.integers(0, 256, (*sides, 3), np.uint8)
    shrink = min(1, PICTURE_SIDE / max(height, width))
    sides = [max(1, round(side * shrink)) for side in (height, width)]
    picture = chance.integers(0, 256, (*sides, 3), np.uint8)
    info = Info(PHOTO, describe(depth, depth), MODEL, {})
    metres = Metres(depth + 1, FIT, (1.0, 2.0))
    across, down = network_size(*photo, 256)
    raw = chance.random((down, across), np.float32)
    estimate = Estimate(depth, info, thumbnail, picture, measured=metres, raw=raw)
    made = sum(file.facts().bytes for file in render(estimate, policy))
    promised = promised_bytes(*photo, policy, 256)
    assert made <= promised
    if kind in (Format.NPY, Format.PFM):
        assert promised < 1.1 * made + 25_000


def test_a_few_bytes_promise_what_their_header_says() -> None:
    """34 bytes of WebP that say 16383 x 16383 pixels."""
    size = 16382 | 16382 << 14
    data = b"RIFF\x1a\0\0\0WEBPVP8L\x0e\0\0\0\x2f" + size.to_bytes(4, "little") + bytes(9)
    assert len(data) == 34
    header = DECODERS.header(data)
    assert header.upright == (16383, 16383)
    assert promised_bytes(*header.upright, FolderPolicy(), 256) > 5 * 16383**2


@pytest.mark.parametrize("name", ["turned.jpg", "lossless.webp", "colour.png"])
def test_headers_give_the_upright_size(name: str) -> None:
    data = (CORPUS / name).read_bytes()
    photo = DECODERS.decode(data, max_pixels=10**6)
    assert DECODERS.header(data).upright == (photo.width, photo.height) == (16, 24)
