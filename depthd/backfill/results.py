"""What comes out for one photo, in files of this node that have no name. Knows descriptors only."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

from depthd.contract.errors import FaultCode
from depthd.contract.formats import FORMATS
from depthd.contract.manifest import Facts, FileFacts

_PIECE = 1 << 20  # bytes


@dataclass(frozen=True)
class Result:
    """One file: iterating gives its bytes."""

    facts: FileFacts
    handle: int

    @property
    def suffix(self) -> str:
        return FORMATS[self.facts.format].suffix

    def __iter__(self) -> Iterator[bytes]:
        for start in range(0, self.facts.bytes, _PIECE):
            yield os.pread(self.handle, min(_PIECE, self.facts.bytes - start), start)


@dataclass(frozen=True)
class Made:
    """A photo that became depth; good until the next one is asked for."""

    job: int
    facts: Facts
    results: tuple[Result, ...]


@dataclass(frozen=True)
class Failed:
    """A photo that did not, and will not."""

    job: int
    code: FaultCode
    detail: str
