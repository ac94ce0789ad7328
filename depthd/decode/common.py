"""What all picture formats share: header and pixels, faults of libraries, bytes with a bound."""

from __future__ import annotations

import struct
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from depthd.contract.errors import FaultCode, PhotoError

Pixels = NDArray[np.uint8]

_WARNING_FILTERS = threading.RLock()  # Python's warning filters belong to the whole process


@dataclass(frozen=True)
class Header:
    """What a file says of itself before any pixel is decoded.

    `width` and `height` are as stored; `orientation` is the EXIF value, 1 to 8, that makes the
    picture upright; `notes` says what is in the file and not used; `passes` is how often the
    decoder goes over the picture, colour by colour, where that is the file's choice.
    """

    format: str
    width: int
    height: int
    orientation: int = 1
    notes: tuple[str, ...] = ()
    passes: int = 1

    @property
    def upright(self) -> tuple[int, int]:
        """Width and height of the upright picture."""
        turned = self.orientation >= 5
        return (self.height, self.width) if turned else (self.width, self.height)


@dataclass(frozen=True)
class Decoded:
    """uint8 (H, W, 3) RGB as stored, and what had to be assumed."""

    pixels: Pixels
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reader:
    """How one format is read.

    `read_header` takes the file; `decode` takes the file, its header, and the longest side in
    pixels that is enough (or None), which only JPEG makes use of.
    """

    read_header: Callable[[bytes], Header]
    decode: Callable[[bytes, Header, int | None], Decoded]


@contextmanager
def library(code: FaultCode) -> Iterator[None]:
    """Around a decoder: whatever it raises is a fault of the photo, and it warns nobody."""
    with _WARNING_FILTERS, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        except (PhotoError, MemoryError):
            raise
        except Exception as error:  # decoders raise anything, from KeyError to SyntaxError
            raise PhotoError(code, str(error)) from error


def unpack(layout: str, data: bytes, offset: int) -> tuple[int, ...]:
    """`struct.unpack_from` of whole numbers; a file that ends before is truncated."""
    try:
        return struct.unpack_from(layout, data, offset)
    except (struct.error, OverflowError) as error:
        raise truncated(data) from error


def truncated(data: bytes) -> PhotoError:
    """The file is shorter than it says."""
    return PhotoError(FaultCode.TRUNCATED, f"ends at byte {len(data)}")
