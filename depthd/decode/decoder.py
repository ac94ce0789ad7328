"""From the bytes of a file to upright RGB pixels, or a fault code that says why not.

The only door to picture data. Knows bytes and pixels; nothing of files, jobs or the network.
"""

from __future__ import annotations

from dataclasses import dataclass

from depthd.contract.errors import FaultCode, PhotoError
from depthd.decode import bmp_webp, heif, jpeg, png, tiff
from depthd.decode.common import Format, Header, Pixels
from depthd.decode.pixels import upright

__all__ = ["Header", "Photo", "decode", "read_header"]

_FORMATS: dict[str, Format] = {
    "jpeg": jpeg.FORMAT,
    "png": png.FORMAT,
    "webp": bmp_webp.WEBP,
    "bmp": bmp_webp.BMP,
    "tiff": tiff.FORMAT,
    "heif": heif.HEIF,
    "avif": heif.AVIF,
}
_OTHER_PICTURES = {
    b"GIF8": "GIF",
    b"8BPS": "Photoshop",
    b"\0\0\1\0": "an icon",
    b"\0\0\0\x0cjP  ": "JPEG 2000",
    b"\xff\x4f\xff\x51": "JPEG 2000",
    b"\0\0\0\x0cJXL ": "JPEG XL",
    b"\xff\x0a": "JPEG XL",
    b"v/1\x01": "OpenEXR",
    b"#?RADIANCE": "Radiance HDR",
    b"DDS ": "DirectDraw",
    b"qoif": "QOI",
    b"%PDF": "PDF",
    b"%!PS": "PostScript",
    b"<svg": "SVG",
    b"gimp xcf": "GIMP",
    b"SIMPLE  =": "FITS",
    b"FUJIFILMCCD-RAW": "a camera's raw file",
    b"IIRO": "a camera's raw file",
    b"IIU\0": "a camera's raw file",
    **{f"P{digit}{space}".encode(): "Netpbm" for digit in "1234567" for space in " \n\r\t"},
}


@dataclass(frozen=True)
class Photo:
    """A decoded photo.

    `pixels` is uint8 (H, W, 3), RGB, upright and contiguous. They are fewer than `width` x
    `height` (the full upright photo) only where `reduce_to` allowed it. `orientation` is the EXIF
    value (1 to 8) that was applied; `notes` says what was assumed.
    """

    pixels: Pixels
    width: int
    height: int
    format: str
    orientation: int
    notes: tuple[str, ...]


def read_header(data: bytes) -> Header:
    """Format, size and orientation, before any pixel is decoded.

    Raises:
        PhotoError: empty, not an image, unsupported, or cut off within the header.
    """
    return _FORMATS[_recognise(data)].read_header(data)


def decode(data: bytes, *, max_pixels: int, reduce_to: int | None = None) -> Photo:
    """Upright RGB pixels of a file, whatever its name says.

    Time and memory are bounded by `max_pixels` and the length of `data`.

    Args:
        data: the whole file.
        max_pixels: a larger picture is refused from its header.
        reduce_to: longest side in pixels that is enough; JPEGs may come out smaller, not below.

    Raises:
        PhotoError: with the code that fits; damaged and truncated files are refused even where
            the decoder would fill the rest with grey.
    """
    header = read_header(data)
    if header.width * header.height > max_pixels:
        size = f"{header.width} x {header.height}"
        raise PhotoError(FaultCode.TOO_MANY_PIXELS, f"{size} is more than {max_pixels} pixels")
    decoded = _FORMATS[header.format].decode(data, header, reduce_to)
    height, width = decoded.pixels.shape[:2]
    if reduce_to is None and (width, height) != (header.width, header.height):
        size = f"{header.width} x {header.height} and not {width} x {height}"
        raise PhotoError(FaultCode.DAMAGED, f"its header says {size} pixels")
    pixels = upright(decoded.pixels, header.orientation)
    turned = header.orientation >= 5
    return Photo(
        pixels=pixels,
        width=header.height if turned else header.width,
        height=header.width if turned else header.height,
        format=header.format,
        orientation=header.orientation,
        notes=header.notes + decoded.notes,
    )


def _recognise(data: bytes) -> str:
    """The format, from the first bytes."""
    if not data:
        raise PhotoError(FaultCode.EMPTY)
    if data.startswith(jpeg.MAGIC):
        return "jpeg"
    if data.startswith(png.MAGIC):
        return "png"
    if data[:4] in tiff.MAGIC:
        return "tiff"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    if data[:2] == b"BM" and data[6:10] == bytes(4):
        return "bmp"
    if data[4:8] == b"ftyp":
        return _recognise_brand(data)
    for start, name in _OTHER_PICTURES.items():
        if data.startswith(start):
            raise PhotoError(FaultCode.UNSUPPORTED, f"it is {name}")
    raise PhotoError(FaultCode.NOT_AN_IMAGE, _first_bytes(data))


def _recognise_brand(data: bytes) -> str:
    length = min(int.from_bytes(data[:4], "big"), 256)
    brands = [data[8:12], *(data[place : place + 4] for place in range(16, length, 4))]
    if any(brand in heif.AVIF_BRANDS for brand in brands):
        return "avif"
    if any(brand in heif.HEIF_BRANDS for brand in brands):
        return "heif"
    raise PhotoError(FaultCode.UNSUPPORTED, f"a media file of brand {brands[0]!r}")


def _first_bytes(data: bytes) -> str:
    if not data.strip(b"\0"):
        return f"it holds {len(data)} zero bytes"
    return f"it begins with {data[:8]!r}"
