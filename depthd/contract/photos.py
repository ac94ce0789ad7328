"""Which kinds of photo are read, each declared once: name, suffixes, what brings its decoder.

Configuration, decoders and documentation are made from this table. Knows words only.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PhotoFormat:
    """`extra` of depthd brings the decoder where it is not part of every installation."""

    name: str
    suffixes: tuple[str, ...]
    extra: str | None = None


PHOTO_FORMATS: dict[str, PhotoFormat] = {
    "jpeg": PhotoFormat("JPEG", ("jpg", "jpeg")),
    "png": PhotoFormat("PNG", ("png",)),
    "webp": PhotoFormat("WebP", ("webp",)),
    "bmp": PhotoFormat("BMP", ("bmp",)),
    "gif": PhotoFormat("GIF", ("gif",)),
    "tiff": PhotoFormat("TIFF", ("tif", "tiff")),
    "jpeg2000": PhotoFormat("JPEG 2000", ("jp2", "j2k")),
    "avif": PhotoFormat("AVIF", ("avif",)),
    "heif": PhotoFormat("HEIC", ("heic", "heif"), "heic"),
    "jpegxl": PhotoFormat("JPEG XL", ("jxl",), "jpegxl"),
    "raw": PhotoFormat("camera raw", ("cr2", "cr3", "nef", "arw", "dng"), "raw"),
}
