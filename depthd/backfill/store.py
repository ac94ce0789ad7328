"""The target: whole objects in, whole objects out, on a disk or in an object store.

On a disk each is written under a hidden name, synced and renamed; an object store shows an object
when all of it is there. Knows paths and bytes, nothing of what they mean.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from pyarrow import fs as arrow

from depthd.backfill.places import Place, keys
from depthd.system import files

Bytes = bytes | memoryview


class Writer(Protocol):
    """An object that grows; nobody sees it before `commit`."""

    def write(self, data: Bytes, /) -> object: ...
    def commit(self) -> None: ...
    def abandon(self) -> None:
        """Give up, as far as the store lets one."""
        ...


@dataclass(frozen=True, slots=True)
class Object:
    """What a folder of the target holds; `changed` in seconds since the epoch."""

    name: str
    changed: float


class Store(Protocol):
    """Paths are relative to the target and separated by slashes."""

    def read(self, path: str) -> bytes | None:
        """All of it; None where there is none."""
        ...

    def list(self, folder: str) -> Iterator[Object]: ...
    def create(self, path: str) -> Writer: ...
    def remove(self, path: str) -> None: ...


def put(store: Store, path: str, parts: Iterable[Bytes]) -> None:
    """Write a whole object; one of that name is replaced at once."""
    writer = store.create(path)
    try:
        for part in parts:
            writer.write(part)
        writer.commit()
    except BaseException:
        writer.abandon()
        raise


def open_store(place: Place) -> Store:
    return _Disk(Path(place.path)) if place.is_local else _Objects(place)


class _Disk:
    def __init__(self, root: Path) -> None:
        self._root = root

    def read(self, path: str) -> bytes | None:
        try:
            return (self._root / path).read_bytes()
        except FileNotFoundError:
            return None

    def list(self, folder: str) -> Iterator[Object]:
        with suppress(FileNotFoundError), os.scandir(self._root / folder) as listing:
            for entry in listing:
                with suppress(FileNotFoundError):
                    yield Object(entry.name, entry.stat().st_mtime)

    def create(self, path: str) -> Writer:
        return _HiddenFile(self._root / path)

    def remove(self, path: str) -> None:
        (self._root / path).unlink(missing_ok=True)


class _HiddenFile:
    def __init__(self, final: Path) -> None:
        final.parent.mkdir(parents=True, exist_ok=True)
        self._final = final
        self._hidden = final.with_name(f".{secrets.token_hex(8)}.part")  # as short for any name
        self._handle = os.open(self._hidden, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)

    def write(self, data: Bytes, /) -> None:
        files.write_all(self._handle, data)

    def commit(self) -> None:
        os.fsync(self._handle)
        files.leave_cache(self._handle)
        os.close(self._handle)
        self._handle = -1
        self._hidden.replace(self._final)
        files.fsync_directory(self._final.parent)

    def abandon(self) -> None:
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1
        self._hidden.unlink(missing_ok=True)


class _Objects:
    def __init__(self, place: Place) -> None:
        self._place = place
        self._system, self._root = place.opened()

    def read(self, path: str) -> bytes | None:
        try:
            with self._system.open_input_file(f"{self._root}/{path}") as file:
                return bytes(file.read())
        except FileNotFoundError:
            return None

    def list(self, folder: str) -> Iterator[Object]:
        if self._place.scheme == "s3":
            for name, changed in keys(self._place.below(folder) if folder else self._place):
                yield Object(name, changed)
            return
        selector = arrow.FileSelector(f"{self._root}/{folder}".rstrip("/"), allow_not_found=True)
        for info in self._system.get_file_info(selector):
            yield Object(info.base_name, info.mtime.timestamp() if info.mtime else 0.0)

    def create(self, path: str) -> Writer:
        return _Upload(self._system.open_output_stream(f"{self._root}/{path}"))

    def remove(self, path: str) -> None:
        with suppress(FileNotFoundError):
            self._system.delete_file(f"{self._root}/{path}")


class _Upload:
    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, data: Bytes, /) -> None:
        self._stream.write(data)

    def commit(self) -> None:
        self._stream.close()

    def abandon(self) -> None:
        """PyArrow completes an upload that is let go; who lists only what is whole does not see."""
        with suppress(OSError):
            self._stream.close()
