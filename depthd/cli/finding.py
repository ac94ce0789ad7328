"""One line of what `depthd check` found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Finding:
    """One line of the table."""

    what: str
    verdict: Literal["ok", "warning", "FAILED"]
    detail: str
