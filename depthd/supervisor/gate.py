"""What is held up: the whole service while nothing can be written, or single folders.

Knows times and reasons; who looks whether it is over, and what waits, is the dispatcher's. Times
are seconds of the loop's clock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from depthd.contract.events import Event
from depthd.supervisor.backoff import Backoff
from depthd.supervisor.logs import Emit
from depthd.supervisor.table import NEVER, Entry

_SERVICE = Backoff(first=1.0, longest=60.0)
FOLDER = Backoff(first=1.0, longest=300.0)


class Gate:
    """Whether results can be written at all. Open at first."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._failures = 0
        self.reason = ""  # empty while open
        self.next_probe = 0.0

    @property
    def is_open(self) -> bool:
        return not self.reason

    def close(self, reason: str, now: float) -> None:
        """Stop writing; said once, and waited for once, however many photos notice it."""
        if self.is_open:
            self._emit(Event.SERVICE_PAUSED, reason=reason)
        elif now < self.next_probe:
            return
        self.reason = reason
        self._failures += 1
        self.next_probe = now + _SERVICE.after(self._failures)

    def open(self) -> None:
        """A probe succeeded. The backoff starts anew only after real work (`worked`)."""
        if not self.is_open:
            self.reason = ""
            self._emit(Event.SERVICE_RESUMED)

    def worked(self) -> None:
        """A photo came through."""
        self._failures = 0


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

    @property
    def folders(self) -> Collection[str]:
        return self._holds.keys()

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
            hold.next_try = now + FOLDER.after(hold.failures)
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
        if worked or not hold.waiting:
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
