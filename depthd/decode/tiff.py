"""TIFF, and the small TIFF directories in which every format keeps its EXIF orientation.

The directory is read here first, with bounds: a few crafted kilobytes can name gigabytes of
metadata, and libraries read them all.
"""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import TiffImagePlugin

from depthd.contract.errors import FaultCode, PhotoError
from depthd.decode.common import Decoded, Format, Header, library, unpack
from depthd.decode.pixels import from_pillow, from_sixteen_bit

MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC = 256, 257, 258, 259, 262
_ORIENTATION, _SAMPLES, _PLANES, _TILE_WIDTH, _TILE_HEIGHT = 274, 277, 284, 322, 323
_EXTRA_SAMPLES, _SAMPLE_FORMAT, _DNG_VERSION = 338, 339, 50706
_PARTS = ((273, 279), (324, 325))  # offsets and lengths of strips, of tiles
_RGB, _PREMULTIPLIED, _UNSIGNED, _UNDEFINED = 2, 1, 1, 4
_DEFLATE = (8, 32946)
_COMPRESSIONS = (1, 2, 3, 4, 5, 6, 7, 8, 32771, 32773, 32946, 34925, 50000)
_SUB_DIRECTORIES = (34665, 34853, 40965)  # EXIF, GPS, interoperability
_MOST_ENTRIES = 1000
_MOST_PARTS = 2**20  # strips or tiles
_TYPES = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}  # unsigned whole numbers
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
        if entry is None or entry.type not in _TYPES:
            return ()
        if entry.count > most:
            raise PhotoError(FaultCode.UNSUPPORTED, f"tag {tag} has {entry.count} values")
        return unpack(f"{self.order}{entry.count}{_TYPES[entry.type]}", self.data, entry.offset)

    def number(self, tag: int, default: int = 0) -> int:
        """The first value of a tag."""
        return next(iter(self.numbers(tag)), default)

    @property
    def orientation(self) -> int:
        """1 to 8; 1 where it is missing or nonsense."""
        entry = self.entries.get(_ORIENTATION)
        value = self.number(_ORIENTATION, 1) if entry and entry.count == 1 else 1
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
        raise PhotoError(FaultCode.TRUNCATED, f"ends at byte {len(data)}")
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
        if tag in entries and tag in (_WIDTH, _HEIGHT):  # decoders differ in which one they take
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


def _read_header(data: bytes) -> Header:
    directory = read_directory(data)
    if _DNG_VERSION in directory.entries or data[8:10] == b"CR":
        raise PhotoError(FaultCode.UNSUPPORTED, "a camera's raw file")
    width, height = directory.number(_WIDTH), directory.number(_HEIGHT)
    if not width or not height:
        raise PhotoError(FaultCode.DAMAGED, "it gives no size")
    notes = ("the first of several pictures was taken",) * (directory.next != 0)
    return Header("tiff", width, height, directory.orientation, notes)


def _decode(data: bytes, header: Header, _reduce_to: int | None) -> Decoded:
    directory = read_directory(data)
    _check_kind(directory, header)
    whole = _is_whole(directory)
    if directory.number(_COMPRESSION) in _DEFLATE:
        _check_deflate(directory, header)
    data = _unturned(directory)
    if _has_wide_colours(directory):
        return from_sixteen_bit(_decode_by_opencv(data))
    with library(FaultCode.UNSUPPORTED):
        image = TiffImagePlugin.TiffImageFile(io.BytesIO(data))
    with library(FaultCode.DAMAGED if whole else FaultCode.TRUNCATED):
        image.load()
        return from_pillow(image)


def _check_kind(directory: Directory, header: Header) -> None:
    """What the libraries would choke on, or talk about on standard error."""
    samples = directory.number(_SAMPLES, 1)
    compression = directory.number(_COMPRESSION, 1)
    if directory.number(_SAMPLE_FORMAT, _UNSIGNED) not in (_UNSIGNED, _UNDEFINED):
        raise PhotoError(FaultCode.UNSUPPORTED, "its values are signed or floating-point")
    if samples not in range(1, 6) or compression not in _COMPRESSIONS:
        kind = f"{samples} values a pixel in compression {compression}"
        raise PhotoError(FaultCode.UNSUPPORTED, f"a TIFF of {kind}")
    tile = directory.number(_TILE_WIDTH) * directory.number(_TILE_HEIGHT)
    if tile > 4 * (header.width + 1024) * (header.height + 1024):
        raise PhotoError(FaultCode.TOO_LARGE, f"tiles of {tile} pixels")
    for pointer in _SUB_DIRECTORIES:
        for offset in directory.numbers(pointer):
            try:
                read_directory(directory.data, offset)
            except PhotoError as error:
                if error.code != FaultCode.TRUNCATED:
                    raise


def _is_whole(directory: Directory) -> bool:
    """Whether all strips or tiles end inside the file; none may begin outside."""
    size = len(directory.data)
    for offsets_tag, lengths_tag in _PARTS:
        offsets = directory.numbers(offsets_tag, _MOST_PARTS)
        lengths = directory.numbers(lengths_tag, _MOST_PARTS)
        if max(offsets, default=0) > size:
            raise PhotoError(FaultCode.TRUNCATED, f"ends at byte {size}")
        if any(o + n > size for o, n in zip(offsets, lengths, strict=False)):
            return False
    return True


def _check_deflate(directory: Directory, header: Header) -> None:
    """Each part against its own checksum, at which libtiff does not look.

    Bounded by the pixels of the picture, whatever the parts unpack to.
    """
    room = 16 * (header.width + 1024) * (header.height + 1024)
    for offsets_tag, lengths_tag in _PARTS:
        offsets = directory.numbers(offsets_tag, _MOST_PARTS)
        lengths = directory.numbers(lengths_tag, _MOST_PARTS)
        for offset, length in zip(offsets, lengths, strict=False):
            if room <= 0:
                return
            try:
                part = directory.data[offset : offset + length]
                room -= len(zlib.decompressobj().decompress(part, room)) + 64
            except zlib.error as error:
                raise PhotoError(FaultCode.DAMAGED, f"a part of its data: {error}") from error


def _has_wide_colours(directory: Directory) -> bool:
    """16-bit RGB or RGBA: Pillow cuts it to 8 bits before anyone sees its real range."""
    return (
        directory.number(_BITS, 1) == 16
        and directory.number(_SAMPLES, 1) in (3, 4)
        and directory.number(_PHOTOMETRIC) == _RGB
        and directory.number(_PLANES, 1) == 1
        and directory.number(_EXTRA_SAMPLES) != _PREMULTIPLIED
    )


def _decode_by_opencv(data: bytes) -> NDArray[np.uint16]:
    with library(FaultCode.DAMAGED):
        values = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if values is None or values.dtype != np.uint16:
        raise PhotoError(FaultCode.DAMAGED, "its 16-bit picture data cannot be read")
    return np.asarray(values[:, :, [2, 1, 0, 3][: values.shape[2]]], np.uint16)


def _unturned(directory: Directory) -> bytes:
    """The file with orientation 1: libraries turn some kinds of TIFF and leave others."""
    if directory.orientation == 1:
        return directory.data
    copy = bytearray(directory.data)
    entry = directory.entries[_ORIENTATION]
    struct.pack_into(directory.order + _TYPES[entry.type], copy, entry.offset, 1)
    return bytes(copy)


FORMAT = Format(_read_header, _decode)
