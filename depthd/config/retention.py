"""What is removed by itself: the keys of `retention`, declared once."""

from __future__ import annotations

from pydantic import Field

from depthd.config.section import Section
from depthd.config.units import Duration, Size


class Retention(Section):
    """What is removed by itself, the oldest first. Nothing unless it is asked for."""

    done: Duration | None = Field(
        None,
        gt=0,
        description="age at which photos that are done go, original and results together",
    )
    failed: Duration | None = Field(
        None, gt=0, description="age at which failed photos go, with their reason"
    )
    log: Duration | None = Field(None, gt=0, description="age at which rotated logs go")
    done_size: Size | None = Field(
        None, gt=0, description="room for done originals and all results; the oldest photos make it"
    )
    failed_size: Size | None = Field(None, gt=0, description="the same for failed photos")
    log_size: Size | None = Field(None, gt=0, description="the same for rotated logs")
    min_free: Size | None = Field(
        None,
        gt=0,
        description="free space that the oldest photos make on the disks of outbox, done and "
        "failed; more than disk.min_free, at which the service pauses",
    )
    interval: Duration = Field(900.0, gt=0, description="time between two looks at all of it")

    @property
    def is_asked_for(self) -> bool:
        """Whether anything may be removed."""
        limits = set(type(self).model_fields) - {"interval"}
        return any(getattr(self, key) is not None for key in limits)
