"""The pages of one photo and of one camera. Knows requests, sets and templates."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from depthd.contract.formats import FORMATS
from depthd.contract.names import SetName, printable
from depthd.page.index import set_name
from depthd.page.photos import picture_facts, published, stages, warnings
from depthd.page.present import key_of, shown, size_in_words
from depthd.page.results import Opened, closing
from depthd.page.sending import picture_type
from depthd.page.site import Site, folder_in, name_in, site_of, words_of

_PATIENCE = 0.6  # seconds for the first look at the folders
_MOST_PHOTOS = 48  # of a camera, to choose from


def photo(request: Request) -> Response:
    return _of_a_set(request, "photo")


def space(request: Request) -> Response:
    return _of_a_set(request, "space")


def _of_a_set(request: Request, template: str) -> Response:
    site, words = site_of(request), words_of(request)
    found = site.results.set(name_in(request))
    if found is None:
        return site.nothing(request)
    older, newer = _neighbours(site, found.name)
    opened = site.results.open_original(found)
    can_show = _can_show(opened)
    formats = [file.format for file in found.files]
    return site.page(
        request,
        template,
        key=key_of(found.name),
        name=shown(found.name),
        manifest=found.manifest,
        facts=picture_facts(found, can_show=can_show),
        can_show=can_show,
        has_original=opened is not None,
        published=published(found.manifest),
        stages=stages(found.manifest, words),
        warnings=list(warnings(found.manifest, words)),
        files=[
            (file.format, FORMATS[file.format].text, file.name, size_in_words(file.size, words))
            for file in found.files
        ],
        formats=formats,
        older=older,
        newer=newer,
    )


def _neighbours(site: Site, name: SetName) -> tuple[str, str]:
    """The keys of the next older and the next newer result."""
    snapshot = site.outbox.snapshot
    entry = site.outbox.entry(name)
    place = snapshot.find(entry) if entry else None
    if place is None:
        return "", ""
    around = snapshot.entries
    older = key_of(set_name(around[place - 1])) if place > 0 else ""
    newer = key_of(set_name(around[place + 1])) if place + 1 < len(around) else ""
    return older, newer


def camera(request: Request) -> Response:
    site = site_of(request)
    snapshot = site.outbox.wait(_PATIENCE)
    folders = site.cameras.folders(snapshot.folders)
    folder = folder_in(request, folders)
    choice = [(printable(each), each == folder) for each in folders]
    if folder not in folders:
        return site.page(request, "camera", folders=choice, camera=None)
    chosen = snapshot.choose(folder=folder)[-_MOST_PHOTOS:][::-1]
    names = [set_name(entry) for entry in chosen]
    wanted = name_in(request)
    name = wanted if wanted in names else (names[0] if names else None)
    found = site.results.set(name) if name else None
    about = site.cameras.camera(folder)
    facts = None
    if found is not None:
        can_show = _can_show(site.results.open_original(found))
        facts = picture_facts(found, can_show=can_show)
    return site.page(
        request,
        "camera",
        folders=choice,
        camera=about,
        folder=printable(folder),
        folder_key=key_of(SetName.of(folder)),
        photos=[(key_of(each), shown(each)) for each in names],
        key=key_of(found.name) if found else "",
        facts=facts,
        points={"points": about.points, "size": about.size},
    )


def _can_show(opened: Opened | None) -> bool:
    """Whether browsers show an open file, which is closed here."""
    if opened is None:
        return False
    with closing(opened):
        return picture_type(opened) is not None
