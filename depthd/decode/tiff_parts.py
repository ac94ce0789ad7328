"""The strips or tiles of a TIFF: are all there, and are they what their checksums say?

Decoders leave a missing one grey or read something else in its place. Knows bytes, no pixels,
but for JPEG, whose decoder alone knows what is damaged.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from depthd.contract.errors import FaultCode, PhotoError
from depthd.decode.jpeg import decode_jpeg
from depthd.decode.jpeg_structure import take_apart
from depthd.decode.tiff_directory import HEIGHT, PHOTOMETRIC, WIDTH, Directory

_BITS, _SAMPLES, _ROWS, _PLANES = 258, 277, 278, 284
_TILE_WIDTH, _TILE_HEIGHT, _JPEG_TABLES = 322, 323, 347
_STRIPS, _TILES = (273, 279), (324, 325)  # offsets and lengths
_NONE, _YCBCR = 1, 6
_MOST = 2**20
_MOST_PASSES = 40
_CHECKSUM = 64  # bytes of room, in which zlib comes to the checksum


@dataclass(frozen=True)
class Parts:
    """`width` and `height` of each in pixels, `row` in bytes; the last strip may be lower."""

    directory: Directory
    width: int
    height: int
    row: int
    places: tuple[tuple[int, int], ...]  # offset and length

    def __iter__(self) -> Iterator[bytes]:
        for offset, length in self.places:
            yield self.directory.data[offset : offset + length]

    @property
    def are_whole(self) -> bool:
        """Whether all end inside the file."""
        return all(o + length <= len(self.directory.data) for o, length in self.places)


def find_parts(directory: Directory, compression: int) -> Parts:
    """Where the picture's data lie.

    Raises:
        PhotoError: parts are missing, begin behind the file's end, or are larger than the picture.
    """
    width, height = directory.number(WIDTH), directory.number(HEIGHT)
    tiled = directory.number(_TILE_WIDTH) > 0
    offsets_tag, lengths_tag = _TILES if tiled else _STRIPS
    across, down = 1, 1
    if tiled:
        part = (directory.number(_TILE_WIDTH), max(1, directory.number(_TILE_HEIGHT)))
        if part[0] * part[1] > 4 * (width + 1024) * (height + 1024):
            raise PhotoError(FaultCode.TOO_LARGE, f"tiles of {part[0]} x {part[1]} pixels")
        across = -(-width // part[0])
    else:
        part = (width, min(height, max(1, directory.number(_ROWS, height))))
    down = -(-height // part[1])
    planes = directory.number(_SAMPLES, 1) if directory.number(_PLANES, 1) == 2 else 1
    count = across * down * planes
    offsets = directory.numbers(offsets_tag, _MOST)
    lengths = directory.numbers(lengths_tag, _MOST)
    if max(offsets, default=0) > len(directory.data):
        raise PhotoError(FaultCode.TRUNCATED, f"ends at byte {len(directory.data)}")
    if not lengths and len(offsets) == 1:  # old writers of a single strip leave its length out
        lengths = (len(directory.data) - offsets[0],)
    places = tuple(zip(offsets, lengths, strict=False))[:count]
    missing = count - sum(1 for offset, length in places if offset and length)
    if missing:
        raise PhotoError(FaultCode.DAMAGED, f"{missing} of its {count} strips or tiles are missing")
    samples = directory.number(_SAMPLES, 1) // planes
    row = -(-part[0] * samples * directory.number(_BITS, 1) // 8)
    parts = Parts(directory, *part, row, places)
    if compression == _NONE and directory.number(PHOTOMETRIC) != _YCBCR:
        last = part[1] if tiled else height - part[1] * (down - 1)
        _check_lengths(parts, down, last)
    return parts


def _check_lengths(parts: Parts, down: int, last: int) -> None:
    """Uncompressed parts are as long as their rows need; of the lowest these are `last`."""
    for number, (_, length) in enumerate(parts.places):
        needed = parts.row * (last if number % down == down - 1 else parts.height)
        if length < needed:
            raise PhotoError(FaultCode.DAMAGED, f"a part of {length} bytes, not {needed}")


def check_deflate(parts: Parts) -> None:
    """Each part against its own checksum, at which libtiff does not look.

    Nothing is unpacked beyond what the picture needs, whatever a part holds.
    """
    needed = parts.row * parts.height
    for part in parts:
        unpacker = zlib.decompressobj()
        try:
            unpacker.decompress(part, needed + _CHECKSUM)
        except zlib.error as error:
            raise PhotoError(FaultCode.DAMAGED, f"a part of its data: {error}") from error
        if unpacker.unconsumed_tail:
            raise PhotoError(FaultCode.DAMAGED, "a part holds more than its pixels")


def check_jpeg(parts: Parts) -> None:
    """Each part as the JPEG that it is."""
    tables = parts.directory.content(_JPEG_TABLES)
    for part in parts:
        stream = tables[:-2] + part[2:] if tables else part
        jpeg = take_apart(stream)
        if jpeg.frame.width > parts.width or jpeg.frame.height > parts.height:
            size = f"{jpeg.frame.width} x {jpeg.frame.height}"
            raise PhotoError(FaultCode.DAMAGED, f"a part of {size} pixels is too large")
        if jpeg.passes > _MOST_PASSES:
            raise PhotoError(FaultCode.TOO_COSTLY, f"a part has {jpeg.passes} passes")
        decode_jpeg(stream, jpeg)
