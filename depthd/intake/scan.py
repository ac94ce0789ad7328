"""Looking at the inbox by directory handle: never through a symlink, never into a file.

Knows the file system and the name patterns, nothing of settling or events.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Generator
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from depthd.contract.names import MAX_DEPTH
from depthd.intake.patterns import Names
from depthd.intake.rights import Folder, Refusal
from depthd.system import files

MAX_PATH = 2048  # bytes; leaves room for the outbox's own path and the suffixes of results

_BREATHER = 64  # entries passed over between two steps of a walk
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_VANISHED = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})

# Path inside the inbox, what is there, and its folder. What is there is None for a step that only
# lets the caller breathe: a folder was entered, or many names were passed over.
Found = os.DirEntry[str] | Refusal | None
Walk = Generator[tuple[str, Found, Folder]]
Enter = Callable[[str, Folder], None]


def walk(inbox: Path, top: str, names: Names, enter: Enter, *, recursive: bool) -> Walk:
    """Every regular file in a folder of the inbox, and whatever else is refused.

    Holds one handle for each level that it is in; close it when it is not exhausted. An
    entry's `stat` and its folder's handle work until the next step.

    Args:
        inbox: the inbox.
        top: folder inside it to begin with; empty for the inbox itself.
        names: hidden, partial and excluded names are passed over in silence.
        enter: called with each folder's path and handle before it is listed.
        recursive: also enter sub-folders.

    Raises:
        OSError: the first folder cannot be read.
    """
    parts = top.split("/") if top else []
    passed = 0
    with ExitStack() as stack:
        first = stack.enter_context(files.beneath(inbox, parts))
        levels = [_Level(os.dup(first), top, len(parts), enter, is_first=True)]
        stack.callback(_close_all, levels)
        yield top, None, levels[0].folder
        while levels:
            level = levels[-1]
            entry = level.next()
            if entry is None:
                levels.pop().close()
                continue
            if isinstance(entry, Refusal):
                yield level.path, entry, level.folder
                continue
            name = level.prefix + entry.name
            if names.skips(name):
                passed += 1
                if passed % _BREATHER == 0:
                    yield name, None, level.folder
                continue
            kind = _kind(name, entry)
            inner = level.enter(entry.name) if kind is None and recursive else None
            if isinstance(inner, _Level):
                levels.append(inner)
                yield name, None, inner.folder
            elif kind is not None or inner is not None:
                yield name, kind or inner, level.folder


def _kind(name: str, entry: os.DirEntry[str]) -> Found:
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
        path: its path inside the inbox, empty for the inbox.
        depth: how many folders it lies deep.
        tell: called with each folder that is entered.
        is_first: the walk began with it.
    """

    def __init__(
        self, handle: int, path: str, depth: int, tell: Enter, *, is_first: bool = False
    ) -> None:
        self.path = path
        self.prefix = f"{path}/" if path else ""
        self._handle = handle
        self._depth = depth
        self._tell = tell
        self._is_first = is_first
        self._is_broken = False
        try:
            self.folder = Folder.of(handle)
            tell(path, self.folder)
            self.entries = os.scandir(handle)
        except BaseException:
            os.close(handle)
            raise

    def next(self) -> os.DirEntry[str] | Refusal | None:
        """The next entry; None at the end.

        Raises:
            OSError: the disk errs, in the folder that the walk began with.
        """
        if self._is_broken:
            return None
        try:
            return next(self.entries, None)
        except OSError:
            if self._is_first:
                raise
            self._is_broken = True
            return Refusal.UNREADABLE

    def enter(self, folder: str) -> _Level | Refusal | None:
        """Open a folder in this one; None when it has vanished or become something else."""
        if self._depth >= MAX_DEPTH:
            return Refusal.DEEP
        try:
            handle = os.open(folder, _FOLDER, dir_fd=self._handle)
            return _Level(handle, f"{self.prefix}{folder}", self._depth + 1, self._tell)
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
        self._folder: Folder

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def look(self, name: str) -> os.stat_result | None:
        """What `name` itself is, symlink or not; None when it is gone or a folder."""
        try:
            folder = self.folder(name)
            base = name[name.rfind("/") + 1 :]
            status = os.stat(base, dir_fd=folder.handle, follow_symlinks=False)
        except OSError:
            return None
        return None if stat.S_ISDIR(status.st_mode) else status

    def folder(self, name: str) -> Folder:
        """The folder of a file.

        Raises:
            OSError: it is gone, or became something else.
        """
        parent, _, _ = name.rpartition("/")
        if parent != self._parent:
            self._stack.close()
            self._parent = None
            parts = parent.split("/") if parent else ()
            handle = self._stack.enter_context(files.beneath(self._inbox, parts))
            self._folder = Folder.of(handle)
            self._parent = parent
        return self._folder
