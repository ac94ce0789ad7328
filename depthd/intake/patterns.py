"""Which names are photos. Knows text only; never looks at a disk."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable
from typing import Self

from depthd.config import Intake

# Writers that rename when they are done use these; rsync's and Syncthing's begin with a dot.
_PARTIAL_PREFIXES = (".", "~")
_PARTIAL_SUFFIXES = (".part", ".tmp", ".filepart", ".crdownload")


def is_partial(base: str) -> bool:
    """Whether a file or folder name is hidden or that of an upload that is still going on."""
    return base.startswith(_PARTIAL_PREFIXES) or base.lower().endswith(_PARTIAL_SUFFIXES)


class Names:
    """The patterns `include`, `exclude` and `litter`, compiled once; letter case does not matter.

    A pattern with a slash is held against the path inside the inbox, any other against the
    last part of it.
    """

    def __init__(
        self, include: Iterable[str], exclude: Iterable[str], litter: Iterable[str] = ()
    ) -> None:
        self._include = _Patterns(include)
        self._passed_over = _Patterns((*exclude, *litter))

    @classmethod
    def of(cls, options: Intake) -> Self:
        """What holds in the inbox, by the section `intake`."""
        return cls(options.include, options.exclude, options.litter)

    def wants(self, name: str) -> bool:
        """Whether `include` names this file."""
        return self._include.match(name, _base(name))

    def skips(self, name: str) -> bool:
        """Whether an entry is passed over silently, given that its folder is not."""
        base = _base(name)
        return is_partial(base) or self._passed_over.match(name, base)

    def skips_beneath(self, name: str) -> bool:
        """The same for an entry of which only the path is known: each folder counts too."""
        end = name.find("/")
        while end >= 0:
            if self.skips(name[:end]):
                return True
            end = name.find("/", end + 1)
        return self.skips(name)


class _Patterns:
    """Many shell patterns in two expressions."""

    def __init__(self, patterns: Iterable[str]) -> None:
        chosen = list(patterns)
        self._bases = _alternatives([pattern for pattern in chosen if "/" not in pattern])
        self._paths = _alternatives([pattern.lstrip("/") for pattern in chosen if "/" in pattern])

    def match(self, name: str, base: str) -> bool:
        if self._bases is not None and self._bases.match(base):
            return True
        return self._paths is not None and self._paths.match(name) is not None


def _alternatives(patterns: list[str]) -> re.Pattern[str] | None:
    if not patterns:
        return None
    return re.compile("|".join(map(fnmatch.translate, patterns)), re.IGNORECASE)


def _base(name: str) -> str:
    return name[name.rfind("/") + 1 :]
