"""What a place leaves on the disk, and what of it goes: never a photo, never a result.

Whatever lies below the root is removed with the rights of the service's user, who may have put
anything there. Knows the folders' names, and what in them is nobody's.
"""

from __future__ import annotations

import os
import pwd
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from depthd.contract.errors import OutputError
from depthd.service.actions import Action, Kept
from depthd.service.place import Place
from depthd.system.walking import walk

_MADE_AGAIN = ("log", "state")  # by the next daemon
_KEPT = ("inbox", "work", "outbox", "done", "failed")  # as long as they hold anything
_PRIVATE = ".depthd"  # the daemon's own corner of a shared folder
_ORIGINAL = "original"  # what a photo at work is called; what lies beside it is worth nothing


def swept(place: Place) -> Action:
    """No log, no weights, no empty folder below the root; the rest is said and stays."""

    def going() -> list[Path]:
        folders = [place.root / name for name in (*_MADE_AGAIN, *_KEPT)]
        return [
            folder
            for folder in folders
            if os.path.lexists(folder) and (folder.name in _MADE_AGAIN or not _holds(folder))
        ]

    def do() -> str:
        _as_owner(place, "rm", "-rf", "--", *map(str, going()))
        with suppress(OSError):
            place.root.rmdir()
        return staying(place)

    return Action(
        f"no log, weights and empty folders in {place.root}",
        lambda: not going() and not _is_empty(place.root),
        do,
    )


def staying(place: Place) -> str:
    """In words, which folders hold photos and results."""
    kept = [name for name in _KEPT if _holds(place.root / name)]
    return f"{', '.join(kept)} stay: they hold photos or results" if kept else ""


def no_settings(place: Place, *, are_set: bool) -> Action:
    """No configuration, if it says nothing."""
    file = place.settings_file

    def do() -> str | None:
        if are_set:
            return Kept(f"{file}: it holds settings")
        file.unlink()
        with suppress(OSError):
            file.parent.rmdir()
        return None

    return Action(f"no {file}", lambda: not os.path.lexists(file), do)


def _holds(folder: Path) -> bool:
    """Whether anybody would miss something in it."""
    return any(True for _ in _missed(folder))


def _missed(top: Path) -> Iterator[str]:
    for _, folders, files in walk(top):
        if _PRIVATE in folders:
            folders.remove(_PRIVATE)
        yield from (name for name in files if top.name != "work" or name == _ORIGINAL)


def _is_empty(root: Path) -> bool:
    try:
        return not any(root.iterdir())
    except OSError:
        return False


def _as_owner(place: Place, *command: str) -> None:
    try:
        user = pwd.getpwnam(place.user)
    except KeyError:
        return  # nobody's files any more
    run = subprocess.run(
        command, user=user.pw_uid, group=user.pw_gid, extra_groups=(), cwd="/",
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if run.returncode != 0:
        raise OutputError(run.stderr.strip(), "remove it by hand")
