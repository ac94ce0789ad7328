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
from depthd.service.place import PAGE, Place
from depthd.service.templates import folders, page_user_file

_ACCESS_LISTS = ("system.posix_acl_access", "system.posix_acl_default")
_PAGE_STATE = Path("/var/lib/depthd-page")  # StateDirectory= of its unit


def users(place: Place) -> Action:
    """The service's user, its group, the group that takes results away, and the page's user."""

    def is_right() -> bool:
        try:
            pwd.getpwnam(place.user)
            members = grp.getgrnam(place.user).gr_mem
            return bool(grp.getgrnam(place.collectors)) and set(_page_users(place)) <= set(members)
        except KeyError:
            return False

    def do() -> None:
        page = [page_user_file(place)] if place.page_units else []
        systemd("systemd-sysusers", *map(str, (place.users_file, *page)))
        if not is_right():
            raise UnavailableError(
                f"the user {place.user} has no group of that name", "give another --user"
            )

    names = ", ".join((place.user, *_page_users(place)))
    return Action(f"user {names}, groups {place.user} and {place.collectors}", is_right, do)


def _page_users(place: Place) -> tuple[str, ...]:
    return (PAGE,) if place.page_units else ()


def no_user(place: Place) -> Action:
    """Neither users nor groups; only where nothing belongs to them any more."""
    going = (place.user, *(() if _PAGE_STATE.exists() else _page_users(place)))

    def is_right() -> bool:
        names = {entry.pw_name for entry in pwd.getpwall()}
        groups = {entry.gr_name for entry in grp.getgrall()}
        return not names & set(going) and not {place.user, place.collectors} & groups

    def do() -> None:
        for user in going:
            with suppress(UnavailableError):  # its own group goes with it
                systemd("userdel", user)
        for group in (place.user, place.collectors):
            with suppress(KeyError):
                grp.getgrnam(group)
                systemd("groupdel", group)

    return Action(f"no user {', '.join(going)}", is_right, do)


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
