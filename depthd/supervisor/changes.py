"""What has changed while the service runs: its settings, its weights, depthd itself.

Compares; what follows from it is the loop's.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

import depthd
from depthd.config import Config
from depthd.supervisor.parts import FOLDERS

# Keys of other sections that the worker serves with.
_WORKERS_KEYS = (
    ("worker", "max_pixels"),
    ("worker", "max_memory"),
    ("disk", "min_free"),
    ("intake", "include"),
)
_TURNS = {"priority", "order", "policy"}  # keys of a folder that the intake goes by
_VERSION = re.compile(r'^__version__ = "([^"]+)"', re.MULTILINE)


@dataclass(frozen=True)
class Changes:
    """Which parts a new configuration concerns.

    Attributes:
        names: sections that differ.
        folders: other folders, or other rights of what is put there.
        intake: what is taken from the inbox.
        worker: what the worker serves with.
        hooks: who is told.
        log: where events go.
        status: where the status goes.
    """

    names: tuple[str, ...]
    folders: bool
    intake: bool
    worker: bool
    hooks: bool
    log: bool
    status: bool

    @classmethod
    def between(cls, old: Config, new: Config) -> Changes:
        names = tuple(
            name for name in type(new).model_fields if getattr(old, name) != getattr(new, name)
        )
        moved = {
            name for name in type(new.paths).model_fields if old.folder(name) != new.folder(name)
        }
        return cls(
            names=names,
            folders=bool(moved.intersection(FOLDERS)) or old.output.mode != new.output.mode,
            intake="intake" in names or "inbox" in moved or _turns(old) != _turns(new),
            worker="model" in names
            or "state" in moved
            or any(
                getattr(getattr(old, section), key) != getattr(getattr(new, section), key)
                for section, key in _WORKERS_KEYS
            ),
            hooks="hooks" in names or "state" in moved,
            log="log" in names or "log" in moved,
            status="state" in moved,
        )


def _turns(config: Config) -> dict[str, dict[str, object]]:
    """What folders say of the order in which photos are taken."""
    return {
        name: folder.model_dump(include=_TURNS & folder.model_fields_set)
        for name, folder in config.folders.items()
    }


class WeightsFile:
    """The file that serves, and the folder in which a better one may appear.

    Args:
        state: the folder state/.
    """

    def __init__(self, state: Path) -> None:
        self._folder = state / "weights"
        self._path = ""
        self._known: tuple[object, ...] = ()

    def note(self, path: str) -> None:
        """The worker serves with this file now."""
        if path != self._path:
            self._path = path
            self._known = self._look()

    def has_changed(self) -> bool:
        """Whether it was replaced, or something came into the folder; says so once."""
        if not self._path:
            return False
        before, self._known = self._known, self._look()
        return before != self._known

    def _look(self) -> tuple[object, ...]:
        return _signature(Path(self._path)), _signature(self._folder)


class Installation:
    """The version of depthd that is installed, which may become another than the one that runs."""

    def __init__(self) -> None:
        self._file = Path(depthd.__file__)
        self._known = _signature(self._file)

    def has_changed(self) -> bool:
        """Whether another version was installed since the last look."""
        now = _signature(self._file)
        if now is None or now == self._known:
            return False
        self._known = now
        return self.is_other()

    def is_other(self) -> bool:
        """Whether what is installed is not what runs."""
        try:
            found = _VERSION.search(self._file.read_text(encoding="utf-8"))
        except OSError:
            return False
        return found is not None and found[1] != depthd.__version__


def _signature(path: Path) -> tuple[int, int, int] | None:
    try:
        about = os.stat(path)
    except OSError:
        return None
    return about.st_ino, about.st_size, about.st_mtime_ns
