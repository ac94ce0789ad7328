"""Which format a file has, by its content alone. Knows first bytes; loads no decoder."""

from __future__ import annotations

from depthd.contract.errors import FaultCode, PhotoError
from depthd.decode import tiff_directory
from depthd.decode.boxes import brands

_STARTS = {
    b"\xff\xd8\xff": "jpeg",
    b"\x89PNG\r\n\x1a\n": "png",
    b"GIF87a": "gif",
    b"GIF89a": "gif",
    b"\0\0\0\x0cjP  \r\n\x87\n": "jpeg2000",
    b"\xff\x4f\xff\x51": "jpeg2000",
    b"\0\0\0\x0cJXL \r\n\x87\n": "jpegxl",
    b"\xff\x0a": "jpegxl",
}
_BRANDS = {
    "avif": (b"avif", b"avis"),
    "heif": (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1", b"mif2"),
    "raw": (b"crx ",),
}
_OTHER_PICTURES = {
    b"8BPS": "Photoshop",
    b"\0\0\1\0": "an icon",
    b"v/1\x01": "OpenEXR",
    b"#?RADIANCE": "Radiance HDR",
    b"DDS ": "DirectDraw",
    b"qoif": "QOI",
    b"%PDF": "PDF",
    b"%!PS": "PostScript",
    b"<svg": "SVG",
    b"gimp xcf": "GIMP",
    b"SIMPLE  =": "FITS",
    b"FUJIFILMCCD-RAW": "a camera's raw file of a kind that is not read",
    b"IIRO": "a camera's raw file of a kind that is not read",
    b"IIU\0": "a camera's raw file of a kind that is not read",
    **{f"P{digit}{space}".encode(): "Netpbm" for digit in "1234567" for space in " \n\r\t"},
}


def recognise(data: bytes) -> str:
    """The format's key in `PHOTO_FORMATS`.

    Raises:
        PhotoError: empty, no picture, or a picture of another kind.
    """
    if not data:
        raise PhotoError(FaultCode.EMPTY)
    for start, kind in _STARTS.items():
        if data.startswith(start):
            return kind
    if data[:4] in tiff_directory.MAGIC:
        return "raw" if tiff_directory.is_raw(data) else "tiff"
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
    found = brands(data)
    for kind, known in _BRANDS.items():
        if any(brand in known for brand in found):
            return kind
    raise PhotoError(FaultCode.UNSUPPORTED, f"a media file of brand {found[0]!r}")


def _first_bytes(data: bytes) -> str:
    if not data.strip(b"\0"):
        return f"it holds {len(data)} zero bytes"
    return f"it begins with {data[:8]!r}"
