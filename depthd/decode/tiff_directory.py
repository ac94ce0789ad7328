"""The small TIFF directories: of TIFF files, of raw files, and of the EXIF blocks of all formats.

Read with bounds: a few crafted kilobytes can name gigabytes of metadata, and libraries read them
all. Knows tags and numbers, no pixels.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from depthd.contract.errors import FaultCode, PhotoError
from depthd.decode.common import truncated, unpack

MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

WIDTH, HEIGHT, PHOTOMETRIC, ORIENTATION = 256, 257, 262, 274
_DNG_VERSION, _SUB_PICTURES, _COLOUR_FILTER = 50706, 330, 32803
_MOST_ENTRIES = 1000
TYPES = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}  # unsigned whole numbers
_BYTES = (1, 7)
_TYPE_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}


@dataclass(frozen=True)
class _Entry:
    type: int
    count: int
    offset: int  # of its values


@dataclass(frozen=True)
class Directory:
    """One image file directory. Offsets count from the start of `data`."""

    data: bytes
    order: str  # of bytes, as struct writes it
    entries: dict[int, _Entry]
    next: int

    def numbers(self, tag: int, most: int = 8) -> tuple[int, ...]:
        """The values of a tag; none where it is absent or of another kind."""
        entry = self.entries.get(tag)
        if entry is None or entry.type not in TYPES:
            return ()
        if entry.count > most:
            raise PhotoError(FaultCode.UNSUPPORTED, f"tag {tag} has {entry.count} values")
        return unpack(f"{self.order}{entry.count}{TYPES[entry.type]}", self.data, entry.offset)

    def content(self, tag: int) -> bytes:
        """The bytes of a tag of bytes; none where it is absent or of another kind."""
        entry = self.entries.get(tag)
        if entry is None or entry.type not in _BYTES:
            return b""
        return self.data[entry.offset : entry.offset + entry.count]

    def number(self, tag: int, default: int = 0) -> int:
        """The first value of a tag."""
        return next(iter(self.numbers(tag)), default)

    @property
    def orientation(self) -> int:
        """1 to 8; 1 where it is missing or nonsense."""
        entry = self.entries.get(ORIENTATION)
        value = self.number(ORIENTATION, 1) if entry and entry.count == 1 else 1
        return value if 1 <= value <= 8 else 1


def read_directory(data: bytes, at: int | None = None) -> Directory:
    """The first directory of a TIFF file or EXIF block, or the one at an offset.

    Raises:
        PhotoError: it ends early, or names more metadata than the file has bytes.
    """
    order = "<" if data[:2] == b"II" else ">"
    big = data[2:4] in (b"+\0", b"\0+")
    if at is None:
        (at,) = unpack(order + ("Q" if big else "I"), data, 8 if big else 4)
    counter, row, pointer = ("Q", "HHQ8x", "Q") if big else ("H", "HHI4x", "I")
    (count,) = unpack(order + counter, data, at)
    start, size = at + struct.calcsize(counter), struct.calcsize("<" + row)
    if start + count * size > len(data):
        raise truncated(data)
    if count > _MOST_ENTRIES:
        raise PhotoError(FaultCode.TOO_LARGE, f"a directory has {count} entries")
    inline = 8 if big else 4
    entries: dict[int, _Entry] = {}
    total = 0
    for place in range(start, start + count * size, size):
        tag, kind, values = unpack(order + row, data, place)
        length = values * _TYPE_SIZES.get(kind, 8)
        offset = place + size - inline
        if length > inline:
            total += length
            (offset,) = unpack(order + pointer, data, offset)
        if tag in entries and tag in (WIDTH, HEIGHT):  # decoders differ in which one they take
            raise PhotoError(FaultCode.DAMAGED, f"tag {tag} is given twice")
        entries[tag] = _Entry(kind, values, offset)
    if total > len(data):
        raise PhotoError(FaultCode.DAMAGED, f"a directory names {total} bytes of metadata")
    (following,) = unpack(order + pointer, data, start + count * size)
    return Directory(data, order, entries, following)


def exif_orientation(block: bytes) -> int:
    """1 to 8 from an EXIF block; 1 where the block is damaged, for it is not the picture."""
    block = block.removeprefix(b"Exif\0\0")
    try:
        return read_directory(block).orientation if block[:4] in MAGIC else 1
    except PhotoError:
        return 1


def is_raw(data: bytes) -> bool:
    """Whether a TIFF file is a camera's raw file: DNG, CR2, or one with a sensor's picture."""
    try:
        directory = read_directory(data)
        if _DNG_VERSION in directory.entries or data[8:10] == b"CR":
            return True
        below = (read_directory(data, at) for at in directory.numbers(_SUB_PICTURES))
        return any(each.number(PHOTOMETRIC) == _COLOUR_FILTER for each in below)
    except PhotoError:
        return False
