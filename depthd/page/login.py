"""In and out. Knows requests and the gate."""

from __future__ import annotations

import asyncio
import re
from urllib.parse import parse_qs

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from depthd.page.access import COOKIE, LIFETIME
from depthd.page.site import body, query, site_of, words_of

_NEXT = re.compile(r"(drop|gallery|photo|space|failed|camera)?(\?[\w%&=.~+-]*)?")
_LARGEST_FORM = 10_000
_one_at_a_time = asyncio.Lock()  # each takes 16 MB, a processor, and a thread that others want


def login(request: Request) -> Response:
    site = site_of(request)
    if site.gate.is_open:
        return RedirectResponse("./", 303)
    return site.page(request, "login", next=query(request).get("next", ""), trouble="")


async def log_in(request: Request) -> Response:
    site, words = site_of(request), words_of(request)
    address = request.client.host if request.client else ""
    try:
        fields = parse_qs((await body(request, _LARGEST_FORM)).decode(), max_num_fields=10)
    except ValueError:
        return site.page(request, "login", status=400, next="", trouble=words["wrong"])
    wanted = fields.get("next", [""])[0]
    if not site.gate.may_try(address):
        return site.page(request, "login", status=429, next=wanted, trouble=words["too_often"])
    password = fields.get("password", [""])[0]
    async with _one_at_a_time:
        cookie = await run_in_threadpool(site.gate.try_password, password, address)
    if cookie is None:
        return site.page(request, "login", status=403, next=wanted, trouble=words["wrong"])
    target = wanted if wanted and _NEXT.fullmatch(wanted) else "./"
    answer = RedirectResponse(target, 303)
    # Without a path: it is the folder of this page's address, whatever a proxy makes of that.
    answer.set_cookie(
        COOKIE,
        cookie,
        max_age=LIFETIME,
        path="",
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="strict",
    )
    return answer


def log_out(_: Request) -> Response:
    answer = RedirectResponse("login", 303)
    answer.delete_cookie(COOKIE, path="")
    return answer
