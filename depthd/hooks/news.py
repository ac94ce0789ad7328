"""What is told of a photo, as JSON. Knows no queue and no way to tell it."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from depthd.contract.names import printable
from depthd.contract.status import moment

Happened = Literal["done", "failed"]


@dataclass(frozen=True)
class News:
    """One piece of news.

    Attributes:
        id: the same each time it is told; who gets it twice knows it by this.
        happened: to the photo.
        body: JSON, as everybody gets it.
    """

    id: str
    happened: Happened
    body: bytes

    @classmethod
    def read(cls, name: str, body: bytes) -> News:
        """From the name and content of a file in the queue.

        Raises:
            ValueError: it is none.
        """
        happened = name.rpartition(".")[2]
        if happened == "done":
            return cls(name, "done", body)
        if happened == "failed":
            return cls(name, "failed", body)
        raise ValueError(name)

    @property
    def photo(self) -> str:
        """Its name inside the inbox; empty where the body does not tell."""
        try:
            return str(json.loads(self.body)["name"])
        except (ValueError, LookupError, TypeError, RecursionError):
            return ""


def news(
    job: str,
    happened: Happened,
    name: str,
    *,
    result: str | None = None,
    manifest: Mapping[str, Any] | None = None,
    reason: Mapping[str, Any] | None = None,
) -> News:
    """What to tell of a photo.

    Args:
        job: its id.
        happened: to it.
        name: of the photo inside the inbox.
        result: name of its set in the outbox.
        manifest: of a photo that is done; None where somebody has taken it away already.
        reason: of one that has failed, as in NAME.error.json.
    """
    identity = f"{job}.{happened}"
    body = {
        "schema": "depthd.hook/1",
        "id": identity,
        "event": happened,
        "at": moment(time.time()).isoformat().replace("+00:00", "Z"),
        "job": job,
        "name": printable(name),
        "result": None if result is None else printable(result),
        "manifest": manifest,
        "reason": reason,
    }
    return News(identity, happened, json.dumps(body).encode() + b"\n")
