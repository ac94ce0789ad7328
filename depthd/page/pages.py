"""The pages of many photos. Knows requests, what there is, and templates."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from depthd.contract.errors import FaultCode
from depthd.contract.formats import Format
from depthd.contract.names import printable
from depthd.page.events import news_of
from depthd.page.index import Entry, set_name
from depthd.page.present import (
    fault_in_words,
    key_of,
    local_day,
    shown,
    shown_time,
)
from depthd.page.results import Failure, closing
from depthd.page.sending import picture_type
from depthd.page.site import Site, folder_in, query, site_of, words_of
from depthd.publish.sets import Set

ON_A_PAGE = 48
_PATIENCE = 0.6  # seconds for the first look at the folders


def now(request: Request) -> Response:
    site = site_of(request)
    site.outbox.wait(_PATIENCE)
    news = json.loads(news_of(site, words_of(request)))
    return site.page(request, "now", news=news)


def drop(request: Request) -> Response:
    site = site_of(request)
    return site.page(
        request,
        "drop",
        folders=[  # those that can be typed
            each
            for each in site.cameras.folders(site.outbox.snapshot.folders)
            if each.isprintable()
        ],
        folder=query(request).get("folder", ""),
        most=site.config.page.max_upload,
        accept=",".join(
            pattern.removeprefix("*")
            for pattern in site.config.intake.include
            if "/" not in pattern
        ),
    )


def gallery(request: Request) -> Response:
    site, asked = site_of(request), query(request)
    snapshot = site.outbox.wait(_PATIENCE)
    text, day = asked.get("text", ""), asked.get("day", "")
    folder = folder_in(request, snapshot.folders, "*")
    chosen = snapshot.choose(text, None if folder == "*" else folder, _span(day))
    page, pages, entries = _cut(chosen, asked.get("page", ""))
    kept = {key: value for key, value in asked.items() if key in ("text", "day", "folder")}
    return site.page(
        request,
        "gallery",
        days=list(_by_day(site, entries)),
        count=len(chosen),
        whole=snapshot.whole,
        folders=[(printable(each), each == folder) for each in snapshot.folders],
        asked={"text": text, "day": day},
        page=page,
        pages=pages,
        newer=_link("gallery", kept, page - 1) if page > 1 else "",
        older=_link("gallery", kept, page + 1) if page < pages else "",
    )


def _span(day: str) -> tuple[int, int] | None:
    try:
        start = time.mktime(time.strptime(day, "%Y-%m-%d"))
        moment = time.localtime(start)
        end = time.mktime((moment.tm_year, moment.tm_mon, moment.tm_mday + 1, 0, 0, 0, 0, 0, -1))
    except (ValueError, OverflowError):
        return None
    return int(start * 1e9), int(end * 1e9)


def _cut(chosen: Sequence[Entry], asked: str) -> tuple[int, int, Sequence[Entry]]:
    """The number of a page, how many there are, and its entries, the newest first."""
    pages = max(1, math.ceil(len(chosen) / ON_A_PAGE))
    number = min(max(int(asked), 1), pages) if asked.isdecimal() and len(asked) < 9 else 1
    end = len(chosen) - (number - 1) * ON_A_PAGE
    return number, pages, chosen[max(0, end - ON_A_PAGE) : end][::-1]


def _by_day(
    site: Site, entries: Sequence[Entry]
) -> Iterator[tuple[str, list[Mapping[str, object]]]]:
    day, cards = "", list[Mapping[str, object]]()
    for entry in entries:
        found = site.results.set(set_name(entry))
        if found is None:
            continue
        if (that := local_day(entry[0])) != day:
            if cards:
                yield day, cards
            day, cards = that, []
        cards.append(_card(found, entry))
    if cards:
        yield day, cards


def _card(found: Set, entry: Entry) -> Mapping[str, object]:
    formats = {file.format for file in found.files}
    photo = found.manifest.get("photo")
    return {
        "key": key_of(found.name),
        "name": shown(found.name),
        "version": f"{entry[0]:x}",
        "at": shown_time(entry[0]),
        "has_preview": Format.PREVIEW in formats,
        "size": f"{photo['width']} x {photo['height']}" if isinstance(photo, dict) else "",
    }


def _link(page: str, kept: Mapping[str, str], number: int) -> str:
    return f"{page}?{urlencode({**kept, 'page': number}, errors='surrogateescape')}"


def failed(request: Request) -> Response:
    site, words, asked = site_of(request), words_of(request), query(request)
    snapshot = site.failed.wait(_PATIENCE)
    page, pages, entries = _cut(snapshot.entries, asked.get("page", ""))
    failures = [
        _told(site, failure, entry, words)
        for entry in entries
        if (failure := site.results.failure(set_name(entry))) is not None
    ]
    return site.page(
        request,
        "failed",
        failures=failures,
        page=page,
        pages=pages,
        newer=_link("failed", {}, page - 1) if page > 1 else "",
        older=_link("failed", {}, page + 1) if page < pages else "",
    )


def _told(
    site: Site, failure: Failure, entry: Entry, words: Mapping[str, str]
) -> Mapping[str, object]:
    code = str(failure.note.get("code"))
    sentence, hint = fault_in_words(code, words)
    opened, can_show = site.results.open_failed(failure), False
    if opened is not None:
        with closing(opened):
            # What is damaged shows in part; what is no picture or too large is not tried.
            is_tame = code not in (FaultCode.TOO_MANY_PIXELS, FaultCode.TOO_COSTLY)
            can_show = is_tame and picture_type(opened) is not None
    return {
        "key": key_of(failure.name),
        "name": shown(failure.name),
        "code": code,
        "sentence": sentence or str(failure.note.get("message")),
        "hint": hint or str(failure.note.get("hint")),
        "detail": str(failure.note.get("detail") or ""),
        "attempts": failure.note.get("attempts"),
        "at": shown_time(entry[0]),
        "can_show": can_show,
        "can_take": site.results.may_take(failure),
        "by_hand": site.retry_by_hand(words, failure.name),
    }
