"""Jobs that cannot be gone on with now, while others can: single photos, and whole folders.

Each is tried again by itself with backoff. Knows times and reasons, no files. Times are seconds of
the loop's clock.
"""

from __future__ import annotations

import heapq
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count

from depthd.contract.events import Emit, Event
from depthd.intake.candidate import Hold
from depthd.supervisor.backoff import Backoff
from depthd.supervisor.table import NEVER, Entry

_PHOTO = Backoff(first=1.0, longest=3600.0)
_FOLDER = Backoff(first=1.0, longest=300.0)
_MOST_IN_A_FOLDER = 32  # photos of one owner set aside; no more of his are claimed from it
_MOST = 1000  # of all owners together; each may have as many as there is room left for others
_DUE_AT_ONCE = 32


class Aside:
    """Single photos.

    Args:
        emit: writes a log event.
    """

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._heap: list[tuple[float, int, Entry]] = []
        self._number = count()
        self._by_place: Counter[tuple[int, str]] = Counter()  # owner and folder

    def __len__(self) -> int:
        return len(self._heap)

    @property
    def is_full(self) -> bool:
        """Whether so many wait that no more photos should be claimed."""
        return len(self._heap) >= _MOST

    @property
    def next_try(self) -> float:
        return self._heap[0][0] if self._heap else NEVER

    def held(self) -> set[Hold]:
        """Owners, and owners in a folder, with so many that no more of theirs should be claimed."""
        by_owner: Counter[int] = Counter()
        for (owner, _), number in self._by_place.items():
            by_owner[owner] += number
        places = {place for place, number in self._by_place.items() if number >= _MOST_IN_A_FOLDER}
        left = _MOST - len(self._heap)
        owners = {owner for owner, number in by_owner.items() if number >= left}
        return {*places, *owners}

    def were_tried(self, times: int) -> bool:
        """Whether each of them was tried so often in vain."""
        return all(entry.tries >= times for _, _, entry in self._heap)

    def add(self, entry: Entry, reason: str, now: float) -> None:
        """A photo met trouble of its own; it is said when that is news."""
        entry.tries += 1
        entry.reason = reason
        if entry.told != reason:
            entry.told = reason
            self._emit(Event.PHOTO_SET_ASIDE, job=entry.job.id, name=entry.job.name, reason=reason)
        self.wait(entry, now + _PHOTO.after(entry.tries))

    def wait(self, entry: Entry, until: float) -> None:
        """Let a photo wait until a time."""
        heapq.heappush(self._heap, (until, next(self._number), entry))
        self._by_place[entry.job.owner, entry.folder] += 1

    def pop_due(self, now: float) -> list[Entry]:
        """Some of those whose time has come."""
        due: list[Entry] = []
        while self._heap and len(due) < _DUE_AT_ONCE and self._heap[0][0] <= now:
            entry = heapq.heappop(self._heap)[2]
            place = (entry.job.owner, entry.folder)
            self._by_place[place] -= 1
            if not self._by_place[place]:
                del self._by_place[place]
            due.append(entry)
        return due


@dataclass
class _Hold:
    reason: str
    failures: int = 0
    next_try: float = 0.0
    trying: Entry | None = None
    waiting: deque[Entry] = field(default_factory=deque)


class Holds:
    """Folders of the inbox whose results cannot be written while those of others can.

    The photos of such a folder that are in work/ already wait here; one of them is let through
    now and then, to see whether it works again. No more are claimed from it meanwhile.

    Args:
        emit: writes a log event.
        release: puts an entry back on its way.
    """

    def __init__(self, emit: Emit, release: Callable[[Entry], None]) -> None:
        self._emit = emit
        self._release = release
        self._holds: dict[str, _Hold] = {}

    def folders(self) -> set[str]:
        return set(self._holds)

    def reasons(self) -> dict[str, str]:
        """By folder, why it is held."""
        return {folder: hold.reason for folder, hold in self._holds.items()}

    @property
    def next_try(self) -> float:
        return min(
            (hold.next_try for hold in self._holds.values() if not hold.trying), default=NEVER
        )

    def were_tried(self, times: int) -> bool:
        """Whether each of them was tried so often in vain."""
        return all(hold.failures >= times for hold in self._holds.values())

    def add(self, entry: Entry, reason: str, now: float) -> None:
        """A photo met the trouble of its folder."""
        hold = self._holds.get(entry.folder)
        if hold is None:
            hold = self._holds[entry.folder] = _Hold(reason)
            self._emit(Event.FOLDER_HELD, folder=entry.folder, reason=reason)
        if hold.trying is entry or not hold.failures:
            hold.trying = None
            hold.failures += 1
            hold.next_try = now + _FOLDER.after(hold.failures)
        hold.reason = entry.reason = reason
        hold.waiting.append(entry)

    def join(self, entry: Entry) -> bool:
        """Let an entry wait if its folder is held; returns whether it does."""
        hold = self._holds.get(entry.folder)
        if hold is None or hold.trying is entry:
            return False
        entry.reason = hold.reason
        hold.waiting.append(entry)
        return True

    def over(self, entry: Entry, *, worked: bool) -> None:
        """An entry is on its way out; if it `worked`, so may the others of its folder."""
        hold = self._holds.get(entry.folder)
        if hold is None:
            return
        if hold.trying is entry:
            hold.trying = None
        if worked or not (hold.waiting or hold.trying):
            del self._holds[entry.folder]
            self._emit(Event.FOLDER_RELEASED, folder=entry.folder)
            for waiting in hold.waiting:
                waiting.reason = ""
                self._release(waiting)

    def turn(self, now: float) -> None:
        """Let one photo of each folder that is due have a try."""
        for hold in [hold for hold in self._holds.values() if now >= hold.next_try]:
            if hold.trying is None and hold.waiting:
                hold.trying = hold.waiting.popleft()
                self._release(hold.trying)
