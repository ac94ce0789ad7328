"""Photos into the inbox, as a good writer's: streamed, hidden until whole, never replacing one.

Knows the inbox and bytes that come in; nothing of what becomes of them.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import secrets
import stat
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from starlette.concurrency import run_in_threadpool

from depthd.config import Config
from depthd.contract.names import MAX_DEPTH, SetName, set_names, timestamp
from depthd.intake.patterns import Names
from depthd.page.results import Results
from depthd.publish.places import safe_forms
from depthd.system import files
from depthd.system.walking import walk

PIECE_PATIENCE = 30.0  # seconds for the next bytes
_GRACE = 60.0  # seconds before the rate counts
_SLOWEST = 4096  # bytes a second, on the whole
_WRITE_AT_ONCE = 1 << 20
_HIDDEN, _PART = ".depthd-page-", ".part"
_LEFT_BEHIND = 86_400  # seconds after which nobody sends any more
_MOST_FOLDERS = 10_000
_LONGEST = 180  # bytes of a name, so that results' names have room


class Refused(Exception):
    """The photo is not taken; `key` names the sentence that says why, `status` is HTTP's."""

    def __init__(self, status: int, key: str) -> None:
        super().__init__(key)
        self.status = status
        self.key = key


@dataclass(frozen=True)
class Received:
    """A photo in the inbox, under the name that it got."""

    name: SetName
    sha256: str
    size: int


class Uploads:
    """Takes photos, a bounded number at a time and in all."""

    def __init__(self, config: Config, results: Results) -> None:
        self._page = config.page
        self._inbox = config.folder("inbox")
        self._min_free = config.disk.min_free
        self._recursive = config.intake.recursive
        self._names = Names.of(config.intake)
        self._results = results
        self._active = 0
        self._waiting: deque[SetName] = deque()

    async def take(
        self, folder: str, base: str, size: int | None, body: AsyncIterator[bytes]
    ) -> Received:
        """Write what comes in to the inbox.

        Args:
            folder: of the inbox; empty is the top.
            base: the photo's own name.
            size: bytes that were announced.
            body: the bytes.

        Raises:
            Refused: it is not taken; nothing of it stays.
            OSError: the inbox cannot be written.
        """
        name = self._name(folder, base)
        if size is None:
            raise Refused(411, "upload_length")
        if size == 0:
            raise Refused(400, "upload_empty")
        if size > self._page.max_upload:
            raise Refused(413, "upload_large")
        if self._active >= self._page.max_uploads:
            raise Refused(503, "upload_busy")
        self._active += 1
        try:
            await run_in_threadpool(self._look_for_room, size)
            handle = await run_in_threadpool(self._open_folder, name)
            try:
                received = await self._write(handle, name, size, body)
            finally:
                os.close(handle)
        finally:
            self._active -= 1
        self._waiting.append(received.name)
        return received

    def _name(self, folder: str, base: str) -> SetName:
        """A name that the daemon takes, or none at all."""
        clean = "".join(char if char.isprintable() else "_" for char in base)
        name = SetName.of(f"{folder.strip('/')}/{clean}".lstrip("/"))
        if "/" in base or "\0" in base or not safe_forms(name) or len(name.folders) > MAX_DEPTH:
            raise Refused(400, "upload_name")
        if any(len(os.fsencode(part)) > _LONGEST for part in (*name.folders, name.base)):
            raise Refused(400, "upload_name")
        if any(not part.isprintable() for part in name.folders):
            raise Refused(400, "upload_name")
        if name.folders and not self._recursive:
            raise Refused(400, "upload_folder")
        if self._names.skips_beneath(name.path) or not self._names.wants(name.path):
            raise Refused(415, "upload_kind")
        return name

    def _look_for_room(self, size: int) -> None:
        disk = os.statvfs(self._inbox)
        if disk.f_bavail * disk.f_frsize - size < self._min_free:
            raise Refused(507, "upload_disk")
        if len(self._waiting) + self._active > self._page.max_waiting:
            for _ in range(len(self._waiting)):  # forget those that were taken
                with suppress(IndexError):
                    name = self._waiting.popleft()
                    if os.path.lexists(self._inbox / name.path):
                        self._waiting.append(name)
        if len(self._waiting) + self._active > self._page.max_waiting:
            raise Refused(503, "upload_waiting")

    def _open_folder(self, name: SetName) -> int:
        mode = files.mode_for_all(self._inbox)
        return files.open_beneath(self._inbox, name.folders, create_mode=mode)

    async def _write(
        self, folder: int, name: SetName, size: int, body: AsyncIterator[bytes]
    ) -> Received:
        hidden = f"{_HIDDEN}{secrets.token_hex(8)}{_PART}"
        writer = files.make(hidden, folder)
        try:
            digest = await _stream(writer, size, body)
            final = await run_in_threadpool(self._finish, writer, hidden, folder, name)
        except BaseException:
            files.unlink_if_exists(hidden, folder)
            raise
        finally:
            os.close(writer)
        return Received(final, digest, size)

    def _finish(self, writer: int, hidden: str, folder: int, name: SetName) -> SetName:
        """Durable, readable for the daemon, and under a name that nothing of its own has."""
        files.set_rights(writer, 0o660, os.fstat(folder).st_gid)
        os.fsync(writer)
        for candidate in set_names(name.path, timestamp(time.time())):
            with suppress(FileExistsError):
                if not self._results.places.is_taken(candidate):
                    files.rename_noreplace(hidden, candidate.base, folder, folder)
                    os.fsync(folder)
                    return candidate
        raise Refused(409, "upload_taken")

    def clear(self) -> None:
        """Remove what a page that was killed has left behind."""
        for number, (path, _, names) in enumerate(walk(self._inbox)):
            if number >= _MOST_FOLDERS:
                return
            parts = [name for name in names if name.startswith(_HIDDEN) and name.endswith(_PART)]
            if parts:
                with suppress(OSError), self._entered(path) as folder:
                    for name in parts:
                        _remove_if_old(name, folder)

    @contextmanager
    def _entered(self, path: str) -> Iterator[int]:
        inside = os.path.relpath(path, self._inbox)
        with files.beneath(self._inbox, () if inside == "." else inside.split("/")) as folder:
            yield folder


async def _stream(writer: int, size: int, body: AsyncIterator[bytes]) -> str:
    """Write exactly so many bytes; the SHA-256 of them."""
    digest = hashlib.sha256()
    waiting = bytearray()
    received, began = 0, time.monotonic()

    def write() -> None:
        digest.update(waiting)
        files.write_all(writer, bytes(waiting))
        waiting.clear()

    pieces = aiter(body)
    while True:
        try:
            piece = await asyncio.wait_for(anext(pieces), PIECE_PATIENCE)
        except StopAsyncIteration:
            break
        except TimeoutError:
            raise Refused(408, "upload_slow") from None
        received += len(piece)
        took = time.monotonic() - began
        if received > size:
            raise Refused(413, "upload_large")
        if took > _GRACE and received < took * _SLOWEST:
            raise Refused(408, "upload_slow")
        waiting += piece
        if len(waiting) >= _WRITE_AT_ONCE:
            await run_in_threadpool(write)
    if received != size:
        raise Refused(400, "upload_broken")
    await run_in_threadpool(write)
    return digest.hexdigest()


def _remove_if_old(name: str, folder: int) -> None:
    about = os.stat(name, dir_fd=folder, follow_symlinks=False)
    is_ours = stat.S_ISREG(about.st_mode) and about.st_uid == os.geteuid()
    if is_ours and time.time() - about.st_mtime > _LEFT_BEHIND:
        files.unlink_if_exists(name, folder)
