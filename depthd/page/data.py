"""Files, pictures and numbers that pages and scripts ask for. Knows requests and results."""

from __future__ import annotations

import os
import struct
from collections import OrderedDict
from collections.abc import Callable, Iterator
from functools import partial

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from depthd.contract.formats import Format
from depthd.page.depth import MOST_VALUES, Depth, NotDepth, thumbnail
from depthd.page.results import Opened, closing
from depthd.page.sending import Closing, file_answer, known_already, zip_answer
from depthd.page.site import Site, name_in, number_in, query, site_of
from depthd.publish.sets import Set

_PIECE = 1 << 18  # bytes
_ARRAYS = (Format.NPY, Format.PFM, Format.METRES)
_MOST_THUMBNAILS = 600  # kept, of some 12 kB each


def result(request: Request) -> Response:
    """One file of a set: to be saved, or with `show` a picture."""
    site, asked = site_of(request), query(request)
    found = site.results.set(name_in(request))
    if found is None or asked.get("format") not in list(Format):
        return _nothing()
    opened = site.results.open_result(found, Format(asked["format"]))
    return _file(request, opened, shown="show" in asked)


def manifest(request: Request) -> Response:
    """A set's manifest."""
    site = site_of(request)
    found = site.results.set(name_in(request))
    return _file(request, site.results.open_manifest(found) if found else None, shown=False)


def original(request: Request) -> Response:
    """The photo of a set."""
    site = site_of(request)
    found = site.results.set(name_in(request))
    opened = site.results.open_original(found) if found else None
    return _file(request, opened, shown="show" in query(request))


def failed_photo(request: Request) -> Response:
    """A photo in failed/."""
    site = site_of(request)
    failure = site.results.failure(name_in(request))
    opened = site.results.open_failed(failure) if failure else None
    return _file(request, opened, shown="show" in query(request))


def archive(request: Request) -> Response:
    """All files of a set in one zip."""
    site = site_of(request)
    found = site.results.set(name_in(request))
    if found is None:
        return _nothing()
    base = found.name.base
    files: list[tuple[str, Callable[[], Opened | None]]] = [
        (base, partial(site.results.open_original, found)),
        (found.name.manifest, partial(site.results.open_manifest, found)),
    ]
    files += [(f.name, partial(site.results.open_result, found, f.format)) for f in found.files]
    return zip_answer(f"{base}.zip", files)


def depth(request: Request) -> Response:
    """Depth as numbers: four uint32 (width, height, and those of what follows), then float32.

    `most` bounds how many values there are across and down; they are every so many of the array.
    """
    site, asked = site_of(request), query(request)
    found = site.results.set(name_in(request))
    if found is None or asked.get("format") not in _ARRAYS:
        return _nothing()
    opened = site.results.open_result(found, Format(asked["format"]))
    if opened is None:
        return _nothing()
    try:
        array = Depth.of(opened)
    except NotDepth:
        os.close(opened.handle)
        return _nothing()
    most = number_in(request, "most")
    step = array.step_for(MOST_VALUES if most is None else min(max(most, 16), MOST_VALUES))
    width, height = array.size_at(step)

    headers = {
        "content-length": str(16 + 4 * width * height),
        "cache-control": "private, no-cache",
        "etag": opened.tag,
    }
    if (known := known_already(request, opened, headers)) is not None:
        return known
    head = struct.pack("<IIII", array.width, array.height, width, height)
    numbers = _in_pieces(head, array.rows(step))
    return Closing(opened, numbers, headers=headers, media_type="application/octet-stream")


def _in_pieces(head: bytes, rows: Iterator[bytes]) -> Iterator[bytes]:
    waiting = bytearray(head)
    for row in rows:
        waiting += row
        if len(waiting) > _PIECE:
            yield bytes(waiting)
            waiting.clear()
    yield bytes(waiting)


class Thumbnails:
    """Small heatmaps, made of the depth when they are asked for first, and kept in memory."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, bytes] = OrderedDict()

    def answer(self, request: Request) -> Response:
        """The preview if the worker made one, else a small heatmap of the depth, else the heatmap.

        Of a set without any of them the photo, or at last the page's own sign.
        """
        site = site_of(request)
        found = site.results.set(name_in(request))
        if found is None:
            return _nothing()
        if (opened := site.results.open_result(found, Format.PREVIEW)) is not None:
            return file_answer(request, opened, shown=True, is_versioned=True)
        for kind in _ARRAYS:
            if (picture := self._of(site, found, kind)) is not None:
                headers = {"cache-control": "private, max-age=31536000, immutable"}
                return Response(picture, media_type="image/png", headers=headers)
        opened = site.results.open_result(found, Format.HEATMAP)
        opened = opened or site.results.open_original(found)
        if opened is None:
            return RedirectResponse("static/icon.svg", 303)
        return file_answer(request, opened, shown=True, is_versioned=True)

    def _of(self, site: Site, found: Set, kind: Format) -> bytes | None:
        opened = site.results.open_result(found, kind)
        if opened is None:
            return None
        with closing(opened):
            key = f"{found.name.path}\0{kind}\0{opened.tag}"
            picture = self._kept.get(key)
            if picture is None:
                try:
                    array = Depth.of(opened)
                    picture = thumbnail(array, is_metres=kind is Format.METRES)
                except NotDepth:
                    return None
                self._kept[key] = picture
                if len(self._kept) > _MOST_THUMBNAILS:
                    self._kept.popitem(last=False)
            return picture


def _file(request: Request, opened: Opened | None, *, shown: bool) -> Response:
    if opened is None:
        return _nothing()
    return file_answer(request, opened, shown=shown)


def _nothing() -> Response:
    return Response(status_code=404)
