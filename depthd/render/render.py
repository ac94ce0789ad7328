"""An estimate to the files that users asked for, as bytes in memory.

Knows `Estimate`, `FolderPolicy` and one function per format; writes nothing to disk.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from depthd.config import FolderPolicy
from depthd.contract import manifest
from depthd.contract.formats import FORMATS, Format
from depthd.estimate.estimate import Estimate
from depthd.render.colors import palette, quantise
from depthd.render.glb import glb
from depthd.render.ply import ply
from depthd.render.png_writer import grey16_png, palette_png
from depthd.render.preview import preview_jpeg
from depthd.render.scale import scale_of, shown_values
from depthd.render.space import cloud, mesh

Parts = tuple[bytes | memoryview, ...]

_MOST_MILLIMETRES = 65535


@dataclass(frozen=True)
class Rendered:
    """One result file: its bytes are `parts` one after the other.

    `scale` and `offset` are given for png16 only: depth = value * scale + offset. `shown` is what
    heatmap and preview draw darkest and brightest.
    """

    format: Format
    parts: Parts
    scale: float | None = None
    offset: float | None = None
    shown: tuple[float, float] | None = None

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
            shown=self.shown,
        )


def render(estimate: Estimate, policy: FolderPolicy) -> tuple[Rendered, ...]:
    """Every format of `policy.formats`, in that order; metres only where there are some.

    The parts of npy, model and metres look into the estimate's arrays, so leave these unchanged.
    """
    made = (_MAKERS[kind](estimate, policy) for kind in policy.formats)
    return tuple(result for result in made if result is not None)


def _heatmap(estimate: Estimate, policy: FolderPolicy) -> Rendered:
    scale = scale_of(estimate, policy)
    picture = palette_png(scale.indices(shown_values(estimate)), palette(policy.colormap))
    return Rendered(Format.HEATMAP, (picture,), shown=scale.ends)


def _npy(estimate: Estimate, _policy: FolderPolicy) -> Rendered:
    return Rendered(Format.NPY, _npy_parts(estimate.depth))


def _npy_parts(values: NDArray[np.float32]) -> Parts:
    """NumPy's format 1.0; the values are not copied."""
    header = io.BytesIO()
    description = {"descr": "<f4", "fortran_order": False, "shape": values.shape}
    np.lib.format.write_array_header_1_0(header, description)
    return header.getvalue(), values.data


def _model(estimate: Estimate, _policy: FolderPolicy) -> Rendered:
    if estimate.raw is None:
        raise ValueError("the network's own depth was not kept with this estimate")
    return Rendered(Format.MODEL, _npy_parts(np.ascontiguousarray(estimate.raw)))


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
    scale = scale_of(estimate, policy)
    indices = scale.indices(shown_values(estimate, (width, height)))
    jpeg = preview_jpeg(estimate.thumbnail, indices, palette(policy.colormap), scale)
    return Rendered(Format.PREVIEW, (jpeg,), shown=scale.ends)


def _metres(estimate: Estimate, _policy: FolderPolicy) -> Rendered | None:
    if estimate.measured is None:
        return None
    return Rendered(Format.METRES, _npy_parts(estimate.measured.depth))


def _millimetres(estimate: Estimate, _policy: FolderPolicy) -> Rendered | None:
    """As ROS has it (16UC1 of REP 118): 0 is unknown; what is farther than 65.535 m is unknown."""
    if estimate.measured is None:
        return None
    millimetres = np.rint(np.nan_to_num(estimate.measured.depth, nan=0) * np.float32(1000))
    millimetres[millimetres > _MOST_MILLIMETRES] = 0
    return Rendered(Format.MILLIMETRES, (grey16_png(millimetres.astype(np.uint16)),))


def _ply(estimate: Estimate, _policy: FolderPolicy) -> Rendered:
    return Rendered(Format.PLY, (ply(cloud(estimate)),))


def _glb(estimate: Estimate, _policy: FolderPolicy) -> Rendered:
    return Rendered(Format.GLB, (glb(mesh(estimate)),))


_MAKERS: dict[Format, Callable[[Estimate, FolderPolicy], Rendered | None]] = {
    Format.HEATMAP: _heatmap,
    Format.NPY: _npy,
    Format.PNG16: _png16,
    Format.PFM: _pfm,
    Format.MODEL: _model,
    Format.PREVIEW: _preview,
    Format.METRES: _metres,
    Format.MILLIMETRES: _millimetres,
    Format.PLY: _ply,
    Format.GLB: _glb,
}
