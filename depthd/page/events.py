"""News as server-sent events: what is going on, as soon as it is another.

Knows the present and how events are written.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from depthd.page.index import set_name
from depthd.page.present import fault_in_words, key_of, shown, shown_time
from depthd.page.site import Site, site_of, words_of
from depthd.page.strings import Words

_LOOK_EVERY = 1.0  # seconds
_SIGN_OF_LIFE = 15  # looks after which something is sent in any case
_MOST = 64  # listeners
_NEWEST = 6


class Events:
    """Answers of which each lasts until the listener goes.

    One more than there may be takes the place of the oldest, whose browser asks again: so nobody
    who listens for ever keeps the others out.
    """

    def __init__(self) -> None:
        self._ends: list[asyncio.Event] = []  # of each listener, the oldest first
        self._is_over = False

    def end(self) -> None:
        """Let every listener go, and whoever comes still."""
        self._is_over = True
        for end in self._ends:
            end.set()

    async def answer(self, request: Request) -> Response:
        if request.method == "HEAD":
            return Response(media_type="text/event-stream")
        return StreamingResponse(
            self._tell(site_of(request), words_of(request)), media_type="text/event-stream"
        )

    async def _tell(self, site: Site, words: Words) -> AsyncIterator[str]:
        end = asyncio.Event()
        self._ends.append(end)
        if len(self._ends) > _MOST:
            self._ends.pop(0).set()
        try:
            last, silent = "", 0
            yield "retry: 2000\n\n"
            while not (end.is_set() or self._is_over):
                news = await run_in_threadpool(news_of, site, words)
                silent += 1
                if news != last:
                    last, silent = news, 0
                    yield f"data: {news}\n\n"
                elif silent >= _SIGN_OF_LIFE:
                    silent = 0
                    yield ": here\n\n"
                try:
                    await asyncio.wait_for(end.wait(), _LOOK_EVERY)
                except TimeoutError:
                    continue
        finally:
            if end in self._ends:
                self._ends.remove(end)


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
