"""Which entries of the log are wanted. Knows entries, no files."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase

from depthd.history.log_files import LEVELS, Entry
from depthd.supervisor.log_line import bounded


def logged_name(name: str) -> str:
    """A photo's name as the log has it: bytes outside UTF-8 as text, long ones cut and hashed."""
    return str(json.loads(bounded({"name": name}).line)["name"])


@dataclass(frozen=True)
class Wanted:
    """What an entry must be; what is empty does not matter.

    Attributes:
        photos: names inside the inbox, or ids of jobs.
        events: names of events, or patterns of them.
        level: the least severe one.
        since: the earliest time, in seconds since the epoch.
    """

    photos: frozenset[str] = frozenset()
    events: tuple[str, ...] = ()
    level: str = "debug"
    since: float = 0.0

    @classmethod
    def of(
        cls, photos: tuple[str, ...], events: tuple[str, ...], level: str, since: float
    ) -> Wanted:
        """From what somebody has typed."""
        return cls(frozenset(map(logged_name, photos)), events, level, since)

    def fits(self, entry: Entry) -> bool:
        """Whether an entry is wanted."""
        if LEVELS.index(entry["level"]) < LEVELS.index(self.level):
            return False
        if self.events and not any(fnmatchcase(entry["event"], event) for event in self.events):
            return False
        if self.photos and not self._is_of_a_photo(entry):
            return False
        return not self.since or moment_of(entry) >= self.since

    def _is_of_a_photo(self, entry: Entry) -> bool:
        jobs = entry.get("jobs")
        mentioned = {entry.get("name"), entry.get("job"), *(jobs if isinstance(jobs, list) else ())}
        return not self.photos.isdisjoint(str(each) for each in mentioned)


def moment_of(entry: Entry) -> float:
    """Seconds since the epoch; 0 where its time cannot be read."""
    try:
        return datetime.fromisoformat(entry["timestamp"]).timestamp()
    except ValueError:
        return 0.0
