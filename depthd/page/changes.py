"""What people send from the page: photos, retries, reference points; each only to the inbox.

Knows requests and the parts that take them.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from depthd.contract.names import SetName, readable
from depthd.metres.references import ReferencesError
from depthd.page.index import set_name
from depthd.page.present import key_of, shown
from depthd.page.site import Site, body, name_in, number_in, pass_over, query, site_of, words_of
from depthd.page.upload import Refused
from depthd.publish.returning import put_back
from depthd.publish.sets import Set

_LARGEST_POINTS = 100_000  # bytes
_LATE_NAMES = 200  # among which a photo is looked for that got another name


async def upload(request: Request) -> Response:
    """A photo into the inbox: the body is the file."""
    site, words, asked = site_of(request), words_of(request), query(request)
    length = request.headers.get("content-length", "")
    size = int(length) if length.isdecimal() else None
    began = time.time()
    try:
        received = await site.uploads.take(
            asked.get("folder", ""), asked.get("name", ""), size, request.stream()
        )
    except Refused as why:
        await pass_over(request)
        headers = {"connection": "close"}
        return JSONResponse({"key": why.key, "text": words[why.key]}, why.status, headers)
    except ClientDisconnect:
        return Response(status_code=400)
    except OSError:
        text = words["upload_refused"]
        return JSONResponse({"key": "upload_refused", "text": text}, 503, {"connection": "close"})
    return JSONResponse(
        {
            "key": key_of(received.name),
            "name": shown(received.name),
            "sha256": received.sha256,
            "since": int(began),
        }
    )


def arrival(request: Request) -> Response:
    """What has become of a photo that was sent: waiting, done or failed."""
    site, asked = site_of(request), query(request)
    name, digest = name_in(request), asked.get("sha256", "")
    for candidate in _names_it_may_have(site, name):
        found = site.results.set(candidate)
        if found is not None and _is_of(found, name, digest):
            return JSONResponse({"state": "done", "key": key_of(found.name)})
    failure = site.results.failure(name)
    since = number_in(request, "since")
    if failure is not None and since is not None:
        failed_at = time.strftime("%Y%m%dT%H%M%S", time.gmtime(since))
        if str(failure.note.get("failed")) >= failed_at:
            return JSONResponse({"state": "failed", "key": key_of(failure.name)})
    return JSONResponse({"state": "waiting"})


def _names_it_may_have(site: Site, name: SetName) -> Iterator[SetName]:
    """The name itself, then late ones of its folder that begin like it."""
    yield name
    stem = name.base.rpartition(".")[0] or name.base
    for entry in reversed(site.outbox.snapshot.entries[-_LATE_NAMES:]):
        if entry[1] == name.folder and entry[2].startswith(f"{stem}~"):
            yield set_name(entry)


def _is_of(found: Set, name: SetName, digest: str) -> bool:
    source = found.manifest.get("source")
    return (
        isinstance(source, dict)
        and source.get("sha256") == digest
        and source.get("name") == readable(name.path)
    )


def retry(request: Request) -> Response:
    """A failed photo back into the inbox."""
    site, words = site_of(request), words_of(request)
    name = name_in(request)
    failure = site.results.failure(name)
    if failure is None or site.results.places.failed is None:
        return JSONResponse({"text": words["retry_gone"]}, 404)
    if not site.results.may_take(failure):
        return JSONResponse({"text": site.retry_by_hand(words, failure.name)}, 403)
    try:
        moved = put_back(site.results.places.failed, site.config.folder("inbox"), failure.name)
    except FileExistsError:
        return JSONResponse({"text": words["retry_taken"]}, 409)
    except OSError as error:
        return JSONResponse({"text": words["retry_trouble"].format(why=error.strerror)}, 503)
    return JSONResponse({"text": words["retried"].format(name=shown(moved)), "key": key_of(moved)})


async def points(request: Request) -> Response:
    """Reference points into the file that the configuration names for a camera."""
    site, words = site_of(request), words_of(request)
    folder = query(request).get("folder", "")
    try:
        asked = json.loads(await body(request, _LARGEST_POINTS))
        file = await run_in_threadpool(site.cameras.save, folder, asked["points"], asked["size"])
    except OSError as error:
        return JSONResponse({"text": words["save_trouble"].format(why=error.strerror)}, 503)
    except (ReferencesError, ValueError, TypeError, KeyError, RecursionError) as error:
        return JSONResponse({"text": words["save_trouble"].format(why=error)}, 400)
    return JSONResponse({"text": words["saved"], "file": str(file)})
