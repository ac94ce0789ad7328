"""Users, and a command that is run again as the daemon's. Linux only."""

from __future__ import annotations

import os
import pwd
import subprocess
from dataclasses import dataclass
from pathlib import Path

from depthd.system.python import module


@dataclass(frozen=True)
class User:
    """A user, the primary group and all groups; `home` is / where there is none."""

    uid: int
    gid: int
    groups: tuple[int, ...]
    home: str = "/"

    @property
    def name(self) -> str:
        return user_name(self.uid)

    def run(self, *arguments: str) -> int:
        """Run `depthd` as this user, with this process's streams. Only root can.

        Returns:
            Its exit code.

        Raises:
            OSError: the user may not run this Python.
        """
        return self.start(*arguments).returncode

    def start(
        self, *arguments: str, stdout: int | None = None, stderr: int | None = None
    ) -> subprocess.CompletedProcess[str]:
        """The same; what it says on the streams that are given (PIPE, DEVNULL) is not shown."""
        return subprocess.run(
            module("depthd", *arguments),
            user=self.uid,
            group=self.gid,
            extra_groups=self.groups,
            env={**os.environ, "HOME": self.home},
            stdout=stdout,
            stderr=stderr,
            text=True,
            check=False,
        )


def daemons_user(folder: Path) -> User | None:
    """Who will run the daemon on a folder, if root asks and it belongs to somebody else.

    Args:
        folder: one of the daemon's own, or the nearest above it that is there.
    """
    about = folder.stat()
    if os.geteuid() != 0 or about.st_uid == 0:
        return None
    try:
        entry = pwd.getpwuid(about.st_uid)
    except KeyError:  # a container's user, who is only a number
        return User(about.st_uid, about.st_gid, (about.st_gid,))
    return _of(entry)


def named(name: str) -> User:
    """A user of this machine.

    Raises:
        KeyError: there is none of that name.
    """
    return _of(pwd.getpwnam(name))


def _of(entry: pwd.struct_passwd) -> User:
    groups = os.getgrouplist(entry.pw_name, entry.pw_gid)
    return User(entry.pw_uid, entry.pw_gid, tuple(groups), entry.pw_dir)


def user_name(uid: int | None = None) -> str:
    """A user's name, or the number of one who has none; without a number, who runs this."""
    number = os.geteuid() if uid is None else uid
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"number {number}"
