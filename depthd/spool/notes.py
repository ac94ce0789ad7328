"""Notes beside originals: why one is in failed/, or in done/ without results.

Knows what they say and where they belong; who puts them there is `home`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from depthd.contract.errors import FAULTS
from depthd.contract.formats import ERROR_SUFFIX, SKIPPED_SUFFIX
from depthd.contract.names import SetName, printable, timestamp
from depthd.spool.jobs import Job, Verdict


@dataclass(frozen=True)
class Note:
    """What lies beside an original.

    Attributes:
        home: which folder both come to lie in.
        kind: as its schema says it.
        suffix: what follows the original's name.
        content: the whole of it.
    """

    home: Literal["done", "failed"]
    kind: Literal["error", "skipped"]
    suffix: str
    content: bytes

    def beside(self, name: SetName) -> str:
        """Its name in the folder of an original."""
        return name.base + self.suffix


def reason(job: Job, verdict: Verdict) -> Note:
    """Why a photo has failed."""
    fault = FAULTS[verdict.code]
    says = {
        "schema": "depthd.error/1",
        "job": job.id,
        "name": printable(job.name),
        "code": verdict.code,
        "message": fault.sentence,
        "detail": printable(verdict.detail),
        "hint": fault.hint,
        "attempts": job.attempts,
        "failed": timestamp(time.time()),
    }
    return Note("failed", "error", ERROR_SUFFIX, _encoded(says))


def skipped(job: Job) -> Note:
    """Why a photo has no results."""
    says = {
        "schema": "depthd.skipped/1",
        "job": job.id,
        "name": printable(job.name),
        "newer": printable(job.newer),
        "message": "It was not worked on: its folder has `policy: latest`, and a newer photo came.",
        "skipped": timestamp(time.time()),
    }
    return Note("done", "skipped", SKIPPED_SUFFIX, _encoded(says))


def _encoded(says: Mapping[str, object]) -> bytes:
    return json.dumps(says, indent=2).encode() + b"\n"
