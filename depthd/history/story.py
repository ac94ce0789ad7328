"""What has happened to one photo, in order: from the logs, its manifests and its reason.

Knows names, logs and files in outbox and failed; decides nothing about what is to be done.
"""

from __future__ import annotations

import os
import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from depthd.config import Config
from depthd.contract.errors import NoInputError
from depthd.contract.events import MEANINGS, Event
from depthd.contract.formats import ERROR_SUFFIX, FORMATS, MANIFEST_SUFFIX, SKIPPED_SUFFIX
from depthd.contract.names import SetName
from depthd.history.log_files import Entry, entries
from depthd.history.wanted import logged_name
from depthd.publish.places import Place, safe_forms
from depthd.publish.reading import read_ours

_MOST = 500  # entries that are remembered, the last ones
_OF_EVERY_ENTRY = frozenset({"timestamp", "level", "event", "job", "name", "jobs"})
_NOTES = (ERROR_SUFFIX, SKIPPED_SUFFIX, MANIFEST_SUFFIX)
_SUFFIXES = (*(meaning.suffix for meaning in FORMATS.values()), *_NOTES)
_STAMP = re.compile(r"^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d\.\d+Z)$")


@dataclass(frozen=True)
class Happened:
    """One thing that has happened: ISO time, where it is known from, and what."""

    at: str
    source: str
    text: str


@dataclass
class Story:
    """All that is known of the past.

    Attributes:
        name: of the photo inside the inbox.
        happened: in order.
        left_out: how many entries came before.
        sets: names under which its results came out.
        last: the last entry of the log about it.
        log: why there is no log; empty where there is one.
    """

    name: str
    happened: list[Happened] = field(default_factory=list)
    left_out: int = 0
    sets: list[str] = field(default_factory=list)
    last: Entry | None = None
    log: str = ""


def names_of(config: Config, text: str) -> list[str]:
    """What somebody may mean: a name inside the inbox, a path that leads to it or its results."""
    path = os.path.abspath(text)
    for folder in ("inbox", "outbox", "done", "failed"):
        root = str(config.folder(folder))
        if path.startswith(f"{root}/"):
            text = os.path.relpath(path, root)
            break
    text = text.removeprefix("./")
    longest_first = sorted(_SUFFIXES, key=len, reverse=True)
    found = [text] if not text.endswith(MANIFEST_SUFFIX) else []  # a reason's name ends so too
    found += [text.removesuffix(end) for end in longest_first if text.endswith(end)]
    return list(dict.fromkeys(filter(None, found))) or [text]


def tell(config: Config, name: str) -> Story:
    """What has happened to a photo of this name, or to one whose results have it."""
    found = _Search(config.folder("log"), name)
    story = Story(found.name, left_out=found.left_out, last=found.last, log=found.trouble)
    story.sets = list(dict.fromkeys((*found.sets, name, found.name)))
    happened = [_from_log(entry) for entry in found.entries]
    for each in story.sets:
        happened += _from_files(config, each, found.jobs)
    story.happened = sorted(happened, key=lambda one: one.at)
    return story


class _Search:
    """One or two passes over the logs: the second where a set has another name than its photo."""

    def __init__(self, folder: Path, name: str) -> None:
        self.name = name
        self.trouble = ""
        self.jobs: set[str] = set()
        self.sets: list[str] = []
        self.entries: deque[Entry] = deque(maxlen=_MOST)
        self._of_sets: set[str] = set()  # jobs whose results have the name, and their photos not
        self._count = 0
        logged = logged_name(name)
        try:
            self._by_name(entries(folder), logged)
            if not self.entries and self._of_sets:
                self.jobs = self._of_sets
                self._by_job(entries(folder))
        except NoInputError as error:
            self.trouble = error.message

    @property
    def left_out(self) -> int:
        return self._count - len(self.entries)

    @property
    def last(self) -> Entry | None:
        about = (entry for entry in reversed(self.entries) if "name" in entry)
        return next(about, None)

    def _by_name(self, found: Iterable[Entry], logged: str) -> None:
        for entry in found:
            if entry.get("name") == logged or not self.jobs.isdisjoint(_jobs(entry)):
                self._add(entry)
            elif logged in (entry.get("output"), entry.get("original")) and "job" in entry:
                self._of_sets.add(str(entry["job"]))
                self.name = str(entry.get("name"))

    def _by_job(self, found: Iterable[Entry]) -> None:
        for entry in found:
            if not self.jobs.isdisjoint(_jobs(entry)):
                self._add(entry)

    def _add(self, entry: Entry) -> None:
        self._count += 1
        self.entries.append(entry)
        if "job" in entry:
            self.jobs.add(str(entry["job"]))
        for key in ("output", "original"):
            if isinstance(entry.get(key), str) and entry["event"] != Event.PHOTO_FAILED:
                self.sets.append(entry[key])


def _jobs(entry: Entry) -> Iterator[str]:
    yield str(entry.get("job"))
    if isinstance(jobs := entry.get("jobs"), list):
        yield from map(str, jobs)


def _from_log(entry: Entry) -> Happened:
    event = entry["event"]
    meaning = MEANINGS[Event(event)].text if event in list(Event) else ""
    more = ", ".join(f"{key} {entry[key]}" for key in entry if key not in _OF_EVERY_ENTRY)
    return Happened(entry["timestamp"], event, f"{meaning} {more}".strip())


# files -------------------------------------------------------------------------------------------


def read_manifest(config: Config, name: str) -> Mapping[str, Any] | None:
    """The manifest of a set, if there is one."""
    return _read(config, "outbox", name, MANIFEST_SUFFIX, "manifest")


def read_reason(config: Config, name: str) -> Mapping[str, Any] | None:
    """Why the photo of this name in failed/ is there."""
    return _read(config, "failed", name, ERROR_SUFFIX, "error")


def read_skipped(config: Config, name: str) -> Mapping[str, Any] | None:
    """The note beside a photo in done/ that was not worked on, if there is one."""
    return _read(config, "done", name, SKIPPED_SUFFIX, "skipped")


def _read(
    config: Config, folder: str, name: str, suffix: str, kind: str
) -> Mapping[str, Any] | None:
    place = Place(config.folder(folder), owned_like=config.folder("state"))
    for form in safe_forms(SetName.of(name)):
        with suppress(OSError), place.folder(form) as handle:
            if handle is None:
                continue
            found = read_ours(form.base + suffix, handle, place.owner(), kind)
            if found is not None:
                return found
    return None


def _from_files(config: Config, name: str, known: set[str]) -> Iterator[Happened]:
    """What the log does not tell: it may be rotated away, or be of a higher level."""
    manifest = read_manifest(config, name)
    if manifest is not None and str(manifest.get("job")) not in known:
        times = manifest.get("times")
        for key, at in (times if isinstance(times, dict) else {}).items():
            yield Happened(str(at), "manifest", f"It was {key}.")
    reason = read_reason(config, name)
    if reason is not None and str(reason.get("job")) not in known:
        words = f"It failed: {reason.get('code')}, attempts {reason.get('attempts')}."
        yield Happened(_iso(str(reason.get("failed"))), "reason", words)


def _iso(stamp: str) -> str:
    """The time of a reason, as the log writes times."""
    parts = _STAMP.match(stamp)
    if parts is None:
        return stamp
    year, month, day, hour, minute, seconds = parts.groups()
    return f"{year}-{month}-{day}T{hour}:{minute}:{seconds}"
