"""What all answers share: the parts of the page, and what a request asks for.

Knows the parts by name and the query; answers nothing itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, Response

from depthd.config import Config
from depthd.contract.names import SetName
from depthd.page.access import Gate
from depthd.page.cameras import Cameras
from depthd.page.index import Index
from depthd.page.present import Present
from depthd.page.results import Results
from depthd.page.strings import LANGUAGES, WORDS, Words, choose
from depthd.page.upload import Uploads

LANGUAGE_COOKIE = "depthd-language"
_MOST_FIELDS = 20
_BODY_PATIENCE = 10.0  # seconds


@dataclass(frozen=True)
class Site:
    """The parts, made once."""

    config: Config
    gate: Gate
    results: Results
    outbox: Index
    failed: Index
    present: Present
    uploads: Uploads
    cameras: Cameras
    templates: Any  # jinja2.Environment

    def page(
        self, request: Request, template: str, *, status: int = 200, **context: object
    ) -> Response:
        """An HTML page in the language of whoever asks."""
        language = language_of(request)
        text = self.templates.get_template(f"{template}.html").render(
            t=WORDS[language],
            language=language,
            languages=LANGUAGES,
            template=template,
            readonly=self.config.page.readonly,
            has_password=not self.gate.is_open,
            **context,
        )
        answer = HTMLResponse(text, status)
        if (asked := query(request).get("language")) in LANGUAGES:
            answer.set_cookie(
                LANGUAGE_COOKIE, asked, max_age=31_536_000, path="", samesite="strict"
            )
        return answer

    def nothing(self, request: Request) -> Response:
        """The answer to what is not there."""
        return self.page(request, "nothing", status=404)


def site_of(request: Request) -> Site:
    """The parts, from a request."""
    site: Site = request.app.state.site
    return site


def language_of(request: Request) -> str:
    """That which is asked for, else was chosen before, else the browser's."""
    wanted = query(request).get("language") or request.cookies.get(LANGUAGE_COOKIE, "")
    return choose(wanted, request.headers.get("accept-language", ""))


def words_of(request: Request) -> Words:
    """The words in the language of whoever asks."""
    return WORDS[language_of(request)]


def query(request: Request) -> Mapping[str, str]:
    """What stands behind the question mark; bytes that are not UTF-8 as Python holds names."""
    text = request.scope["query_string"].decode("latin-1")
    try:
        return dict(
            parse_qsl(
                text,
                keep_blank_values=True,
                errors="surrogateescape",
                max_num_fields=_MOST_FIELDS,
            )
        )
    except ValueError:  # too many
        return {}


def name_in(request: Request) -> SetName:
    """The name that is asked for; it leads nowhere by itself."""
    return SetName.of(query(request).get("name", ""))


async def body(request: Request, most: int) -> bytes:
    """A small body, in time.

    Raises:
        ValueError: it is too large or too slow.
    """
    received = bytearray()

    async def read(pieces: AsyncIterator[bytes]) -> None:
        async for piece in pieces:
            received.extend(piece)
            if len(received) > most:
                raise ValueError("too large")

    try:
        await asyncio.wait_for(read(request.stream()), _BODY_PATIENCE)
    except (TimeoutError, ClientDisconnect) as error:
        raise ValueError("too slow") from error
    return bytes(received)
