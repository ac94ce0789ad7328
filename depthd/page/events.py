"""News as server-sent events: what is going on, as soon as it is another.

Knows the present and how events are written.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from depthd.page.index import set_name
from depthd.page.present import fault_in_words, key_of, shown, shown_time
from depthd.page.site import Site, site_of, words_of
from depthd.page.strings import Words

_LOOK_EVERY = 1.0  # seconds
_SIGN_OF_LIFE = 15  # looks after which something is sent in any case
_MOST = 64  # listeners
_NEWEST = 6


class Events:
    """Answers of which each lasts until the listener goes."""

    def __init__(self) -> None:
        self._listeners = 0
        self._end = asyncio.Event()

    def end(self) -> None:
        """Let every listener go."""
        self._end.set()

    async def answer(self, request: Request) -> Response:
        if request.method == "HEAD":
            return Response(media_type="text/event-stream")
        if self._listeners >= _MOST:
            return PlainTextResponse("Too many listen.\n", 503, {"retry-after": "30"})
        return StreamingResponse(
            self._tell(site_of(request), words_of(request)), media_type="text/event-stream"
        )

    async def _tell(self, site: Site, words: Words) -> AsyncIterator[str]:
        self._listeners += 1
        try:
            last, silent = "", 0
            yield "retry: 2000\n\n"
            while not self._end.is_set():
                news = await run_in_threadpool(news_of, site, words)
                silent += 1
                if news != last:
                    last, silent = news, 0
                    yield f"data: {news}\n\n"
                elif silent >= _SIGN_OF_LIFE:
                    silent = 0
                    yield ": here\n\n"
                try:
                    await asyncio.wait_for(self._end.wait(), _LOOK_EVERY)
                except TimeoutError:
                    continue
        finally:
            self._listeners -= 1


def news_of(site: Site, words: Words) -> str:
    """All that the first page shows, as JSON in one line."""
    failures = []
    for entry in site.present.last_failures():
        failure = site.results.failure(set_name(entry))
        if failure is not None:
            sentence, _ = fault_in_words(str(failure.note.get("code")), words)
            failures.append(
                {
                    "key": key_of(failure.name),
                    "name": shown(failure.name),
                    "text": sentence or str(failure.note.get("message")),
                    "at": shown_time(entry[0]),
                }
            )
    newest = [{"key": key_of(name), "name": shown(name)} for name in site.present.newest(_NEWEST)]
    return json.dumps(
        {"fields": dict(site.present.fields(words)), "failures": failures, "newest": newest}
    )
