"""A hidden folder of our own inside one that others may write to.

Others can rename it, remove it or put something in its place; they cannot write into it. So it is
looked at each time it is opened, and where it is not ours another one is made under a name that
nobody can guess. Knows the operating system, nothing of photos.
"""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from depthd.system import files

NAME = ".depthd"
_MODE = 0o700
_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class PrivateFolder:
    """The private folder of one root.

    Args:
        root: a configured folder; it must exist when the private one is opened.

    Attributes:
        name: of the private folder; another one when somebody has taken this from us.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.name = NAME
        self._looks: tuple[int, int] | None = None  # where the file system knows no owners

    @contextmanager
    def open(self) -> Iterator[int]:
        """Handle of the folder, made where it is missing.

        Raises:
            OSError: the root cannot be written.
        """
        handle = self.handle()
        try:
            yield handle
        finally:
            os.close(handle)

    def handle(self) -> int:
        """The same, to be closed by the caller; it stays valid when the name changes hands."""
        handle = self._open_ours(self.root / self.name)  # nearly always
        if handle is not None:
            return handle
        with files.directory(self.root) as top:
            for _ in range(3):
                handle = self._enter(top, self.name)
                if handle is not None:
                    return handle
                self.name = self._make_another(top)
        raise FileExistsError(f"{self.root}: no private folder can be made")

    def all_of_ours(self) -> list[str]:
        """Names of every private folder here, of earlier runs too.

        Raises:
            OSError: the root cannot be written.
        """
        os.close(self.handle())  # from here on it is known how ours look where nobody owns a file
        with files.directory(self.root) as top, os.scandir(top) as entries:
            names = [entry.name for entry in entries if entry.name.startswith(NAME)]
            ours = []
            for name in names:
                handle = self._open_ours(name, top)
                if handle is not None:
                    os.close(handle)
                    ours.append(name)
        return ours

    @contextmanager
    def open_named(self, name: str) -> Iterator[int]:
        """Handle of one of `all_of_ours`.

        Raises:
            FileNotFoundError: it is not there any more, or not ours.
        """
        with files.directory(self.root) as top:
            handle = self._open_ours(name, top)
        if handle is None:
            raise FileNotFoundError(name)
        try:
            yield handle
        finally:
            os.close(handle)

    def _enter(self, top: int, name: str) -> int | None:
        with suppress(FileExistsError):
            os.mkdir(name, _MODE, dir_fd=top)
            os.fsync(top)
        return self._open_ours(name, top)

    def _open_ours(self, name: str | Path, top: int | None = None) -> int | None:
        try:
            handle = os.open(name, _FLAGS, dir_fd=top)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except PermissionError:  # of somebody else's, or now for a while
            if os.stat(name, dir_fd=top, follow_symlinks=False).st_uid == os.geteuid():
                raise
            return None
        except OSError as error:
            if error.errno in files.NOT_FOLLOWED:
                return None
            raise
        about = os.fstat(handle)
        is_ours = about.st_uid == os.geteuid() and not stat.S_IMODE(about.st_mode) & 0o077
        if is_ours or _looks(about) == self._looks:
            return handle
        os.close(handle)
        return None

    def _make_another(self, top: int) -> str:
        name = f"{NAME}-{secrets.token_hex(8)}"
        os.mkdir(name, _MODE, dir_fd=top)
        about = os.stat(name, dir_fd=top, follow_symlinks=False)
        if about.st_uid == os.geteuid() and not stat.S_IMODE(about.st_mode) & 0o077:
            return name
        self._looks = _looks(about)  # FAT and its like: every folder looks alike
        os.rmdir(name, dir_fd=top)
        return NAME


def _looks(about: os.stat_result) -> tuple[int, int]:
    return about.st_uid, about.st_mode
