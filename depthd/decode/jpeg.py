"""JPEG: its segments are walked here, its pixels come from OpenCV, the fastest decoder at hand.

OpenCV shows what libjpeg could save of a damaged file; `jpeg_damage` decides whether to take it.
libjpeg's own line about such a file on standard error cannot be turned off from Python.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import JpegImagePlugin

from depthd.contract.errors import FaultCode, PhotoError
from depthd.decode.common import Decoded, Format, Header, Pixels, library, unpack
from depthd.decode.jpeg_damage import Scan, breaks_off, check_holes, ends_grey, look_closer
from depthd.decode.pixels import from_pillow
from depthd.decode.tiff import exif_orientation

MAGIC = b"\xff\xd8\xff"

_END = b"\xff\xd9"
_SOI, _EOI, _SOS, _DHT, _DRI, _APP1, _APP2 = 0xD8, 0xD9, 0xDA, 0xC4, 0xDD, 0xE1, 0xE2
_LENGTHLESS = (0x01, _SOI)
_FRAMES = (0xC0, 0xC1, 0xC2)  # baseline, extended, progressive
_OTHER_FRAMES = (0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF)
_METADATA = (*range(0xE1, 0xEE), 0xEF)  # all but APP0 and APP14, which tell the colours
_COMMENT = 0xFE
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")  # neither a stuffed byte nor a restart
_MOST_SEGMENTS = 10_000
_MOST_SCANS = 100  # each a few bytes, and a whole pass over the picture
_REDUCED = {
    8: cv2.IMREAD_REDUCED_GRAYSCALE_8,
    4: cv2.IMREAD_REDUCED_GRAYSCALE_4,
    2: cv2.IMREAD_REDUCED_GRAYSCALE_2,
}


@dataclass(frozen=True)
class _Frame:
    width: int
    height: int
    sampling: dict[int, tuple[int, int]]  # horizontal and vertical, by component

    def blocks(self, components: tuple[int, ...]) -> int:
        """How many MCUs a scan of these components has."""
        across = max(h for h, _ in self.sampling.values())
        down = max(v for _, v in self.sampling.values())
        if len(components) == 1:
            h, v = self.sampling[components[0]]
            width, height = -(-self.width * h // across), -(-self.height * v // down)
            return -(-width // 8) * -(-height // 8)
        return -(-self.width // (8 * across)) * -(-self.height // (8 * down))


@dataclass(frozen=True)
class _Jpeg:
    """A file taken apart. `metadata` are the places of markers that no decoder needs."""

    frame: _Frame
    scans: tuple[Scan, ...]
    ended: bool
    orientation: int
    notes: tuple[str, ...]
    metadata: tuple[int, ...]

    def without_metadata(self, data: bytes) -> bytes:
        """The file with metadata turned into comments, which nobody unpacks; same length."""
        copy = bytearray(data)
        for place in self.metadata:
            copy[place] = _COMMENT
        return bytes(copy)


class _Walk:
    """One pass over the segments of a file."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._frame: _Frame | None = None
        self._zero_symbols: dict[int, int] = {}  # of AC tables
        self._interval = 0
        self._orientation = 0
        self._notes: tuple[str, ...] = ()
        self._metadata: list[int] = []
        self._scans: list[Scan] = []

    def run(self) -> _Jpeg:
        place, ended = 2, False
        for _ in range(_MOST_SEGMENTS):
            found = _MARKER.search(self._data, place)
            if found is None:
                break
            marker, start = self._data[found.end() - 1], found.end()
            if marker == _EOI:
                ended = True
                break
            if marker in _LENGTHLESS:
                place = start
                continue
            (length,) = unpack(">H", self._data, start) if start + 2 <= len(self._data) else (0,)
            place = start + max(length, 2)
            if place > len(self._data):
                break
            if marker in _METADATA:
                self._metadata.append(start - 1)
            self._segment(marker, start + 2, place)
            if marker == _SOS:
                place = self._scans[-1].end
        else:
            raise PhotoError(FaultCode.TOO_LARGE, f"it has more than {_MOST_SEGMENTS} segments")
        if self._frame is None or not self._scans:
            code = FaultCode.DAMAGED if ended else FaultCode.TRUNCATED
            raise PhotoError(code, "it ends before the picture begins")
        return _Jpeg(
            self._frame,
            tuple(self._scans),
            ended,
            self._orientation or 1,
            self._notes,
            tuple(self._metadata),
        )

    def _segment(self, marker: int, start: int, end: int) -> None:
        data = self._data
        if marker in _FRAMES:
            self._frame = self._read_frame(start, end)
        elif marker in _OTHER_FRAMES:
            raise PhotoError(FaultCode.UNSUPPORTED, f"a JPEG of the rare kind SOF{marker - 0xC0}")
        elif marker == _SOS:
            self._read_scan(start, end)
        elif marker == _DHT:
            self._read_tables(start, end)
        elif marker == _DRI:
            (self._interval,) = unpack(">H", data, start)
        elif marker == _APP1 and data[start : start + 6] == b"Exif\0\0":
            self._orientation = self._orientation or exif_orientation(data[start:end])
        elif marker == _APP2 and data[start : start + 4] == b"MPF\0":
            self._notes = ("the first of several pictures was taken",)

    def _read_frame(self, start: int, end: int) -> _Frame:
        precision, height, width, count = unpack(">BHHB", self._data, start)
        if precision != 8:
            raise PhotoError(FaultCode.UNSUPPORTED, f"a JPEG of {precision} bits")
        rows = [self._data[place : place + 3] for place in range(start + 6, end - 2, 3)]
        sampling = {row[0]: (row[1] >> 4, row[1] & 15) for row in rows}
        sane = len(sampling) == count and all(h and v for h, v in sampling.values())
        if not width or not height or not sane:
            raise PhotoError(FaultCode.DAMAGED, "its frame header is wrong")
        return _Frame(width, height, sampling)

    def _read_tables(self, place: int, end: int) -> None:
        """The symbol of each AC table's first code, which is all zero bits."""
        while place + 17 < end:
            kind, codes = self._data[place], sum(self._data[place + 1 : place + 17])
            if kind >> 4:
                self._zero_symbols[kind & 15] = self._data[place + 17]
            place += 17 + codes

    def _read_scan(self, start: int, end: int) -> None:
        (count,) = unpack(">B", self._data, start)
        if self._frame is None or end - start != 4 + 2 * count or not count:
            raise PhotoError(FaultCode.DAMAGED, "a scan header is wrong")
        rows = [self._data[start + 1 + 2 * i : start + 3 + 2 * i] for i in range(count)]
        components = tuple(row[0] for row in rows)
        if any(component not in self._frame.sampling for component in components):
            raise PhotoError(FaultCode.DAMAGED, "a scan names an unknown component")
        if len(self._scans) == _MOST_SCANS:
            raise PhotoError(FaultCode.UNSUPPORTED, f"it has more than {_MOST_SCANS} scans")
        last_coefficient = self._data[end - 2]
        tables = {row[1] & 15 for row in rows} if last_coefficient else set()
        symbols = tuple(self._zero_symbols.get(table, 0) for table in tables)
        restarts = -(-self._frame.blocks(components) // self._interval) - 1 if self._interval else 0
        following = _MARKER.search(self._data, end)
        stop = following.start() if following else len(self._data)
        self._scans.append(Scan(end, stop, symbols, restarts))


def _read_header(data: bytes) -> Header:
    jpeg = _Walk(data).run()
    frame = jpeg.frame
    return Header("jpeg", frame.width, frame.height, jpeg.orientation, jpeg.notes)


def _decode(data: bytes, _header: Header, reduce_to: int | None) -> Decoded:
    jpeg = _Walk(data).run()
    suspects = check_holes(data, jpeg.scans)
    notes: tuple[str, ...] = ()
    if not jpeg.ended:
        data += _END
        notes = ("its end marker is missing",)
        if breaks_off(jpeg.without_metadata(data), jpeg.scans[-1]):
            raise PhotoError(FaultCode.TRUNCATED, "its picture data break off")
    pixels = _decode_by_opencv(data, _reduction(jpeg.frame, reduce_to))
    if ends_grey(pixels):
        suspects = (*suspects, jpeg.scans[0], jpeg.scans[-1])
    if suspects:
        look_closer(jpeg.without_metadata(data), jpeg.scans, suspects)
    if len(jpeg.frame.sampling) == 4:
        return _decode_cmyk(jpeg.without_metadata(data))
    return Decoded(pixels, notes)


def _decode_by_opencv(data: bytes, reduction: int) -> Pixels:
    flags = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION | reduction
    with library(FaultCode.DAMAGED):
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    if pixels is None:
        raise PhotoError(FaultCode.DAMAGED, "its picture data cannot be decoded")
    return np.asarray(pixels, np.uint8)


def _reduction(frame: _Frame, reduce_to: int | None) -> int:
    """OpenCV's flag for the strongest reduction that keeps at least `reduce_to` pixels."""
    longest = max(frame.width, frame.height)
    for factor, flag in _REDUCED.items():
        if reduce_to is not None and longest // factor >= reduce_to:
            return int(flag)
    return 0


def _decode_cmyk(data: bytes) -> Decoded:
    """By Pillow: OpenCV's conversion is coarser."""
    with library(FaultCode.DAMAGED):
        image = JpegImagePlugin.JpegImageFile(io.BytesIO(data))
        image.load()
        return from_pillow(image)


FORMAT = Format(_read_header, _decode)
