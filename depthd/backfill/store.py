"""The target: whole objects in, whole objects out, on a disk or in an object store.

On a disk, and wherever else a half one would be seen, each is written under a hidden name and
renamed, on a disk synced before; an object store shows an object when all of it is there. Knows
paths and bytes, nothing of what they mean.
"""

from __future__ import annotations

import os
import re
import secrets
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from pyarrow import fs as arrow

from depthd.backfill.places import OBJECT_STORES, Place, as_os_error, keys, s3_client
from depthd.system import files
from depthd.system.locks import lock

_SETTLES = 2.0  # seconds after which others who wrote at the same time have done so
ON_ITS_WAY = re.compile(r"\.[0-9a-f]{16}\.part")  # what a file is called until it is whole
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

    def exchange(self, path: str, old: bytes | None, new: bytes | None) -> bool:
        """Replace what still is `old` by `new`; None is an object that is not there.

        One step on a disk and in S3. Elsewhere of two who do it at the same time at most one is
        told that it was done, unless the store takes longer than seconds.
        """
        ...


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
    if place.is_local:
        return _Disk(Path(place.path))
    return _Bucket(place) if place.scheme == "s3" else _Objects(place)


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

    def exchange(self, path: str, old: bytes | None, new: bytes | None) -> bool:
        if old is None:
            return new is None or self._write_new(path, new)
        final = self._root / path
        with suppress(FileNotFoundError), final.open("rb+") as file:
            lock(file.fileno())
            is_there = os.path.samestat(os.fstat(file.fileno()), final.stat())
            if is_there and file.read() == old:
                if new is None:
                    self.remove(path)
                else:
                    put(self, path, [new])
                return True
        return False

    def _write_new(self, path: str, data: bytes) -> bool:
        writer = _HiddenFile(self._root / path, replaces=False)
        try:
            writer.write(data)
            writer.commit()
        except FileExistsError:
            return False
        finally:
            writer.abandon()
        return True


class _HiddenFile:
    def __init__(self, final: Path, *, replaces: bool = True) -> None:
        final.parent.mkdir(parents=True, exist_ok=True)
        self._final = final
        self._replaces = replaces
        self._hidden = final.with_name(f".{secrets.token_hex(8)}.part")  # as short for any name
        self._handle = os.open(self._hidden, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)

    def write(self, data: Bytes, /) -> None:
        files.write_all(self._handle, data)

    def commit(self) -> None:
        os.fsync(self._handle)
        files.leave_cache(self._handle)
        os.close(self._handle)
        self._handle = -1
        if self._replaces:
            self._hidden.replace(self._final)
        else:
            with files.directory(self._final.parent) as folder:
                files.link_noreplace(self._hidden.name, self._final.name, folder, folder)
        files.fsync_directory(self._final.parent)

    def abandon(self) -> None:
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1
        self._hidden.unlink(missing_ok=True)


class _Objects:
    def __init__(self, place: Place) -> None:
        self._place = place

    def read(self, path: str) -> bytes | None:
        try:
            with as_os_error():
                system, full = self._place.below(path).opened()
                with system.open_input_file(full) as file:
                    return bytes(file.read())
        except FileNotFoundError:
            return None

    def list(self, folder: str) -> Iterator[Object]:
        place = self._place.below(folder) if folder else self._place
        if place.scheme == "s3":
            for name, changed in keys(place):
                yield Object(name, changed)
            return
        with as_os_error():
            system, full = place.opened()
            found = system.get_file_info(arrow.FileSelector(full, allow_not_found=True))
        for info in found:
            yield Object(info.base_name, info.mtime.timestamp() if info.mtime else 0.0)

    def create(self, path: str) -> Writer:
        place = self._place.below(path)
        if place.scheme in OBJECT_STORES:
            with as_os_error():
                system, full = place.opened()
                return _Upload(system.open_output_stream(full))
        _make_folder(self._place.below(path.rpartition("/")[0]) if "/" in path else self._place)
        with as_os_error():
            return _Moved(*place.opened())

    def remove(self, path: str) -> None:
        with suppress(FileNotFoundError), as_os_error():
            system, full = self._place.below(path).opened()
            system.delete_file(full)

    def exchange(self, path: str, old: bytes | None, new: bytes | None) -> bool:
        if self.read(path) != old:
            return False
        if new is None:
            self.remove(path)
            return True
        put(self, path, [new])
        time.sleep(_SETTLES)
        return self.read(path) == new


class _Bucket(_Objects):
    """S3, which replaces and removes an object on the condition that it still is a certain one."""

    def exchange(self, path: str, old: bytes | None, new: bytes | None) -> bool:
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - only for S3

        client = s3_client(self._place)
        where = {"Bucket": self._place.host, "Key": self._place.below(path).path}
        condition = {"IfNoneMatch": "*"}
        try:
            if old is not None:
                found = client.get_object(**where)
                if found["Body"].read() != old:
                    return False
                condition = {"IfMatch": found["ETag"]}
            if new is not None:
                client.put_object(**where, Body=new, **condition)
            elif old is not None:
                client.delete_object(**where, **condition)
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
            if code in ("NoSuchKey", "PreconditionFailed", "ConditionalRequestConflict"):
                return False
            if code == "NotImplemented":  # a store that knows no conditions
                return super().exchange(path, old, new)
            raise OSError(str(error)) from error
        except BotoCoreError as error:
            raise OSError(str(error)) from error
        return True


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


def _make_folder(place: Place) -> None:
    """Where it is missing; others may do the same at the same time."""
    for is_last in (False, True):
        try:
            with as_os_error():
                system, path = place.opened()
                if system.get_file_info(path).type == arrow.FileType.NotFound:
                    system.create_dir(path, recursive=True)
        except OSError:
            if is_last:
                raise
        else:
            return


class _Moved:
    """A file under a hidden name, which gets its own when it is whole."""

    def __init__(self, system: arrow.FileSystem, path: str) -> None:
        folder, _, _ = path.rpartition("/")
        self._system = system
        self._final = path
        self._hidden = f"{folder}/.{secrets.token_hex(8)}.part"
        self._stream = system.open_output_stream(self._hidden)

    def write(self, data: Bytes, /) -> None:
        with as_os_error():
            self._stream.write(data)

    def commit(self) -> None:
        with as_os_error():
            self._stream.close()
        try:
            with as_os_error():
                self._system.move(self._hidden, self._final)
        except OSError:  # some replace nothing
            with as_os_error():
                self._system.delete_file(self._final)
                self._system.move(self._hidden, self._final)

    def abandon(self) -> None:
        with suppress(OSError), as_os_error():
            self._stream.close()
            self._system.delete_file(self._hidden)
