"""A photo in the inbox as a look showed it. Knows nothing else."""

from __future__ import annotations

import os
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Beneath:
    """A folder of the inbox with all below it; the empty one is the whole inbox."""

    folder: str

    def holds(self, folder: str) -> bool:
        """Whether a folder is meant."""
        return not self.folder or folder == self.folder or folder.startswith(f"{self.folder}/")


@dataclass(frozen=True, slots=True)
class Busy:
    """One owner's folder whose latest photo is at work: the next waits until that is home."""

    place: tuple[int, str]


# From what nothing is to be handed out: a folder alone or with all below it, an owner (user id),
# or one owner's in a folder.
Hold = str | Beneath | int | Busy | tuple[int, str]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file in the inbox as it looked the last time.

    `name` is relative to the inbox, separated by slashes; bytes that are not UTF-8 are
    surrogates, as `os.fsdecode` makes them. `owner` is a user id, `since` when it came or was last
    touched, in seconds since the epoch. `newer` is the photo because of which it is to be skipped.
    """

    name: str
    size: int
    mtime_ns: int
    device: int
    inode: int
    owner: int
    since: float = field(default=0.0, compare=False)
    newer: str = field(default="", compare=False)

    @classmethod
    def of(cls, name: str, about: os.stat_result) -> Candidate:
        """From what a look showed."""
        return cls(
            name,
            about.st_size,
            about.st_mtime_ns,
            about.st_dev,
            about.st_ino,
            about.st_uid,
            about.st_ctime,
        )

    @property
    def folder(self) -> str:
        """Path of its folder inside the inbox; empty for the inbox itself."""
        return self.name.rpartition("/")[0]

    @property
    def top(self) -> str:
        """Its folder just below the inbox; empty for the inbox itself."""
        return top_of(self.folder)


def top_of(folder: str) -> str:
    """The first part of a folder's path."""
    return folder.partition("/")[0]
