"""What all answers share: the parts of the page, and what a request asks for.

Knows the parts by name and the query; answers nothing itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, Response

from depthd.config import Config
from depthd.contract.names import SetName, printable, shell_word
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
_MOST_DROPPED = 32_000_000  # bytes
_DROP_PATIENCE = 5.0  # seconds


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
    in_hint: Callable[[str], str]  # a hint whose commands act on the service of this page

    def retry_by_hand(self, words: Mapping[str, str], name: SetName) -> str:
        """Where the page may not move a failed photo: who may."""
        return self.in_hint(words["retry_forbidden"].format(name=shell_word(name.path)))

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
        # Names may be bytes that are no letters; one that no template has escaped harms nobody.
        answer = HTMLResponse(text.encode(errors="backslashreplace"), status)
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


def number_in(request: Request, key: str) -> int | None:
    """A whole number that is asked for, of at most ten digits or as good as the largest of them.

    `int` takes digits of every script, and no more than 4300 of them.
    """
    text = query(request).get(key, "")
    if not (text.isascii() and text.isdecimal()):
        return None
    return int(text) if len(text) <= 10 else 10**10


def name_in(request: Request) -> SetName:
    """The name that is asked for; it leads nowhere by itself."""
    return SetName.of(query(request).get("name", ""))


def folder_in(request: Request, folders: Collection[str], default: str = "") -> str:
    """The folder that is asked for: by its name, or as pages show it, since forms send letters."""
    asked = query(request).get("folder", default)
    if asked in folders:
        return asked
    return next((each for each in folders if printable(each) == asked), asked)


async def pass_over(request: Request) -> None:
    """Read and drop what is still coming, for a while, so that the sender hears the answer.

    A connection that is closed while somebody sends is broken off before the answer is read.
    """

    async def read() -> None:
        dropped = 0
        async for piece in request.stream():
            dropped += len(piece)
            if dropped > _MOST_DROPPED:
                return

    with suppress(TimeoutError, ClientDisconnect, RuntimeError):  # the last: all was read
        await asyncio.wait_for(read(), _DROP_PATIENCE)


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
