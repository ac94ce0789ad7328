"""Room on the disk for results, on a real file system."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from depthd.contract.formats import Format
from depthd.worker.room import NoRoom, Room


def test_the_reason_does_not_change_with_the_room_that_is_left(tmp_path: Path) -> None:
    """The supervisor logs a reason again when it is another one."""
    reasons = set()
    with (tmp_path / "file").open("wb") as file:
        disk = os.fstatvfs(file.fileno())
        size = disk.f_blocks * disk.f_frsize
        for min_free in (size, size // 2):
            with pytest.raises(NoRoom) as caught:
                Room(min_free).promise("job", {Format.NPY: file.fileno()}, size)
            reasons.add(str(caught.value))
    (reason,) = reasons
    assert "a quarter of what is left above disk.min_free" in reason
