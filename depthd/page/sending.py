"""Files and archives as answers: read in pieces, never whole in memory.

Knows open files and headers; nothing of names' meaning.
"""

from __future__ import annotations

import os
import re
import time
import zipfile
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Mapping, Sequence
from io import RawIOBase
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from depthd.page.results import Opened

_PIECE = 1 << 18
_READ_AT = 12  # bytes by which a picture is known
_SIGNATURES = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF8", "image/gif"),
    (b"BM", "image/bmp"),
)
_FIRST, _LAST = 315_619_200, 4_354_646_400  # seconds: a day within 1980 and 2107
_SEPARATORS = re.compile(r"[\\/:\x00-\x1f\x7f]")
_FOREVER = "private, max-age=31536000, immutable"


class BrokenOff(Exception):
    """An answer cannot be finished, for no fault of the page's."""


def picture_type(opened: Opened) -> str | None:
    """The type of a picture that browsers show, by its content; None of any other."""
    start = os.pread(opened.handle, _READ_AT, 0)
    for signature, kind in _SIGNATURES:
        if start.startswith(signature):
            return kind
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return "image/webp"
    if start[4:8] == b"ftyp" and start[8:12] in (b"avif", b"avis"):
        return "image/avif"
    return None


def file_answer(
    request: Request, opened: Opened, *, shown: bool, is_versioned: bool = False
) -> Response:
    """An open file, which is closed at the end.

    Args:
        request: that asks for it.
        opened: the file.
        shown: as a picture, if it is one that browsers show; else to be saved.
        is_versioned: the address changes with the content.
    """
    kind = picture_type(opened) if shown else None
    headers = {
        "etag": opened.tag,
        "cache-control": _FOREVER if is_versioned else "private, no-cache",
        "content-disposition": "inline" if kind else _attachment(opened.name),
        # Whatever somebody's file is: it is nothing that can do anything.
        "content-security-policy": "default-src 'none'; sandbox",
    }
    kind = kind or "application/octet-stream"
    if (known := known_already(request, opened, headers)) is not None:
        return known
    headers["content-length"] = str(opened.size)
    return Closing(opened, _pieces(opened), headers=headers, media_type=kind)


def known_already(request: Request, opened: Opened, headers: Mapping[str, str]) -> Response | None:
    """The answer to somebody who has the file as it is now; the file is closed then."""
    if request.headers.get("if-none-match") != opened.tag:
        return None
    os.close(opened.handle)
    return Response(status_code=304, headers=headers)


class Closing(StreamingResponse):
    """An answer that closes its file at the end, however that comes."""

    def __init__(
        self,
        opened: Opened,
        pieces: AsyncIterator[bytes] | Iterator[bytes],
        *,
        headers: Mapping[str, str],
        media_type: str,
    ) -> None:
        super().__init__(pieces, headers=headers, media_type=media_type)
        self._opened = opened

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            if scope["method"] == "HEAD":
                await Response(headers=self.headers)(scope, receive, send)
            else:
                await super().__call__(scope, receive, send)
        finally:
            os.close(self._opened.handle)


async def _pieces(opened: Opened) -> AsyncIterator[bytes]:
    """As many bytes as were promised; fewer, and so a broken answer, of a file that shrinks."""
    position = 0
    while position < opened.size:
        most = min(_PIECE, opened.size - position)
        piece = await run_in_threadpool(os.pread, opened.handle, most, position)
        if not piece:
            raise BrokenOff(opened.name)
        position += len(piece)
        yield piece


def zip_answer(name: str, files: Sequence[tuple[str, Callable[[], Opened | None]]]) -> Response:
    """An archive, made while it is sent; nothing is compressed, because the files are.

    Args:
        name: of the archive.
        files: the name of each in it, and what opens it.
    """
    return _Archive(zipped(files), headers={"content-disposition": _attachment(name)})


class _Archive(StreamingResponse):
    """An archive whose open file is closed when its reader has gone, not some time later."""

    media_type = "application/zip"

    def __init__(self, pieces: Generator[bytes, None, None], headers: Mapping[str, str]) -> None:
        super().__init__(pieces, headers=headers)
        self._pieces = pieces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._pieces.close()


class _Sink(RawIOBase):
    """Keeps what was written until it is taken; cannot be sought in."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        piece = bytes(data)  # type: ignore[call-overload]
        self._pieces.append(piece)
        return len(piece)

    def take(self) -> bytes:
        taken = b"".join(self._pieces)
        self._pieces.clear()
        return taken


def _plain(name: str) -> str:
    """A name in an archive: nothing in it leads to another folder, or drive, of Windows."""
    return _SEPARATORS.sub("_", name.encode(errors="replace").decode())


def zipped(
    files: Sequence[tuple[str, Callable[[], Opened | None]]],
) -> Generator[bytes, None, None]:
    """Piece by piece, an archive of files; see `zip_answer`."""
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:
        for name, open_it in files:
            opened = open_it()
            if opened is None:
                continue
            try:
                # Owners of photos set their times as they like; an archive has 1980 to 2107.
                when = time.localtime(min(max(opened.modified / 1e9, _FIRST), _LAST))[:6]
                info = zipfile.ZipInfo(_plain(name), when)
                with archive.open(info, "w", force_zip64=opened.size > 1 << 31) as entry:
                    position = 0
                    while position < opened.size:  # its owner may still write to it
                        most = min(_PIECE, opened.size - position)
                        if not (piece := os.pread(opened.handle, most, position)):
                            break
                        position += len(piece)
                        entry.write(piece)
                        yield sink.take()
            finally:
                os.close(opened.handle)
    yield sink.take()


def _attachment(name: str) -> str:
    """The header that makes a browser save; the name in ASCII and as it is (RFC 6266)."""
    plain = "".join(c if c.isascii() and (c.isalnum() or c in "._-~") else "_" for c in name)
    exact = quote(os.fsencode(name), safe="")
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{exact}"
