"""Looking at the inbox by directory handle: never through a symlink, never into a file.

Knows the file system and the name patterns, nothing of settling or events.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Generator
from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from typing import Self

from depthd.intake.patterns import Names
from depthd.system import files

MAX_DEPTH = 64  # folders inside each other
MAX_PATH = 2048  # bytes; leaves room for the outbox's own path and the suffixes of results

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_VANISHED = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})


class Refusal(StrEnum):
    """Why an entry is left alone."""

    NAME = "its name does not match intake.include"
    SYMLINK = "it is a symbolic link"
    SPECIAL = "it is a FIFO, a socket or a device"
    HARD_LINK = "it is a hard link: the file has other names too"
    UNREADABLE = "depthd cannot read it"
    DEEP = f"it lies more than {MAX_DEPTH} folders deep"
    LONG = f"its path is longer than {MAX_PATH} bytes"


Found = os.DirEntry[str] | Refusal
Walk = Generator[tuple[str, Found]]


def walk(inbox: Path, top: str, names: Names, *, recursive: bool) -> Walk:
    """Every regular file in a folder of the inbox, and whatever else is refused.

    Holds one handle for each level that it is in; close it when it is not exhausted. An
    entry's `stat` works until the next step.

    Args:
        inbox: the inbox.
        top: folder inside it to begin with; empty for the inbox itself.
        names: hidden, partial and excluded names are passed over in silence.
        recursive: also enter sub-folders.

    Raises:
        OSError: the first folder cannot be read.
    """
    parts = top.split("/") if top else []
    with ExitStack() as stack:
        first = stack.enter_context(files.beneath(inbox, parts))
        levels = [_Level(os.dup(first), f"{top}/" if top else "", len(parts))]
        stack.callback(_close_all, levels)
        while levels:
            level = levels[-1]
            try:
                entry = next(level.entries, None)
            except OSError:
                if len(levels) == 1:
                    raise
                entry = None
                yield level.prefix.rstrip("/"), Refusal.UNREADABLE
            if entry is None:
                levels.pop().close()
                continue
            name = level.prefix + entry.name
            if names.skips(name):
                continue
            kind = _kind(name, entry)
            if kind is not None:
                yield name, kind
            elif recursive:
                inner = level.enter(entry.name)
                if isinstance(inner, _Level):
                    levels.append(inner)
                elif inner is not None:
                    yield name, inner


def _kind(name: str, entry: os.DirEntry[str]) -> Found | None:
    """What is to be told of an entry; None of a folder."""
    try:
        if entry.is_dir(follow_symlinks=False):
            return None
        if entry.is_file(follow_symlinks=False):
            return Refusal.LONG if is_long(name) else entry
        return Refusal.SYMLINK if entry.is_symlink() else Refusal.SPECIAL
    except OSError:  # where the kind is not in the listing, it takes a look
        return Refusal.UNREADABLE


def is_long(name: str) -> bool:
    """Whether a path inside the inbox exceeds `MAX_PATH`."""
    return len(name) * 4 > MAX_PATH and len(os.fsencode(name)) > MAX_PATH


class _Level:
    """One open folder of a walk.

    Args:
        handle: of the folder; owned from here on.
        prefix: its path inside the inbox with a slash at the end, empty for the inbox.
        depth: how many folders it lies deep.
    """

    def __init__(self, handle: int, prefix: str, depth: int) -> None:
        self.prefix = prefix
        self._handle = handle
        self._depth = depth
        try:
            self.entries = os.scandir(handle)
        except OSError:
            os.close(handle)
            raise

    def enter(self, folder: str) -> _Level | Refusal | None:
        """Open a folder in this one; None when it has vanished or become something else."""
        if self._depth >= MAX_DEPTH:
            return Refusal.DEEP
        try:
            handle = os.open(folder, _FOLDER, dir_fd=self._handle)
            return _Level(handle, f"{self.prefix}{folder}/", self._depth + 1)
        except OSError as error:
            return None if error.errno in _VANISHED else Refusal.UNREADABLE

    def close(self) -> None:
        self.entries.close()
        os.close(self._handle)


def _close_all(levels: list[_Level]) -> None:
    for level in levels:
        level.close()


class Looker:
    """Looks at single files of the inbox by name.

    Keeps the folder of the last look open, because events and scans come folder by folder;
    use it as a context of one short moment, lest it holds a folder that was moved.
    """

    def __init__(self, inbox: Path) -> None:
        self._inbox = inbox
        self._stack = ExitStack()
        self._parent: str | None = None
        self._handle = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def look(self, name: str) -> os.stat_result | None:
        """What `name` itself is, symlink or not; None when it is gone or a folder."""
        try:
            handle = self._folder(name)
            status = os.stat(name[name.rfind("/") + 1 :], dir_fd=handle, follow_symlinks=False)
        except OSError:
            return None
        return None if stat.S_ISDIR(status.st_mode) else status

    def is_readable(self, name: str) -> bool:
        """Whether this process may read what `look` just saw; asks for rights, does not open."""
        base = name[name.rfind("/") + 1 :]
        try:
            handle = self._folder(name)
        except OSError:
            return False
        return os.access(base, os.R_OK, dir_fd=handle, effective_ids=True, follow_symlinks=False)

    def _folder(self, name: str) -> int:
        parent, _, _ = name.rpartition("/")
        if parent != self._parent:
            self._stack.close()
            self._parent = None
            parts = parent.split("/") if parent else ()
            self._handle = self._stack.enter_context(files.beneath(self._inbox, parts))
            self._parent = parent
        return self._handle


def refusal(status: os.stat_result) -> Refusal | None:
    """Why a look alone says that this is not to be taken."""
    if stat.S_ISREG(status.st_mode):
        return Refusal.HARD_LINK if status.st_nlink > 1 else None
    return Refusal.SYMLINK if stat.S_ISLNK(status.st_mode) else Refusal.SPECIAL
