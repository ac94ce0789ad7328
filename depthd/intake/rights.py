"""What the system lets this process do with the files of one folder: asked, never tried.

Knows directory handles and what a look shows; nothing of names, settling or events.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from depthd.system.hard_links import are_guarded, is_givers_own


class Refusal(StrEnum):
    """Why an entry is left alone."""

    NAME = "its name does not match intake.include"
    SYMLINK = "it is a symbolic link"
    SPECIAL = "it is a FIFO, a socket or a device"
    FOREIGN_LINK = "it is a hard link to a file that may be somebody else's"
    UNREADABLE = "depthd cannot read it"
    IMMOVABLE = "depthd may not move it out of its folder"
    FIXED_FOLDER = "depthd may not move photos out of this folder"
    DEEP = "it lies too many folders deep (64)"
    LONG = "its path is too long (2048 bytes)"


# Entries that are no photos anyway; all other refusals leave a photo in the inbox.
NO_PHOTO = frozenset({Refusal.NAME, Refusal.SYMLINK, Refusal.SPECIAL})

_CAP_FOWNER = 1 << 3


@dataclass(frozen=True, slots=True)
class Folder:
    """One open folder of the inbox; use it while `handle` is open."""

    handle: int
    device: int
    inode: int
    owner: int
    group: int
    mode: int
    is_writable: bool

    @classmethod
    def of(cls, handle: int) -> Folder:
        """Look at an open folder."""
        about = os.fstat(handle)
        is_writable = os.access(".", os.W_OK | os.X_OK, dir_fd=handle, effective_ids=True)
        return cls(
            *(handle, about.st_dev, about.st_ino, about.st_uid, about.st_gid, about.st_mode),
            is_writable=is_writable,
        )

    def is_fixed(self, device: int) -> bool:
        """Whether nothing can be moved out of it.

        Args:
            device: where photos are moved to.
        """
        return not self.is_writable or self.device != device

    def refusal(self, base: str, about: os.stat_result) -> Refusal | None:
        """Why a file in it is not to be taken, or None.

        Args:
            base: its name in this folder.
            about: what a look at it showed.
        """
        if (kind := kind_refusal(about)) is not None:
            return kind
        is_foreign = about.st_nlink > 1 and not is_givers_own(about, self.owner, self.group)
        if is_foreign and not _LINKS_ARE_GUARDED:
            return Refusal.FOREIGN_LINK
        if self.mode & stat.S_ISVTX and not self._may_move_sticky(about):
            return Refusal.IMMOVABLE
        if not os.access(
            base, os.R_OK, dir_fd=self.handle, effective_ids=True, follow_symlinks=False
        ):
            return Refusal.UNREADABLE
        return None

    def holds(self, base: str) -> bool:
        """Whether something of this name is in it."""
        try:
            os.stat(base, dir_fd=self.handle, follow_symlinks=False)
        except OSError:
            return False
        return True

    def _may_move_sticky(self, about: os.stat_result) -> bool:
        return os.geteuid() in {about.st_uid, self.owner} or _OVERRULES_OWNERS


def kind_refusal(about: os.stat_result) -> Refusal | None:
    """Why a look alone says that this is not to be taken."""
    if stat.S_ISREG(about.st_mode):
        return None
    return Refusal.SYMLINK if stat.S_ISLNK(about.st_mode) else Refusal.SPECIAL


def _overrules_owners() -> bool:
    with suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
        effective = next(line for line in lines if line.startswith("CapEff:"))
        return bool(int(effective.split()[1], 16) & _CAP_FOWNER)
    return False


_LINKS_ARE_GUARDED = are_guarded()
_OVERRULES_OWNERS = _overrules_owners()
