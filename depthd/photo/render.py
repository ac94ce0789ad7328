"""An estimate to the files that users asked for, as bytes in memory.

Knows `Estimate`, `output.*` and one function per format; writes nothing to disk.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from depthd import manifest
from depthd.config import Output
from depthd.estimator import Estimate
from depthd.photo.colors import palette, quantise
from depthd.photo.png_writer import grey16_png, palette_png
from depthd.photo.preview import preview_jpeg

Parts = tuple[bytes | memoryview, ...]


@dataclass(frozen=True)
class Rendered:
    """One result file: its bytes are `parts` one after the other.

    `scale` and `offset` are given for png16 only: depth = value * scale + offset.
    """

    format: str
    suffix: str
    parts: Parts
    scale: float | None = None
    offset: float | None = None


def render(estimate: Estimate, output: Output) -> tuple[Rendered, ...]:
    """Every format of `output.formats`, in that order.

    The npy's parts look into `estimate.depth`, so leave that unchanged.
    """
    return tuple(_MAKERS[kind](estimate, output) for kind in output.formats)


def shown_range(statistics: manifest.Depth, output: Output) -> tuple[float, float]:
    """Depth that is drawn darkest and brightest."""
    if output.range == "minmax":
        return statistics.min, statistics.max
    if output.range == "percentile":
        return statistics.percentiles["2"], statistics.percentiles["98"]
    return output.range


def _indices(
    depth: NDArray[np.float32], statistics: manifest.Depth, output: Output
) -> NDArray[np.uint8]:
    return cast("NDArray[np.uint8]", quantise(depth, *shown_range(statistics, output), 255))


def _heatmap(estimate: Estimate, output: Output) -> Rendered:
    indices = _indices(estimate.depth, estimate.info.depth, output)
    picture = palette_png(indices, palette(output.colormap))
    return Rendered("heatmap", ".heatmap.png", (picture,))


def _npy(estimate: Estimate, _output: Output) -> Rendered:
    """NumPy's format 1.0; the values are not copied."""
    header = io.BytesIO()
    description = {"descr": "<f4", "fortran_order": False, "shape": estimate.depth.shape}
    np.lib.format.write_array_header_1_0(header, description)
    return Rendered("npy", ".depth.npy", (header.getvalue(), estimate.depth.data))


def _pfm(estimate: Estimate, _output: Output) -> Rendered:
    """Portable float map as upstream writes it: bottom row first, little-endian (scale -1)."""
    height, width = estimate.depth.shape
    header = f"Pf\n{width} {height}\n-1.000000\n".encode("ascii")
    upside_down = np.ascontiguousarray(estimate.depth[::-1])
    return Rendered("pfm", ".pfm", (header, upside_down.data))


def _png16(estimate: Estimate, _output: Output) -> Rendered:
    low, high = estimate.info.depth.min, estimate.info.depth.max
    values = cast("NDArray[np.uint16]", quantise(estimate.depth, low, high, 65535))
    scale = (high - low) / 65535 if high > low else 1.0
    return Rendered("png16", ".depth.png", (grey16_png(values),), scale=scale, offset=low)


def _preview(estimate: Estimate, output: Output) -> Rendered:
    if estimate.thumbnail is None:
        raise ValueError("output.formats had no preview when this photo was prepared")
    height, width = estimate.thumbnail.shape[:2]
    small = cv2.resize(estimate.depth, (width, height), interpolation=cv2.INTER_AREA)
    indices = _indices(np.asarray(small, np.float32), estimate.info.depth, output)
    jpeg = preview_jpeg(estimate.thumbnail, indices, palette(output.colormap))
    return Rendered("preview", ".preview.jpg", (jpeg,))


_MAKERS: dict[str, Callable[[Estimate, Output], Rendered]] = {
    "heatmap": _heatmap,
    "npy": _npy,
    "png16": _png16,
    "pfm": _pfm,
    "preview": _preview,
}
