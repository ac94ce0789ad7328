"""Is a JPEG's picture data whole? Decoders fill what is missing with grey and call it success.

Two traces are cheap to see: a last pixel of exactly the grey that libjpeg fills in, and a run of
zero bytes, as lost disk blocks and broken uploads leave it. Either can be honest: a grey card, a
black night. So each is only a reason to look closer, and the closer look is exact: it decodes
again with more or fewer data and sees whether that changes the picture. It uses Pillow, where
libjpeg keeps quiet.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import JpegImagePlugin

from depthd.contract.errors import FaultCode, PhotoError
from depthd.decode.common import Pixels, library

_HOLE = bytes(32)
_GREY = 128  # of a block without coefficients
_FILLER = b"\x5a\xa5\x33\xcc" * 16
_RESTART = re.compile(rb"\xff[\xd0-\xd7]")


@dataclass(frozen=True)
class Scan:
    """One pass of entropy-coded data, `start` to `end` in the file.

    `zero_symbols` is what zero bits mean in the AC tables in use: the run/size byte of each
    table's all-zero code (none in a DC pass). `restarts` is how many restart markers belong here.
    """

    start: int
    end: int
    zero_symbols: tuple[int, ...]
    restarts: int


def check_holes(data: bytes, scans: Sequence[Scan]) -> tuple[Scan, ...]:
    """The scans that hold a run of zero bytes which may be honest, to be looked at closer.

    Raises:
        PhotoError: one cannot be: zero bits would be coefficients of -1, block after block.
    """
    if scans[-1].end == len(data) and data.endswith(_HOLE):
        raise PhotoError(FaultCode.TRUNCATED, "zero bytes stand where its end should be")
    holed = tuple(s for s in scans if data.find(_HOLE, s.start, s.end) >= 0)
    if any(symbol & 0x0F for scan in holed for symbol in scan.zero_symbols):
        raise PhotoError(FaultCode.DAMAGED, "zero bytes fill a part of its picture data")
    return holed


def ends_grey(pixels: Pixels) -> bool:
    """Whether the last pixel is what libjpeg fills in."""
    return bool((pixels[-1, -1] == _GREY).all())


def look_closer(data: bytes, scans: Sequence[Scan], suspects: Sequence[Scan]) -> None:
    """Raises PhotoError where the data of a suspect do not fit the picture."""
    whole = _shown(data)
    for scan in suspects:
        if scan.restarts > len(_RESTART.findall(data, scan.start, scan.end)):
            raise PhotoError(FaultCode.DAMAGED, "parts of its picture data are missing")
        if whole is None or _runs_out(data, scan, whole):
            raise PhotoError(FaultCode.DAMAGED, "its picture data end before the picture does")
        if len(scans) == 1 and not ends_grey(whole) and _has_left_over(data, scan, whole):
            raise PhotoError(FaultCode.DAMAGED, "its picture data do not fit the picture")


def breaks_off(data: bytes, last: Scan) -> bool:
    """Whether a file whose end marker was missing, and put there, lacks more than that."""
    whole = _shown(data)
    return whole is None or _runs_out(data, last, whole)


def _runs_out(data: bytes, scan: Scan, whole: Pixels) -> bool:
    """Whether the decoder ran out of data in this scan: then more of it changes the picture."""
    longer = _shown(data[: scan.end] + _FILLER + data[scan.end :])
    return longer is None or not np.array_equal(longer, whole)


def _has_left_over(data: bytes, scan: Scan, whole: Pixels) -> bool:
    """Whether the picture was complete before the data ended: then less of it changes nothing."""
    shorter = _shown(data[: max(scan.start, scan.end - len(_FILLER))] + data[scan.end :])
    return shorter is not None and np.array_equal(shorter, whole)


def _shown(data: bytes) -> Pixels | None:
    try:
        with library(FaultCode.DAMAGED):
            image = JpegImagePlugin.JpegImageFile(io.BytesIO(data))
            return np.atleast_3d(np.asarray(image))
    except PhotoError:
        return None
