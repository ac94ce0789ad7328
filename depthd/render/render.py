"""An estimate to the files that users asked for, as bytes in memory.

Knows `Estimate`, `FolderPolicy` and one function per format; writes nothing to disk.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from depthd.config import FolderPolicy
from depthd.contract import manifest
from depthd.contract.formats import FORMATS, Format
from depthd.estimate.estimator import Estimate
from depthd.render.colors import palette, quantise
from depthd.render.png_writer import grey16_png, palette_png
from depthd.render.preview import preview_jpeg

Parts = tuple[bytes | memoryview, ...]


@dataclass(frozen=True)
class Rendered:
    """One result file: its bytes are `parts` one after the other.

    `scale` and `offset` are given for png16 only: depth = value * scale + offset.
    """

    format: Format
    parts: Parts
    scale: float | None = None
    offset: float | None = None

    @property
    def suffix(self) -> str:
        """The end of the file's name."""
        return FORMATS[self.format].suffix

    def facts(self) -> manifest.FileFacts:
        """What the manifest says of the file, whatever its name."""
        digest = hashlib.sha256()
        for part in self.parts:
            digest.update(part)
        size = sum(memoryview(part).nbytes for part in self.parts)
        return manifest.FileFacts(
            format=self.format,
            sha256=digest.hexdigest(),
            bytes=size,
            scale=self.scale,
            offset=self.offset,
        )


def render(estimate: Estimate, policy: FolderPolicy) -> tuple[Rendered, ...]:
    """Every format of `policy.formats`, in that order.

    The npy's parts look into `estimate.depth`, so leave that unchanged.
    """
    return tuple(_MAKERS[kind](estimate, policy) for kind in policy.formats)


def shown_range(statistics: manifest.Depth, policy: FolderPolicy) -> tuple[float, float]:
    """Depth that is drawn darkest and brightest."""
    if policy.range == "minmax":
        return statistics.min, statistics.max
    if policy.range == "percentile":
        return statistics.percentiles["2"], statistics.percentiles["98"]
    return policy.range


def _indices(
    depth: NDArray[np.float32], statistics: manifest.Depth, policy: FolderPolicy
) -> NDArray[np.uint8]:
    return cast("NDArray[np.uint8]", quantise(depth, *shown_range(statistics, policy), 255))


def _heatmap(estimate: Estimate, policy: FolderPolicy) -> Rendered:
    indices = _indices(estimate.depth, estimate.info.depth, policy)
    picture = palette_png(indices, palette(policy.colormap))
    return Rendered(Format.HEATMAP, (picture,))


def _npy(estimate: Estimate, _policy: FolderPolicy) -> Rendered:
    """NumPy's format 1.0; the values are not copied."""
    header = io.BytesIO()
    description = {"descr": "<f4", "fortran_order": False, "shape": estimate.depth.shape}
    np.lib.format.write_array_header_1_0(header, description)
    return Rendered(Format.NPY, (header.getvalue(), estimate.depth.data))


def _pfm(estimate: Estimate, _policy: FolderPolicy) -> Rendered:
    """Portable float map as upstream writes it: bottom row first, little-endian (scale -1)."""
    height, width = estimate.depth.shape
    header = f"Pf\n{width} {height}\n-1.000000\n".encode("ascii")
    upside_down = np.ascontiguousarray(estimate.depth[::-1])
    return Rendered(Format.PFM, (header, upside_down.data))


def _png16(estimate: Estimate, _policy: FolderPolicy) -> Rendered:
    low, high = estimate.info.depth.min, estimate.info.depth.max
    values = cast("NDArray[np.uint16]", quantise(estimate.depth, low, high, 65535))
    scale = (high - low) / 65535 if high > low else 1.0
    return Rendered(Format.PNG16, (grey16_png(values),), scale=scale, offset=low)


def _preview(estimate: Estimate, policy: FolderPolicy) -> Rendered:
    if estimate.thumbnail is None:
        raise ValueError("formats had no preview when this photo was prepared")
    height, width = estimate.thumbnail.shape[:2]
    small = cv2.resize(estimate.depth, (width, height), interpolation=cv2.INTER_AREA)
    indices = _indices(np.asarray(small, np.float32), estimate.info.depth, policy)
    jpeg = preview_jpeg(estimate.thumbnail, indices, palette(policy.colormap))
    return Rendered(Format.PREVIEW, (jpeg,))


_MAKERS: dict[Format, Callable[[Estimate, FolderPolicy], Rendered]] = {
    Format.HEATMAP: _heatmap,
    Format.NPY: _npy,
    Format.PNG16: _png16,
    Format.PFM: _pfm,
    Format.PREVIEW: _preview,
}
