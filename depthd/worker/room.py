"""Room on the disk for results that are still being made.

Looks at the disk before the work, so that a photo that promises more than there is room for costs
nothing and leaves the room to others. Knows bytes and open files only.
"""

from __future__ import annotations

import os
import threading

from depthd.contract.formats import Format

# A photo whose results are larger may take one part in so many of the room: such photos cannot
# fill the disk, and the others go on.
_ORDINARY = 64_000_000  # bytes; 12 megapixels with the default formats
_SHARE = 4


class NoRoom(Exception):
    """A photo's results would take more than their share of the disk.

    The text leaves out how much is free: a reason is logged again whenever it reads differently.
    """

    def __init__(self, needs: int) -> None:
        limit = "a quarter of " if needs > _ORDINARY else ""
        super().__init__(
            f"its results take {needs / 1e6:.1f} MB, more than {limit}what is left above "
            "disk.min_free"
        )


class Room:
    """What the jobs at hand have been promised.

    Args:
        min_free: bytes that stay free.
    """

    def __init__(self, min_free: int) -> None:
        self._min_free = min_free
        self._promised: dict[str, int] = {}
        self._lock = threading.Lock()

    def promise(self, job: str, files: dict[Format, int], needs: int) -> None:
        """Keep room for a job's results.

        Raises:
            NoRoom: there is not enough.
        """
        disk = os.fstatvfs(next(iter(files.values())))
        with self._lock:
            taken = sum(self._promised.values())
            free = disk.f_bavail * disk.f_frsize - self._min_free - taken
            if needs * (_SHARE if needs > _ORDINARY else 1) > free:
                raise NoRoom(needs)
            self._promised[job] = needs

    def release(self, job: str) -> None:
        """The results are on the disk, or will not come."""
        with self._lock:
            self._promised.pop(job, None)
