"""Which address is whose. Knows the parts; decides nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio.to_thread
import jinja2
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from depthd.config import Config
from depthd.contract.formats import ERROR_SUFFIX, MANIFEST_SUFFIX
from depthd.page import changes, data, login, pages, photo_pages
from depthd.page.access import Gate
from depthd.page.cameras import Cameras
from depthd.page.events import Events
from depthd.page.guard import Guard
from depthd.page.index import Index
from depthd.page.present import Present
from depthd.page.results import Results
from depthd.page.site import Site, site_of, words_of
from depthd.page.upload import Uploads

_HERE = Path(__file__).parent
_THREADS = 12  # that read folders and files


def application(
    config: Config, gate: Gate, events: Events, in_hint: Callable[[str], str]
) -> ASGIApp:
    """The whole page."""
    results = Results(config)
    if results.places.failed is None:
        raise ValueError("there is a failed/")
    outbox = Index(results.places.outbox, MANIFEST_SUFFIX)
    failed = Index(results.places.failed, ERROR_SUFFIX)
    site = Site(
        config=config,
        gate=gate,
        results=results,
        outbox=outbox,
        failed=failed,
        present=Present(config, outbox, failed),
        uploads=Uploads(config, results),
        cameras=Cameras(config),
        templates=_templates(),
        in_hint=in_hint,
    )

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        anyio.to_thread.current_default_thread_limiter().total_tokens = _THREADS
        for index in (outbox, failed):
            index.start()
        if not config.page.readonly:
            await run_in_threadpool(site.uploads.clear)
        yield
        for index in (outbox, failed):
            index.stop()

    app = Starlette(
        routes=_routes(events, readonly=config.page.readonly),
        lifespan=lifespan,
        exception_handlers={HTTPException: _refused, OSError: _unavailable},
    )
    app.state.site = site
    return Guard(app, gate)


def _templates() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _routes(events: Events, *, readonly: bool) -> list[Route | Mount]:
    looks: list[Route | Mount] = [
        Route("/", pages.now),
        Route("/drop", pages.drop),
        Route("/gallery", pages.gallery),
        Route("/photo", photo_pages.photo),
        Route("/space", photo_pages.space),
        Route("/failed", pages.failed),
        Route("/camera", photo_pages.camera),
        Route("/login", login.login, methods=["GET"]),
        Route("/login", login.log_in, methods=["POST"]),
        Route("/logout", login.log_out, methods=["POST"]),
        Route("/events", events.answer),
        Route("/thumbnail", data.Thumbnails().answer),
        Route("/result", data.result),
        Route("/manifest", data.manifest),
        Route("/original", data.original),
        Route("/failed-photo", data.failed_photo),
        Route("/zip", data.archive),
        Route("/depth", data.depth),
        Route("/arrival", changes.arrival),
        Mount("/static", StaticFiles(directory=_HERE / "static")),
    ]
    sent = [
        Route("/upload", changes.upload, methods=["POST"]),
        Route("/retry", changes.retry, methods=["POST"]),
        Route("/points", changes.points, methods=["POST"]),
    ]
    return looks if readonly else [*looks, *sent]


async def _refused(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    if "text/html" in request.headers.get("accept", ""):
        return site_of(request).page(request, "nothing", status=status)
    return Response(status_code=status)


async def _unavailable(request: Request, _: Exception) -> Response:
    """A folder that cannot be read now: nothing that the page could mend."""
    if "text/html" in request.headers.get("accept", ""):
        return site_of(request).page(request, "unavailable", status=503)
    return JSONResponse({"text": words_of(request)["unavailable"]}, 503)
