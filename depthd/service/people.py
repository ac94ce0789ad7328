"""The service's user and groups, and the folders that it shares with them."""

from __future__ import annotations

import grp
import os
import pwd
import stat
from contextlib import suppress
from pathlib import Path

from depthd.contract.errors import UnavailableError
from depthd.service.actions import Action, systemd
from depthd.service.place import Place
from depthd.service.templates import folders

_ACCESS_LISTS = ("system.posix_acl_access", "system.posix_acl_default")


def users(place: Place) -> Action:
    """The service's user, its group, and the group that takes results away."""

    def is_right() -> bool:
        try:
            pwd.getpwnam(place.user)
            return bool(grp.getgrnam(place.user) and grp.getgrnam(place.collectors))
        except KeyError:
            return False

    def do() -> None:
        systemd("systemd-sysusers", str(place.users_file))
        if not is_right():
            raise UnavailableError(
                f"the user {place.user} has no group of that name", "give another --user"
            )

    return Action(f"user {place.user}, groups {place.user} and {place.collectors}", is_right, do)


def no_user(place: Place) -> Action:
    """Neither the user nor the groups; only where nothing belongs to them any more."""

    def is_right() -> bool:
        names = {entry.pw_name for entry in pwd.getpwall()}
        groups = {entry.gr_name for entry in grp.getgrall()}
        return place.user not in names and not {place.user, place.collectors} & groups

    def do() -> None:
        with suppress(UnavailableError):  # its own group goes with it
            systemd("userdel", place.user)
        for group in (place.user, place.collectors):
            with suppress(KeyError):
                grp.getgrnam(group)
                systemd("groupdel", group)

    return Action(f"no user {place.user}", is_right, do)


def shared_folders(place: Place) -> Action:
    """The folders with their owners and rights."""

    def is_right() -> bool:
        try:
            return place.settings_file.exists() and all(
                _has_rights(*folder) for folder in folders(place)
            )
        except (OSError, KeyError):
            return False

    def do() -> None:
        systemd("systemd-tmpfiles", "--create", str(place.folders_file))

    return Action(f"folders in {place.root}", is_right, do)


def _has_rights(path: Path, mode: int, user: str, group: str, has_list: bool) -> bool:
    about = path.lstat()
    owners = (pwd.getpwnam(user).pw_uid, grp.getgrnam(group).gr_gid)
    if not stat.S_ISDIR(about.st_mode) or (about.st_uid, about.st_gid) != owners:
        return False
    if not has_list:
        return stat.S_IMODE(about.st_mode) == mode
    # With a list the group's bits are those of its mask.
    return (stat.S_IMODE(about.st_mode) | 0o070) == (mode | 0o070) and any(
        name in os.listxattr(path) for name in _ACCESS_LISTS
    )
