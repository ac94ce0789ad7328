"""What can be written for a photo, each format declared once: its file's suffix and its meaning.

Renderers, publisher, configuration, manifest and README are made from this table; nothing else
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
    PREVIEW = "preview"


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
    Format.PREVIEW: FormatMeaning(
        ".preview.jpg", "photo and heatmap side by side with a near-far legend"
    ),
}
MANIFEST_SUFFIX = ".json"
ERROR_SUFFIX = ".error.json"
