"""state/status.json, written when something has changed. Nothing depends on this file."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from depthd.contract.status import FILE_NAME, HEARTBEAT, Status
from depthd.system import files


class StatusFile:
    """Writes status.json when something changed, and now and then to show that it lives."""

    def __init__(self, state: Path) -> None:
        self._path = state / FILE_NAME
        self._last: Status | None = None

    def write(self, status: Status) -> None:
        """Replace the file.

        Raises:
            OSError: state/ cannot be written.
        """
        if self._last is not None and not self._is_news(status, self._last):
            return
        files.write_atomic(self._path, status.model_dump_json(indent=2).encode() + b"\n", 0o640)
        self._last = status

    @staticmethod
    def _is_news(status: Status, last: Status) -> bool:
        if status.updated - last.updated >= timedelta(seconds=HEARTBEAT):
            return True
        # Others write to the disk as well: what is free there is no news by itself.
        return status.model_copy(update={"updated": last.updated, "disk": last.disk}) != last
