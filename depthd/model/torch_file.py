"""What `torch.save` wrote, read without torch.

A pickle that describes tensors beside their raw numbers, in a zip archive or, before torch 1.6,
one after the other. Knows the two forms; `tensor_pickle` knows what a pickle may say.
"""

from __future__ import annotations

import io
import struct
import zipfile
from typing import cast

from depthd.model import tensor_pickle
from depthd.model.stored import Stored
from depthd.model.tensor_pickle import Storage

_LARGEST_PICKLE = 16 << 20
_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C


def read(content: bytes) -> object:
    """The object in the file: dicts, lists, tuples, plain values, and `Stored` tensors.

    Args:
        content: of the whole file.

    Raises:
        ValueError, TypeError, LookupError, zipfile.BadZipFile: the file is damaged, or asks for
            anything else than tensors.
    """
    if content.startswith(b"PK"):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return _Archive(archive, len(content)).read()
    return _Stream(content).read()


class _Archive:
    """A zip archive: `TOP/data.pkl`, `TOP/data/KEY`, and since torch 2.1 `TOP/byteorder`."""

    def __init__(self, archive: zipfile.ZipFile, size: int) -> None:
        self._archive = archive
        self._entries = {entry.filename: entry for entry in archive.infolist()}
        self._left = size  # entries that overlap could hold more than the file
        self._storages: dict[tuple[str, str, int], Storage] = {}
        tops = [
            name.removesuffix("data.pkl") for name in self._entries if name.endswith("data.pkl")
        ]
        if len(tops) != 1:
            raise ValueError("the archive holds no data.pkl")
        self._top = tops[0]
        is_big = f"{self._top}byteorder" in self._entries and self._get("byteorder", 10) == b"big"
        self._order = ">" if is_big else "<"

    def read(self) -> object:
        pickled = self._get("data.pkl", _LARGEST_PICKLE)
        return tensor_pickle.load(io.BytesIO(pickled), self._storage)

    def _storage(self, dtype: str, key: str, length: int) -> Storage:
        described = (dtype, key, length)
        if described not in self._storages:
            size = length * Stored.item_size(dtype)
            data = self._get(f"data/{key}", size)
            if len(data) != size:
                raise ValueError(f"data/{key} has {len(data)} bytes instead of {size}")
            self._storages[described] = Storage(self._order + dtype, lambda: data)
        return self._storages[described]

    def _get(self, name: str, most: int) -> bytes:
        entry = self._entries.get(self._top + name)
        if entry is None:
            raise ValueError(f"{name} is missing")
        self._left -= entry.file_size
        # torch.save never compresses, so that nothing grows when it is read.
        if entry.compress_type != zipfile.ZIP_STORED or entry.file_size > most or self._left < 0:
            raise ValueError(f"{name} is larger than it may be, or compressed")
        return self._archive.read(entry)


class _Stream:
    """Five pickles (a magic number, a version, the machine, the object, its keys), then numbers."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._order = "<"
        self._wanted: dict[str, tuple[str, int]] = {}
        self._places: dict[str, slice] = {}

    def read(self) -> object:
        file = io.BytesIO(self._content)
        if tensor_pickle.load(file, self._storage) != _LEGACY_MAGIC:
            raise ValueError("it was not written by torch.save")
        tensor_pickle.load(file, self._storage)
        machine = tensor_pickle.load(file, self._storage)
        if isinstance(machine, dict) and machine.get("little_endian") is False:
            self._order = ">"
        result = tensor_pickle.load(file, self._storage)
        keys = tensor_pickle.load(file, self._storage)
        if type(keys) is not list or not all(type(key) is str for key in keys):
            raise TypeError("its list of storages is none")
        for key in cast("list[str]", keys):
            self._place(key, file)
        if self._places.keys() != self._wanted.keys():
            raise ValueError("numbers are missing")
        return result

    def _storage(self, dtype: str, key: str, length: int) -> Storage:
        if self._wanted.setdefault(key, (dtype, length)) != (dtype, length):
            raise ValueError(f"storage {key} is described in two ways")
        content = memoryview(self._content)
        return Storage(self._order + dtype, lambda: content[self._places[key]])

    def _place(self, key: str, file: io.BytesIO) -> None:
        dtype, length = self._wanted[key]
        (stated,) = struct.unpack(f"{self._order}q", file.read(8))
        start = file.tell()
        end = start + length * Stored.item_size(dtype)
        if stated != length or end > len(self._content):
            raise ValueError("it ends before its numbers do")
        self._places[key] = slice(start, end)
        file.seek(end)
