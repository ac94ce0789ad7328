"""The states of a photo and the only transitions between them.

This table is the whole truth: the supervisor's table of jobs enforces it, the tests walk it, the
documentation shows it.
"""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    SETTLING = "settling"  # seen in the inbox, not yet known to be whole
    CLAIMED = "claimed"  # in work/, waiting for the worker
    ACTIVE = "active"  # in work/, with the worker; its attempt is already counted on disk
    PUBLISHED = "published"  # its manifest is in the outbox, the original still in work/
    DONE = "done"  # the original is in done/
    FAILED = "failed"  # the original is in failed/, its reason beside it


TRANSITIONS: dict[State, frozenset[State]] = {
    State.SETTLING: frozenset({State.CLAIMED}),
    # Done at once: a photo that is skipped for a newer one (`policy: latest`).
    State.CLAIMED: frozenset({State.ACTIVE, State.DONE, State.FAILED}),
    State.ACTIVE: frozenset({State.PUBLISHED, State.CLAIMED, State.FAILED}),
    State.PUBLISHED: frozenset({State.DONE}),
    State.DONE: frozenset(),
    State.FAILED: frozenset({State.SETTLING}),  # somebody puts it back into the inbox
}
