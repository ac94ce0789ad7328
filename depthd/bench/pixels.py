"""Child process: how long every kind of pixels takes from bytes to the network's input.

`python -m depthd.bench.pixels`; see `child`. An honest photo of a rare kind must not end as a
time-out, so none may take much longer than the others.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from depthd.bench.child import Answer, answer
from depthd.config import Config
from depthd.decode.decoder import load_decoders
from depthd.estimate.transform import network_size, preprocess

_ROUNDS = 3
_NO_LIMIT = 2**40
_GRAIN = 4  # of 255

Pixels = NDArray[np.uint8]
_FAST_PNG = (cv2.IMWRITE_PNG_COMPRESSION, 1)


def _by_pillow(kind: str, mode: str, **options: Any) -> Callable[[Pixels], bytes]:
    def encode(rgb: Pixels) -> bytes:
        buffer = io.BytesIO()
        Image.fromarray(rgb).convert(mode).save(buffer, kind, **options)
        return buffer.getvalue()

    return encode


def _wide(suffix: str, channels: int, kind: type[np.generic] = np.uint16) -> Callable[..., bytes]:
    """More than 8 bits a colour, which only OpenCV writes."""

    def encode(rgb: Pixels) -> bytes:
        values = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGRA)[:, :, :channels]
        if channels == 1:
            values = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
        scaled = values.astype(kind) * (257 if kind is np.uint16 else 1)
        _, encoded = cv2.imencode(suffix, scaled, _FAST_PNG if suffix == ".png" else ())
        return encoded.tobytes()

    return encode


_KINDS: dict[str, Callable[[Pixels], bytes]] = {
    "JPEG": _by_pillow("JPEG", "RGB", quality=90),
    "JPEG 4:4:4": _by_pillow("JPEG", "RGB", quality=90, subsampling=0),
    "JPEG progressive": _by_pillow("JPEG", "RGB", quality=90, progressive=True),
    "JPEG grey": _by_pillow("JPEG", "L", quality=90),
    "JPEG CMYK": _by_pillow("JPEG", "CMYK", quality=90),
    "PNG RGB": _by_pillow("PNG", "RGB", compress_level=1),
    "PNG RGBA": _by_pillow("PNG", "RGBA", compress_level=1),
    "PNG palette": _by_pillow("PNG", "P", compress_level=1),
    "PNG 16-bit grey": _wide(".png", 1),
    "PNG 16-bit RGB": _wide(".png", 3),
    "PNG 16-bit RGBA": _wide(".png", 4),
    "BMP": _by_pillow("BMP", "RGB"),
    "GIF": _by_pillow("GIF", "P"),
    "TIFF": _by_pillow("TIFF", "RGB"),
    "TIFF LZW": _by_pillow("TIFF", "RGB", compression="tiff_lzw"),
    "TIFF deflated": _by_pillow("TIFF", "RGB", compression="tiff_adobe_deflate"),
    "TIFF CMYK": _by_pillow("TIFF", "CMYK"),
    "TIFF 16-bit RGB": _wide(".tiff", 3),
    "TIFF float RGB": _wide(".tiff", 3, np.float32),
    "WebP": _by_pillow("WEBP", "RGB", quality=80, method=0),
    "JPEG 2000": _by_pillow("JPEG2000", "RGB", quality_mode="rates", quality_layers=[20]),
    "AVIF": _by_pillow("AVIF", "RGB", quality=60, speed=10),
}


class _Bench:
    """Keeps the picture of the size that was asked for last."""

    def __init__(self, config: dict[str, Any]) -> None:
        self._input_size = Config.model_validate(config).model.input_size
        self._decoders = load_decoders()
        self._picture: Pixels = np.empty((0, 0, 3), np.uint8)

    def respond(self, kind: str, megapixels: float) -> Answer:
        """Bytes of the file, and milliseconds of the fastest of some turns."""
        height = round((megapixels * 1e6 * 3 / 4) ** 0.5)
        if self._picture.shape[0] != height:
            self._picture = _picture(round(height * 4 / 3), height)
        data = _KINDS[kind](self._picture)
        turns = [self._turn(data) for _ in range(_ROUNDS)]
        decode, rest = (min(times) for times in zip(*turns, strict=True))
        return {"bytes": len(data), "decode": decode, "preprocess": rest}

    def _turn(self, data: bytes) -> tuple[float, float]:
        started = time.perf_counter()
        photo = self._decoders.decode(data, max_pixels=_NO_LIMIT)
        decoded = time.perf_counter()
        preprocess(photo.pixels, network_size(photo.width, photo.height, self._input_size))
        ended = time.perf_counter()
        return (decoded - started) * 1000, (ended - decoded) * 1000


def _picture(width: int, height: int) -> Pixels:
    """A bundled photo, enlarged, with the grain of a sensor."""
    sample = min(Path(str(files("depthd") / "samples")).glob("*.jpg"))
    with Image.open(sample) as image:
        picture = np.array(image.convert("RGB").resize((width, height), Image.Resampling.BICUBIC))
    chance = np.random.default_rng(1)
    grain = chance.integers(0, 2 * _GRAIN, (1024, width, 3), np.uint8)
    for top in range(0, height, len(grain)):
        rows = picture[top : top + len(grain)]
        np.add(np.minimum(rows, 255 - 2 * _GRAIN), grain[: len(rows)], out=rows)
    return picture


def setup(config: dict[str, Any]) -> tuple[Answer, Any]:
    bench = _Bench(config)
    return {"kinds": list(_KINDS)}, bench.respond


if __name__ == "__main__":
    answer(setup)
