"""Camera raw by LibRaw: an extra of depthd.

Shown as LibRaw's own viewer shows it, with the camera's white balance. LibRaw writes to standard
error when data end early, so that is looked at first.
"""

from __future__ import annotations

import io
import multiprocessing  # noqa: F401 - rawpy would load it late

import numpy as np
import rawpy

from depthd.contract.errors import FaultCode, PhotoError
from depthd.decode import tiff_directory
from depthd.decode.boxes import check_boxes
from depthd.decode.common import Decoded, Header, Reader, library, truncated
from depthd.decode.tiff_directory import Directory, read_directory

_SUB_PICTURES = 330
_PARTS = ((273, 279), (324, 325))  # offsets and lengths of strips, of tiles
_MOST_PARTS = 2**20
_TURNED = 4  # bit of LibRaw's flip: width and height change places


def _open(data: bytes) -> rawpy.RawPy:
    with library(FaultCode.UNSUPPORTED):
        try:
            return rawpy.imread(io.BytesIO(data))
        except rawpy.LibRawError as error:
            raise PhotoError(FaultCode.UNSUPPORTED, _words(error)) from error


def _words(error: Exception) -> str:
    """LibRaw's own, which rawpy gives as bytes."""
    said = error.args[0] if error.args else ""
    return said.decode(errors="replace") if isinstance(said, bytes) else str(said)


def _check_ends(directory: Directory) -> None:
    """Strips and tiles end where the file does not."""
    for offsets_tag, lengths_tag in _PARTS:
        offsets = directory.numbers(offsets_tag, _MOST_PARTS)
        lengths = directory.numbers(lengths_tag, _MOST_PARTS)
        ends = (o + n for o, n in zip(offsets, lengths, strict=False))
        if max(ends, default=0) > len(directory.data):
            raise truncated(directory.data)


def _read_header(data: bytes) -> Header:
    """LibRaw turns pictures upright by the camera's own note."""
    if data[:4] in tiff_directory.MAGIC:
        directory = read_directory(data)
        _check_ends(directory)
        for at in directory.numbers(_SUB_PICTURES):
            _check_ends(read_directory(data, at))
    else:
        check_boxes(data)
    with _open(data) as file:
        sizes = file.sizes
    width, height = sizes.iwidth, sizes.iheight
    if sizes.flip & _TURNED:
        width, height = height, width
    return Header("raw", width, height)


def _decode(data: bytes, header: Header, reduce_to: int | None) -> Decoded:
    enough = reduce_to is not None and max(header.width, header.height) // 2 >= reduce_to
    with _open(data) as file, library(FaultCode.DAMAGED):
        try:
            pixels = file.postprocess(
                demosaic_algorithm=rawpy.DemosaicAlgorithm.LINEAR,
                half_size=enough,
                use_camera_wb=True,
            )
        except rawpy.LibRawError as error:
            raise PhotoError(FaultCode.DAMAGED, _words(error)) from error
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[:, :, None], 3, axis=2)
    return Decoded(np.asarray(pixels[:, :, :3], np.uint8))


READER = Reader(_read_header, _decode)
