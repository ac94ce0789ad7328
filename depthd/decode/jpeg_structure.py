"""A JPEG file taken apart: its segments, its frame, its scans. Decodes nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass

from depthd.contract.errors import FaultCode, PhotoError
from depthd.decode.common import unpack
from depthd.decode.tiff_directory import exif_orientation

_SOI, _EOI, _SOS, _APP1, _APP2 = 0xD8, 0xD9, 0xDA, 0xE1, 0xE2
_LENGTHLESS = (0x01, _SOI)
_SEQUENTIAL, _PROGRESSIVE = (0xC0, 0xC1), 0xC2
_OTHER_FRAMES = (0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF)
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")  # neither a stuffed byte nor a restart
_MOST_SEGMENTS = 10_000
_MOST_SCANS = 1000
_WHOLE_BAND = b"\x00\x3f\x00"  # what a scan of a sequential JPEG has to say of its coefficients


@dataclass(frozen=True)
class Frame:
    """`sampling` is horizontal and vertical, by component."""

    width: int
    height: int
    sampling: dict[int, tuple[int, int]]
    is_progressive: bool

    def pixels(self, components: tuple[int, ...]) -> int:
        """How many values a scan of these components goes over."""
        across = max(h for h, _ in self.sampling.values())
        down = max(v for _, v in self.sampling.values())
        blocks = 0
        for h, v in (self.sampling[component] for component in components):
            blocks += -(-self.width * h // (8 * across)) * -(-self.height * v // (8 * down))
        return 64 * blocks


@dataclass(frozen=True)
class Jpeg:
    """A file taken apart.

    `end` is where its last marker or, without one, the file ends. `stray` are the places, first
    and behind, of bytes that belong to no segment; `odd_bands` those of scan parameters that a
    sequential JPEG must not have and that decoders ignore.
    """

    frame: Frame
    values: int  # that all its scans go over
    ended: bool
    end: int
    orientation: int
    notes: tuple[str, ...]
    stray: tuple[tuple[int, int], ...]
    odd_bands: tuple[int, ...]

    @property
    def passes(self) -> int:
        """How often a decoder goes over the picture."""
        return -(-self.values // (self.frame.width * self.frame.height))


def take_apart(data: bytes) -> Jpeg:
    """Read a JPEG's structure.

    Raises:
        PhotoError: truncated before its picture, damaged, unsupported, or of too many parts.
    """
    return _Walk(data).run()


class _Walk:
    """One pass over the segments of a file."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._frame: Frame | None = None
        self._orientation = 0
        self._notes: tuple[str, ...] = ()
        self._stray: list[tuple[int, int]] = []
        self._odd_bands: list[int] = []
        self._scans = self._values = 0

    def run(self) -> Jpeg:
        place, ended, end = 2, False, len(self._data)
        in_scan = False
        for _ in range(_MOST_SEGMENTS):
            found = _MARKER.search(self._data, place)
            if found is None:
                break
            marker, start = self._data[found.end() - 1], found.end()
            if not in_scan and found.start() > place:
                self._stray.append((place, found.start()))
            if marker == _EOI:
                ended, end = True, found.start()
                break
            in_scan = marker == _SOS
            if marker in _LENGTHLESS:
                place = start
                continue
            (length,) = unpack(">H", self._data, start) if start + 2 <= len(self._data) else (0,)
            place = start + max(length, 2)
            if place > len(self._data):
                break
            self._segment(marker, start + 2, place)
        else:
            raise PhotoError(FaultCode.TOO_LARGE, f"it has more than {_MOST_SEGMENTS} segments")
        if self._frame is None or not self._scans:
            code = FaultCode.DAMAGED if ended else FaultCode.TRUNCATED
            raise PhotoError(code, "it ends before the picture begins")
        return Jpeg(
            self._frame,
            self._values,
            ended,
            end,
            self._orientation or 1,
            self._notes,
            tuple(self._stray),
            tuple(self._odd_bands),
        )

    def _segment(self, marker: int, start: int, end: int) -> None:
        data = self._data
        if marker in _SEQUENTIAL or marker == _PROGRESSIVE:
            self._frame = self._read_frame(start, end, is_progressive=marker == _PROGRESSIVE)
        elif marker in _OTHER_FRAMES:
            raise PhotoError(FaultCode.UNSUPPORTED, f"a JPEG of the rare kind SOF{marker - 0xC0}")
        elif marker == _SOS:
            self._read_scan(start, end)
        elif marker == _APP1 and data[start : start + 6] == b"Exif\0\0":
            self._orientation = self._orientation or exif_orientation(data[start:end])
        elif marker == _APP2 and data[start : start + 4] == b"MPF\0":
            self._notes = ("the first of several pictures was taken",)

    def _read_frame(self, start: int, end: int, *, is_progressive: bool) -> Frame:
        precision, height, width, count = unpack(">BHHB", self._data, start)
        if precision != 8:
            raise PhotoError(FaultCode.UNSUPPORTED, f"a JPEG of {precision} bits")
        rows = [self._data[place : place + 3] for place in range(start + 6, end - 2, 3)]
        sampling = {row[0]: (row[1] >> 4, row[1] & 15) for row in rows}
        sane = len(sampling) == count and all(h and v for h, v in sampling.values())
        if not width or not height or not sane:
            raise PhotoError(FaultCode.DAMAGED, "its frame header is wrong")
        return Frame(width, height, sampling, is_progressive)

    def _read_scan(self, start: int, end: int) -> None:
        (count,) = unpack(">B", self._data, start)
        if self._frame is None or end - start != 4 + 2 * count or not count:
            raise PhotoError(FaultCode.DAMAGED, "a scan header is wrong")
        components = tuple(self._data[start + 1 + 2 * i] for i in range(count))
        if any(component not in self._frame.sampling for component in components):
            raise PhotoError(FaultCode.DAMAGED, "a scan names an unknown component")
        self._scans += 1
        if self._scans > _MOST_SCANS:
            raise PhotoError(FaultCode.TOO_COSTLY, f"it has more than {_MOST_SCANS} scans")
        self._values += self._frame.pixels(components)
        if not self._frame.is_progressive and self._data[end - 3 : end] != _WHOLE_BAND:
            self._odd_bands.append(end - 3)


def tidied(data: bytes, jpeg: Jpeg, left_over: int) -> bytes:
    """The file without what is wrong in it and harms nothing.

    Args:
        data: the file.
        jpeg: its parts.
        left_over: so many bytes before the end are not the picture's.
    """
    copy = bytearray(data)
    for place in jpeg.odd_bands:
        copy[place : place + 3] = _WHOLE_BAND
    for first, behind in reversed([*jpeg.stray, (jpeg.end - left_over, jpeg.end)]):
        del copy[first:behind]
    return bytes(copy)
