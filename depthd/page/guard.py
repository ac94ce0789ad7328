"""What every request is held against before anything looks at it, and what every answer carries.

Knows headers; nothing of photos.
"""

from __future__ import annotations

import asyncio
import http.cookies
import re
from collections.abc import Mapping
from urllib.parse import quote

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from depthd.page.access import COOKIE, Gate
from depthd.page.sending import BrokenOff

SEND_PATIENCE = 60.0  # seconds in which a reader must take the next piece
_LONGEST_TARGET = 8192  # bytes of path and query
_LOCAL = frozenset({"localhost", "127.0.0.1", "[::1]"})
_FORWARDED = ("forwarded", "via", "x-real-ip")  # and whatever begins with x-forwarded-
# Reached without a password; it has no photo in it.
_FREE = re.compile(r"/(login|static/[a-z0-9.-]+)")
HEADERS: Mapping[str, str] = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' blob:; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    # Not no-referrer: browsers would hide the origin of forms, which is looked at here.
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "x-frame-options": "DENY",
}


class Guard:
    """Around the whole application."""

    def __init__(self, app: ASGIApp, gate: Gate) -> None:
        self._app = app
        self._gate = gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            answer = self._refusal(scope, Headers(scope=scope))
            await (answer or self._app)(scope, receive, _careful(send))

    def _refusal(self, scope: Scope, headers: Headers) -> Response | None:
        if (refusal := self._misuse(scope, headers)) is not None:
            return refusal
        if self._gate.is_open or _FREE.fullmatch(scope["path"]):
            return None
        if self._gate.knows(_cookie(headers)):
            return None
        return _to_the_door(scope, headers)

    def _misuse(self, scope: Scope, headers: Headers) -> Response | None:
        if scope["method"] not in ("GET", "HEAD", "POST"):
            return _say("This is not a thing to do here.", 405)
        if len(scope["raw_path"]) + len(scope["query_string"]) > _LONGEST_TARGET:
            return _say("The address is too long.", 414)
        if self._gate.is_open and (why := _not_from_here(scope, headers)):
            return _say(why, 403)
        if scope["method"] == "POST" and not _is_same_origin(headers):
            return _say("The request comes from another page.", 403)
        return None


def _to_the_door(scope: Scope, headers: Headers) -> Response:
    if scope["method"] == "GET" and "text/html" in headers.get("accept", ""):
        asked = scope["path"].lstrip("/")
        if scope["query_string"]:
            asked += "?" + scope["query_string"].decode("latin-1")
        return RedirectResponse(f"login?next={quote(asked, safe='')}", 303)
    return _say("The password is needed.", 401)


def _not_from_here(scope: Scope, headers: Headers) -> str:
    """Without a password only this machine's own browser is answered, under its own name.

    Else any page in that browser could read everything, by a name that leads here; and so could
    the whole world behind a proxy. One that says nothing of itself (nginx with no more than
    proxy_pass) is known by HTTP/1.0, which no browser speaks.
    """
    name = headers.get("host", "").lower()
    host = name.rpartition(":")[0] if re.search(r":\d+$", name) else name
    is_forwarded = scope["http_version"] == "1.0" or any(
        name in _FORWARDED or name.startswith("x-forwarded-") for name in headers
    )
    if host in _LOCAL and not is_forwarded:
        return ""
    return (
        "Without a password this page is for the machine that it runs on. "
        "To serve it to others, set page.password_file."
    )


def _is_same_origin(headers: Headers) -> bool:
    if headers.get("sec-fetch-site", "same-origin") != "same-origin":
        return False
    _, _, place = headers.get("origin", "").lower().partition("://")
    return bool(place) and place == headers.get("host", "").lower()


def _cookie(headers: Headers) -> str:
    try:
        found = http.cookies.SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except http.cookies.CookieError:
        return ""
    return found.value if found else ""


def _say(text: str, status: int) -> Response:
    return PlainTextResponse(text + "\n", status, {"connection": "close"})


def _careful(send: Send) -> Send:
    """An answer with our headers, to a reader who may not dawdle."""

    async def careful(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
            headers.setdefault("cache-control", "no-store")
        try:
            await asyncio.wait_for(send(message), SEND_PATIENCE)
        except TimeoutError:
            raise BrokenOff("the reader dawdles") from None

    return careful
