"""Which folders are scanned when, a slice at a time.

Knows when scans are wanted and how far the one under way is; what an entry means is for
`entries`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from depthd.intake.scan import Found, Walk

_MAX_FOLDERS = 1000  # folders that wait for a scan of their own; beyond it everything is scanned


class Meet(Protocol):
    """Takes what a scan found; False ends the scan before its end."""

    def __call__(self, name: str, found: Found, /, *, by_scan: bool) -> bool: ...


@dataclass(frozen=True, slots=True)
class _Scan:
    found: Walk
    is_full: bool
    is_periodic: bool  # nothing but the time asked for it


class Rounds:
    """Full scans, periodic or asked for, and scans of single folders.

    Args:
        walk: begins a walk of one folder of the inbox; empty for the whole.
    """

    def __init__(self, walk: Callable[[str], Walk]) -> None:
        self._walk = walk
        self._folders: dict[str, None] = {}
        self._is_wanted = False
        self._scan: _Scan | None = None
        self._interval = float("inf")
        self._last_end = 0.0
        self.finished = 0  # full scans that came to their end, since `reset`

    @property
    def is_busy(self) -> bool:
        return bool(self._scan or self._folders or self._is_wanted)

    def want_all(self) -> bool:
        """Ask for a full scan, after the one that may be under way; False if already asked."""
        is_news = not self._is_wanted
        self._is_wanted = True
        return is_news

    def want(self, folder: str) -> None:
        """Ask for a scan of one folder."""
        if len(self._folders) < _MAX_FOLDERS:
            self._folders[folder] = None
        else:
            self._folders.clear()
            self._is_wanted = True

    def reset(self) -> None:
        """Forget everything: the inbox is gone, or another one."""
        self._end()
        self._folders.clear()
        self._is_wanted = False
        self.finished = 0

    def repeat_every(self, seconds: float) -> None:
        """Set the pause between the end of a full scan and the next periodic one."""
        self._interval = seconds

    @property
    def next_due(self) -> float:
        """When the next periodic scan is due."""
        return self._last_end + self._interval

    def step(self, meet: Meet, end: float, *, trust_events: bool) -> None:
        """Go on with the scan under way, or begin the next one that is wanted.

        Args:
            meet: called with each entry.
            end: when to pause, in the time of `time.monotonic`.
            trust_events: what a periodic scan finds is probably still being written.

        Raises:
            OSError: the inbox cannot be read.
        """
        scan = self._scan or self._begin(is_due=time.monotonic() >= self.next_due)
        if scan is None:
            return
        try:
            if not self._go_on(scan, meet, end, by_scan=scan.is_periodic and trust_events):
                return
        except OSError:
            if scan.is_full:
                self._end()
                raise
        self._end()

    def _go_on(self, scan: _Scan, meet: Meet, end: float, *, by_scan: bool) -> bool:
        """Returns whether the scan is over."""
        for name, found in scan.found:
            if not meet(name, found, by_scan=by_scan):
                return True
            if time.monotonic() >= end:
                return False
        self.finished += scan.is_full
        return True

    def _begin(self, *, is_due: bool) -> _Scan | None:
        if self._folders:
            folder = next(iter(self._folders))
            del self._folders[folder]
            self._scan = _Scan(self._walk(folder), is_full=False, is_periodic=False)
        elif self._is_wanted or is_due:
            self._scan = _Scan(self._walk(""), is_full=True, is_periodic=not self._is_wanted)
            self._is_wanted = False
        return self._scan

    def _end(self) -> None:
        scan, self._scan = self._scan, None
        if scan is not None:
            scan.found.close()
            if scan.is_full:
                self._last_end = time.monotonic()
