"""Photos' bytes, fetched ahead of the worker into open files without a name.

Whatever belongs to one photo becomes its failure. A source that is away as a whole ends the unit:
whether it is, a photo says that could be read before.
"""

from __future__ import annotations

import errno
import os
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from depthd.backfill.places import Place, as_os_error
from depthd.backfill.units import Photo
from depthd.contract.errors import (
    DepthdError,
    FaultCode,
    OutputError,
    PhotoError,
    TemporaryError,
    UnavailableError,
    words_of,
)
from depthd.system import files

_AHEAD = 8  # photos
_TRIES = 4
_PATIENCE = 0.5  # seconds before the second try; doubles
_AWAY = 16  # photos in a row that could not be read, or a whole unit: it is not the photos
_OWN_FAULT = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError)
_BYTES_A_PIXEL = 8  # as the worker has it
_PIECE = 1 << 22
_IN_MEMORY = 64_000_000  # bytes of a photo


@dataclass(frozen=True)
class Fetched:
    """A photo, open for reading, or why it could not be read."""

    photo: Photo
    handle: int = -1
    error: PhotoError | None = None

    def close(self) -> None:
        if self.handle >= 0:
            os.close(self.handle)


class Reader:
    """Reads some photos ahead.

    Args:
        source: that they were listed in.
        max_pixels: worker.max_pixels.
    """

    def __init__(self, source: Place, max_pixels: int) -> None:
        self._source = source
        self._limit = max_pixels * _BYTES_A_PIXEL
        self._pool = ThreadPoolExecutor(_AHEAD // 2, thread_name_prefix="read")
        self._known: Photo | None = None  # the last one that could be read
        self._away = 0  # in a row, as long as none could

    def read(self, photos: Sequence[Photo]) -> Iterator[Fetched]:
        """Each photo, in order.

        Raises:
            TemporaryError: the source is away.
        """
        waiting = iter(photos)
        ahead: deque[Future[Fetched]] = deque()
        most = min(_AWAY, max(2, len(photos)))
        try:
            while True:
                while len(ahead) < _AHEAD and (photo := next(waiting, None)) is not None:
                    ahead.append(self._pool.submit(self._fetch, photo))
                if not ahead:
                    return
                fetched = ahead[0].result()
                ahead.popleft()
                if fetched.error is None:
                    self._known = fetched.photo
                elif self._is_away(fetched.error, most):
                    if isinstance(cause := fetched.error.__cause__, UnavailableError):
                        raise cause
                    raise TemporaryError(f"the source cannot be read: {fetched.error}")
                yield fetched
        finally:
            for future in ahead:
                if not future.cancel() and future.exception() is None:
                    future.result().close()

    def _is_away(self, error: PhotoError, most: int) -> bool:
        """Whether it is the source rather than this photo that cannot be read."""
        if error.__cause__ is None:
            return False
        if self._known is not None:
            looked = self._fetch(self._known)
            looked.close()
            return looked.error is not None
        self._away = self._away + 1 if isinstance(error, _Away) else 0
        return self._away >= most

    def _fetch(self, photo: Photo) -> Fetched:
        if photo.trouble:
            return Fetched(photo, error=PhotoError(FaultCode.UNREADABLE, photo.trouble))
        try:
            return Fetched(photo, self._open(photo))
        except PhotoError as error:
            return Fetched(photo, error=error)

    def _open(self, photo: Photo) -> int:
        place = self._source.file(photo.address)
        try:
            if place.is_local:
                return _open_local(place.path)
            return self._download(place)
        except _OWN_FAULT as error:
            words = words_of(error)
            raise PhotoError(FaultCode.UNREADABLE, words) from error
        except (OutputError, UnavailableError) as error:
            # This machine lacks room, or a package: nothing that a photo could have caused.
            if isinstance(error, OutputError) or isinstance(error.__cause__, ImportError):
                raise
            raise _Away(FaultCode.UNREADABLE, str(error)) from error
        except (OSError, DepthdError, ValueError) as error:  # a list may say anything
            raise _Away(FaultCode.UNREADABLE, str(error)) from error

    def _download(self, place: Place) -> int:
        for attempt in range(_TRIES):
            try:
                return self._copied(place)
            except BaseException as error:
                if isinstance(error, _OWN_FAULT) or not isinstance(error, OSError):
                    raise
                if attempt + 1 == _TRIES:
                    raise
                place.forget()
                time.sleep(_PATIENCE * 2**attempt)
        raise AssertionError

    def _copied(self, place: Place) -> int:
        with as_os_error(), _open_remote(place) as file:
            size = file.size()
            self._check(size)
            handle = _nameless(size)
            try:
                copied = 0
                while piece := file.read(_PIECE):
                    copied += len(piece)
                    self._check(copied)  # whatever it has said before
                    with _on_this_node():
                        files.write_all(handle, piece)
            except BaseException:
                os.close(handle)
                raise
            return handle

    def _check(self, size: int) -> None:
        if size > self._limit:
            words = f"the file has more than {self._limit} bytes"
            raise PhotoError(FaultCode.TOO_LARGE, words)


def _open_remote(place: Place) -> Any:
    system, path = place.opened()
    return system.open_input_file(path)


def _nameless(size: int) -> int:
    """An open file for so many bytes, in memory where these are few: several are fetched ahead."""
    with _on_this_node():
        if size <= _IN_MEMORY:
            return os.memfd_create("photo")
        with tempfile.TemporaryFile() as file:
            return os.dup(file.fileno())


@contextmanager
def _on_this_node() -> Iterator[None]:
    """What goes wrong is no fault of a photo or of the source."""
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"this node has no room for a photo: {words_of(error)}",
            "make room in memory or in the folder TMPDIR",
        ) from error


class _Away(PhotoError):
    """It may be the store that is at fault."""


def _open_local(path: str) -> int:
    """A regular file that is no link; a pipe would wait for a writer."""
    folder, name = os.path.split(path)
    parent = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        return files.open_regular(name, parent)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EINVAL, errno.ENXIO):
            words = "it is no regular file"
            raise PhotoError(FaultCode.UNREADABLE, words) from error
        raise
    finally:
        os.close(parent)
