"""A small PNG writer for what depthd draws: 8-bit palette pictures and 16-bit grey ones.

Measured at 12 megapixels of smooth depth: ISA-L at level 1 behind the Up filter takes 30 ms and
1.5 MB, Pillow 450 ms and 2.6 MB, OpenCV 1000 ms and 1.3 MB, zlib-ng 52 ms and 2.4 MB.
"""

from __future__ import annotations

import struct
import zlib

import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_UP = 2  # filter type: each byte minus the one above it
_GREY, _PALETTE = 0, 3  # colour types


def palette_png(indices: NDArray[np.uint8], palette: NDArray[np.uint8]) -> bytes:
    """A palette PNG from uint8 (H, W) indices and (256, 3) RGB colours."""
    return _png(indices, 8, _PALETTE, _chunk(b"PLTE", palette.tobytes()))


def grey16_png(values: NDArray[np.uint16]) -> bytes:
    """A 16-bit grey PNG from uint16 (H, W)."""
    return _png(values.astype(">u2").view(np.uint8), 16, _GREY, b"")


def _png(rows: NDArray[np.uint8], depth: int, colour_type: int, extra: bytes) -> bytes:
    """A PNG of rows of bytes, (H, bytes in a row)."""
    height, row_bytes = rows.shape
    filtered = np.empty((height, row_bytes + 1), np.uint8)
    filtered[:, 0] = _UP
    filtered[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])
    header = struct.pack(">IIBBBBB", row_bytes * 8 // depth, height, depth, colour_type, 0, 0, 0)
    data = isal_zlib.compress(filtered, 1)
    return b"".join(
        (_SIGNATURE, _chunk(b"IHDR", header), extra, _chunk(b"IDAT", data), _chunk(b"IEND", b""))
    )


def _chunk(kind: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(content, zlib.crc32(kind))
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)
