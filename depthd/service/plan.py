"""The order in which a place is made, and taken away. Knows which actions there are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from depthd.service import files, leavings, people, unit
from depthd.service.actions import Action, is_running
from depthd.service.place import Place, others
from depthd.service.templates import texts

MANUAL = Path("/usr/local/share/man")
COMMAND = Path("/usr/local/bin/depthd")


def laying(place: Place, pages: Mapping[Path, str]) -> Iterator[Action]:
    """Files, users and folders.

    Args:
        place: what is to be there.
        pages: of the manual, by their path below MANUAL.
    """
    for path, text in texts(place).items():
        yield files.file(path, text)
    for page, text in pages.items():
        yield files.file(MANUAL / page, text)
    if place.program != COMMAND:
        yield files.link(COMMAND, place.program)
    yield people.users(place)
    yield people.shared_folders(place)


def starting(place: Place) -> Iterator[Action]:
    """Now, and with the machine."""
    if is_running():
        yield unit.known(place)
    yield unit.enabled(place)
    if is_running():
        yield unit.started(place)


def removing(place: Place, pages: Mapping[Path, str], *, settings: bool) -> Iterator[Action]:
    """Everything but photos and results; what serves other places as well stays for them.

    Args:
        place: what is to go.
        pages: of the manual, by their path below MANUAL.
        settings: whether its configuration sets anything.
    """
    for each in (*place.page_units, place.unit):
        yield unit.stopped(each)
    is_last = not others(place.name)
    for path in texts(place):
        yield files.no_file(path)
    if is_last:
        for page in pages:
            yield files.no_file(MANUAL / page)
        yield files.no_link(COMMAND, place.program)
    if is_running():
        yield unit.forgotten(place)
    yield leavings.swept(place)
    yield leavings.no_settings(place, are_set=settings)
    if not leavings.staying(place):
        yield people.no_user(place)
