"""From the bytes of a file to upright RGB pixels, or a fault code that says why not.

The only door to picture data. Knows bytes and pixels; nothing of files, jobs or the network.
"""

from __future__ import annotations

import fnmatch
import importlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import cv2
import numpy as np

from depthd.contract.errors import FaultCode, PhotoError
from depthd.contract.photos import PHOTO_FORMATS
from depthd.decode.common import Header, Pixels, Reader
from depthd.decode.pixels import upright
from depthd.decode.recognise import recognise

__all__ = ["Decoders", "Header", "Photo", "load_decoders"]

LONGEST_SIDE = 100_000  # pixels: what is resized needs memory for whole rows
MOST_PASSES = 40  # over max_pixels; an ordinary progressive JPEG has 8 to 20 over its own


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


class Decoders:
    """The decoders that were loaded; see `load_decoders`. May be used by several threads."""

    def __init__(self, readers: Mapping[str, Reader], lacking: Mapping[str, str]) -> None:
        self._readers = dict(readers)
        self._lacking = dict(lacking)

    @property
    def formats(self) -> frozenset[str]:
        """Keys of `PHOTO_FORMATS` that can be read."""
        return frozenset(self._readers)

    def header(self, data: bytes) -> Header:
        """Format, size and orientation, before any pixel is decoded.

        Raises:
            PhotoError: empty, not an image, unsupported, or cut off within the header.
        """
        return self._reader(recognise(data)).read_header(data)

    def decode(self, data: bytes, *, max_pixels: int, reduce_to: int | None = None) -> Photo:
        """Upright RGB pixels of a file, whatever its name says.

        Time and memory are bounded by `max_pixels` and the length of `data`.

        Args:
            data: the whole file.
            max_pixels: a larger picture is refused from its header.
            reduce_to: longest side in pixels that is enough; JPEGs and camera raw may come out
                smaller, not below.

        Raises:
            PhotoError: with the code that fits; damaged and truncated files are refused even where
                the decoder would fill the rest with grey.
        """
        header = self.header(data)
        check_cost(header, max_pixels)
        decoded = self._reader(header.format).decode(data, header, reduce_to)
        height, width = decoded.pixels.shape[:2]
        if reduce_to is None and (width, height) != (header.width, header.height):
            size = f"{header.width} x {header.height} and not {width} x {height}"
            raise PhotoError(FaultCode.DAMAGED, f"its header says {size} pixels")
        width, height = header.upright
        return Photo(
            pixels=np.ascontiguousarray(upright(decoded.pixels, header.orientation)),
            width=width,
            height=height,
            format=header.format,
            orientation=header.orientation,
            notes=header.notes + decoded.notes,
        )

    def _reader(self, kind: str) -> Reader:
        reader = self._readers.get(kind)
        if reader is None:
            raise PhotoError(FaultCode.UNSUPPORTED, self._lacking[kind])
        return reader


def check_cost(header: Header, max_pixels: int) -> None:
    """Refuse what would take too much time or memory, before it does.

    Raises:
        PhotoError: too many pixels, a side too long, or too many passes over them.
    """
    size = f"{header.width} x {header.height}"
    pixels = header.width * header.height
    if pixels > max_pixels:
        raise PhotoError(FaultCode.TOO_MANY_PIXELS, f"{size} is more than {max_pixels} pixels")
    if max(header.width, header.height) > LONGEST_SIDE:
        detail = f"{size} pixels; no side may have more than {LONGEST_SIDE}"
        raise PhotoError(FaultCode.TOO_COSTLY, detail)
    if pixels * header.passes > MOST_PASSES * max_pixels:
        detail = f"{header.passes} passes over {size} pixels are needed to decode it"
        raise PhotoError(FaultCode.TOO_COSTLY, detail)


def load_decoders(include: Iterable[str] = ("*",)) -> Decoders:
    """Load all that is needed to decode, and nothing else; what follows opens no file.

    The libraries are told to keep quiet: what they have to say of a photo is in `PhotoError`.

    Args:
        include: patterns of file names, as in `intake.include`; the decoders of formats whose
            suffixes none of them allows stay out of the process.
    """
    logging = cv2 if hasattr(cv2, "setLogLevel") else cv2.utils.logging  # OpenCV 4, and 5
    logging.setLogLevel(0)  # silent
    tails = [_tail(pattern) for pattern in include]
    readers: dict[str, Reader] = {}
    lacking: dict[str, str] = {}
    for key, photo in PHOTO_FORMATS.items():
        if not any(fnmatch.fnmatch(suffix, tail) for suffix in photo.suffixes for tail in tails):
            lacking[key] = f"it is {photo.name}, and intake.include names no such photos"
            continue
        try:
            readers[key] = importlib.import_module(f"depthd.decode.{key}").READER
        except ImportError as error:
            if photo.extra is None:
                lacking[key] = f"{photo.name} cannot be read here: {error}"
            else:
                lacking[key] = f"{photo.name} needs \"pip install 'depthd[{photo.extra}]'\""
    return Decoders(readers, lacking)


def _tail(pattern: str) -> str:
    """What a pattern says of a name's suffix."""
    _, dot, tail = pattern.lower().rpartition(".")
    return tail if dot and "[" not in pattern else "*"
