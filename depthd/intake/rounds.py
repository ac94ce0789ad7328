"""Which folders are scanned when, a slice at a time.

Several scans are under way by turns, so that one huge folder holds up none of the others. Knows
when scans are wanted and how far those under way are; what an entry means is for `entries`.
"""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from depthd.intake.candidate import top_of
from depthd.intake.rights import Folder
from depthd.intake.scan import Found, Walk

_MAX_FOLDERS = 1000  # folders below the inbox with scans of their own; beyond it all is scanned
_MAX_INNER = 8  # sub-folders of one of these; beyond it the whole of it is scanned
_MAX_PATH = 256  # letters of such a sub-folder's path, for the memory that it takes
_AT_ONCE = 8  # scans that take turns; each holds a handle for every level that it is in
_REST = 4  # times the time that a scan took, until the same is scanned again by itself


class Meet(Protocol):
    """Takes what a scan found."""

    def __call__(self, name: str, found: Found, folder: Folder, scan: Scan, /) -> None: ...


@dataclass(slots=True, eq=False)
class Scan:
    """One scan under way.

    Attributes:
        top: the folder just below the inbox that it keeps to; empty for a full scan.
        is_full: it covers the whole inbox.
        is_periodic: nothing but the time asked for it.
        spent: seconds that it took so far.
    """

    found: Walk
    top: str
    is_full: bool
    is_periodic: bool
    spent: float = 0.0


class Rounds:
    """Full scans, periodic or asked for, and scans of single folders.

    Args:
        walk: begins a walk of one folder of the inbox; empty for the whole.
        begin: called with each folder before its scan begins.
        end: called after each scan that came to its end.
    """

    def __init__(
        self,
        walk: Callable[[str], Walk],
        begin: Callable[[str], None],
        end: Callable[[Scan], None],
    ) -> None:
        self._walk = walk
        self._tell_begin = begin
        self._tell_end = end
        self._wanted: OrderedDict[str, dict[str, None]] = OrderedDict()  # by folder below the inbox
        self._polled: dict[str, float] = {}  # folders below the inbox, and when they are due
        self._is_wanted = False
        self._scans: deque[Scan] = deque()
        self._was_full = False  # the last turn was that of a full scan
        self._interval = float("inf")
        self._poll_interval = float("inf")
        self._last_end = 0.0  # of a full scan
        self._rest = 0.0  # it needs after that
        self.finished = 0  # full scans that came to their end, since `reset`

    @property
    def is_busy(self) -> bool:
        return bool(self._scans or self._wanted or self._is_wanted)

    def want_all(self) -> bool:
        """Ask for a full scan, after the one that may be under way; False if already asked."""
        is_news = not self._is_wanted
        self._is_wanted = True
        return is_news

    def want(self, folder: str) -> None:
        """Ask for a scan of one folder."""
        top = top_of(folder)
        if not top or (top not in self._wanted and len(self._wanted) >= _MAX_FOLDERS):
            self._wanted.clear()
            self._is_wanted = True
            return
        inner = self._wanted.setdefault(top, {})
        if top in inner:
            return
        if folder == top or len(inner) >= _MAX_INNER or len(folder) > _MAX_PATH:
            inner.clear()
            folder = top
        inner[folder] = None

    def poll(self, top: str) -> None:
        """Scan a folder below the inbox again and again, until `stop_polling`."""
        self._polled.setdefault(top, 0.0)

    def stop_polling(self, top: str) -> None:
        self._polled.pop(top, None)

    def reset(self) -> None:
        """Forget everything: the inbox is gone, or another one."""
        while self._scans:
            self._scans.popleft().found.close()
        self._wanted.clear()
        self._polled.clear()
        self._is_wanted = False
        self._last_end = self._rest = 0.0
        self.finished = 0

    def repeat_every(self, seconds: float, poll: float) -> None:
        """Set the pause between a full scan and the next, and that between two polls of a folder.

        Long scans rest longer.
        """
        self._interval = seconds
        self._poll_interval = poll

    @property
    def next_due(self) -> float:
        """When the next scan is due by itself."""
        return min(self._next_full, min(self._polled.values(), default=float("inf")))

    @property
    def _next_full(self) -> float:
        return self._last_end + max(self._interval, self._rest)

    def step(self, meet: Meet, end: float) -> bool:
        """Go on with a scan under way, or begin one that is wanted; the next call is another's.

        Args:
            meet: called with each entry.
            end: when to pause, in the time of `time.monotonic`.

        Returns:
            whether there was something to do.

        Raises:
            OSError: the inbox cannot be read.
        """
        self._begin()
        if not self._scans:
            return False
        scan = self._next()
        began = time.monotonic()
        try:
            is_over = self._go_on(scan, meet, end)
        except OSError:
            self._close(scan)
            self._polled.pop(scan.top, None)
            if scan.is_full:
                raise
            return True
        scan.spent += time.monotonic() - began
        if is_over:
            self._close(scan)
            self.finished += scan.is_full
            self._tell_end(scan)
        else:
            self._scans.append(scan)
        return True

    def _next(self) -> Scan:
        """Whose turn it is: each second one is that of the full scan, which is for everybody.

        Else whoever renames folders without end would leave little time to it.
        """
        if not self._was_full and (full := next((one for one in self._scans if one.is_full), None)):
            self._scans.remove(full)
            self._was_full = True
            return full
        scan = self._scans.popleft()
        self._was_full = scan.is_full
        return scan

    @staticmethod
    def _go_on(scan: Scan, meet: Meet, end: float) -> bool:
        """Returns whether the scan is over."""
        for name, found, folder in scan.found:
            meet(name, found, folder, scan)
            if time.monotonic() >= end:
                return False
        return True

    def _begin(self) -> None:
        """Begin what is wanted or due, as far as there is room."""
        now = time.monotonic()
        has_full = any(scan.is_full for scan in self._scans)
        if not has_full and (self._is_wanted or now >= self._next_full):
            self._add("", is_full=True, is_periodic=not self._is_wanted)
            self._is_wanted = False
        if len(self._scans) >= _AT_ONCE:
            return
        if self._wanted:
            top, inner = next(iter(self._wanted.items()))
            folder = next(iter(inner))
            del inner[folder]
            self._wanted.move_to_end(top)
            if not inner:
                del self._wanted[top]
            self._add(folder, is_full=False, is_periodic=False)
            return
        for top, due in self._polled.items():
            if now >= due:
                self._polled[top] = float("inf")  # until it ends
                self._add(top, is_full=False, is_periodic=True)
                return

    def _add(self, folder: str, *, is_full: bool, is_periodic: bool) -> None:
        self._tell_begin(folder)
        self._scans.append(Scan(self._walk(folder), top_of(folder), is_full, is_periodic))

    def _close(self, scan: Scan) -> None:
        scan.found.close()
        now = time.monotonic()
        if scan.is_full:
            self._last_end, self._rest = now, _REST * scan.spent
        elif scan.is_periodic and scan.top in self._polled:
            self._polled[scan.top] = now + max(self._poll_interval, _REST * scan.spent)
