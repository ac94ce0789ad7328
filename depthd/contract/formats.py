"""What can be written for a photo, each format declared once: its file's suffix and its meaning.

Renderers, publisher, configuration, manifest and docs are made from this table; nothing else
knows a suffix.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Format(StrEnum):
    """A kind of result; the values of `output.formats`."""

    HEATMAP = "heatmap"
    NPY = "npy"
    PNG16 = "png16"
    PFM = "pfm"
    MODEL = "model"
    PREVIEW = "preview"
    METRES = "metres"
    MILLIMETRES = "millimetres"
    PLY = "ply"
    GLB = "glb"


@dataclass(frozen=True)
class FormatMeaning:
    """The end of a result's file name, and what is in the file."""

    suffix: str
    text: str


FORMATS: dict[Format, FormatMeaning] = {
    Format.HEATMAP: FormatMeaning(
        ".heatmap.png",
        "a picture with 256 colours, Inferno unless set otherwise; bright is near",
    ),
    Format.NPY: FormatMeaning(".depth.npy", "float32, height x width of the upright photo"),
    Format.PNG16: FormatMeaning(
        ".depth.png", "16-bit grey; depth = value * scale + offset, both in the manifest"
    ),
    Format.PFM: FormatMeaning(
        ".pfm", "the raw values as a portable float map, as upstream MiDaS writes them"
    ),
    Format.MODEL: FormatMeaning(
        ".model.npy",
        "float32 at the network's own size, of which `depthd.read_depth` makes the photo's size to "
        "the last bit; comes by itself where `output.size` is in pixels",
    ),
    Format.PREVIEW: FormatMeaning(
        ".preview.jpg", "photo and heatmap side by side with a legend, near to far or in metres"
    ),
    Format.METRES: FormatMeaning(
        ".metres.npy",
        "float32, metres along the optical axis, NaN where there are none; for cameras with "
        "reference points",
    ),
    Format.MILLIMETRES: FormatMeaning(
        ".millimetres.png",
        "16-bit grey, millimetres, 0 where there are none, as depth cameras and ROS have it; for "
        "cameras with reference points",
    ),
    Format.PLY: FormatMeaning(
        ".ply",
        "coloured points, x right, y down, z forward, in metres or marked relative; at most 1024 "
        "across",
    ),
    Format.GLB: FormatMeaning(
        ".glb",
        "a mesh with the photo on it, torn at depth edges, y up as glTF has it, in metres or "
        "marked relative; at most 512 points across",
    ),
}
SIZED = frozenset({Format.NPY, Format.PNG16, Format.PFM})
"""Formats that hold depth at `output.size`."""
METRIC = frozenset({Format.METRES, Format.MILLIMETRES})
"""Formats that a photo without metres does not get."""
MANIFEST_SUFFIX = ".json"
ERROR_SUFFIX = ".error.json"
SKIPPED_SUFFIX = ".skipped.json"
"""Of the note beside an original in done/ that was not worked on."""
