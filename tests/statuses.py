"""A status of a daemon that is well and has nothing to do, for tests to change."""

from __future__ import annotations

import os
from datetime import datetime
from typing import Any

from depthd.contract import status


def quiet_status(now: datetime, **changes: Any) -> status.Status:
    """Of this process, written and started at a time; `changes` are fields."""
    plain = status.Status(
        version="1",
        pid=os.getpid(),
        state="running",
        started=now,
        updated=now,
        queue=status.Queue(waiting=0, in_work=0),
        done=0,
        failed=0,
        rates=status.Rates(last_minute=0, last_15_minutes=0),
        worker=status.Worker(pid=1, ready=True, restarts=0),
    )
    return plain.model_copy(update=changes)
