"""Whether the results' disk has room; looked at beside the loop, because a look may hang.

Knows the disk and the limit of the settings, nothing of photos.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from depthd.config import Config
from depthd.contract.errors import words_of
from depthd.supervisor.filework import FileWork
from depthd.supervisor.usage import Room, look_at


class DiskWatch:
    """One look at a time.

    Args:
        filework: looks, off the loop.
        heed_free: told of the bytes that are free.

    Attributes:
        room: what the last look showed; None where it failed.
        trouble: why no photos may be taken; empty while they may.
    """

    def __init__(self, filework: FileWork, heed_free: Callable[[int], None]) -> None:
        self._filework = filework
        self._heed_free = heed_free
        self._is_looking = False
        self.room: Room | None = None
        self.trouble = ""

    def look(self, config: Config) -> None:
        """Begin to look, unless a look is under way."""
        if self._is_looking:
            return
        self._is_looking = True
        self._filework.submit(
            partial(look_at, {name: config.folder(name) for name in ("outbox", "done", "failed")}),
            partial(self._looked, config),
            partial(self._failed, config),
        )

    def _looked(self, config: Config, room: Room) -> None:
        self._is_looking = False
        self.room, self.trouble = room, ""
        self._heed_free(room.free)
        least = config.disk.min_free
        if room.free < least:
            self.trouble = (
                f"{config.folder('outbox')} has {room.free / 1e6:.0f} MB free, less than "
                f"disk.min_free ({least / 1e6:.0f} MB)"
            )

    def _failed(self, config: Config, error: Exception) -> None:
        self._is_looking = False
        self.room, self.trouble = None, f"{config.folder('outbox')}: {words_of(error)}"
