"""One depthd of this box: where its program, its root and its files lie, and who it runs as.

The main one has no name; others have one, so that a box can hold several roots. What cannot be a
place is refused here, before anything is changed. Knows names and paths.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from depthd.contract.errors import UsageError

MADE_BY = "Made by 'depthd service install'"
PAGE = "depthd-page"  # user and unit of the web page
_ETC = Path("/etc")
_SETTINGS = _ETC / "depthd"
_TAKEN = ("config", "page")  # by the first one's settings, and by the web page's user
_NAME = re.compile(r"[a-z][a-z0-9-]{0,15}")
_USER = re.compile(r"[a-z_][a-z0-9_-]{0,22}")  # with -collect behind it no longer than 31
_PATH = re.compile(r"/[\w./+@=,-]+")  # nothing that systemd's files would take for something else
# The unit hides these from the service, or shows it others in their place.
_HIDDEN = ("/home", "/root", "/run", "/tmp", "/var/tmp", "/dev", "/proc", "/sys")  # noqa: S108
_OWN = {"inbox", "work", "outbox", "done", "failed", "log", "state", "lost+found"}


@dataclass(frozen=True)
class Place:
    """One depthd of this box.

    `name` is empty for the main one. `program` is the installed command.
    """

    name: str
    program: Path
    root: Path
    user: str

    @property
    def stem(self) -> str:
        """How its files are called."""
        return f"depthd@{self.name}" if self.name else "depthd"

    @property
    def unit(self) -> str:
        return f"{self.stem}.service"

    @property
    def unit_file(self) -> Path:
        return _ETC / "systemd/system" / self.unit

    @property
    def page_units(self) -> tuple[str, ...]:
        """Those of the web page; one page serves a box, that of the main place."""
        return () if self.name else (f"{PAGE}.socket", f"{PAGE}.service")

    @property
    def users_file(self) -> Path:
        return _ETC / f"sysusers.d/{self.stem}.conf"

    @property
    def folders_file(self) -> Path:
        return _ETC / f"tmpfiles.d/{self.stem}.conf"

    @property
    def rotation_file(self) -> Path:
        return _ETC / f"logrotate.d/{self.stem}"

    @property
    def settings_file(self) -> Path:
        return settings_file(self.name)

    @property
    def collectors(self) -> str:
        """The group whose members may take results away."""
        return f"{self.user}-collect"

    @property
    def command(self) -> str:
        """What was asked for, from which a later run knows the place."""
        return shlex.join(
            (*("--root", str(self.root), "--user", self.user), *([self.name] * bool(self.name)))
        )


def settings_file(name: str) -> Path:
    """The configuration of a place."""
    return _SETTINGS / f"{name or 'config'}.yaml"


def default_root(name: str) -> Path:
    return Path(f"/var/lib/{_joined(name)}")


def default_user(name: str) -> str:
    return _joined(name)


def checked_name(name: str) -> str:
    """A name that can be part of file, user and unit names.

    Raises:
        UsageError: it cannot.
    """
    if name and (not _NAME.fullmatch(name) or name in _TAKEN):
        raise UsageError(
            f"{name!r} cannot be the name of a depthd",
            f"take up to 16 of a-z, 0-9 and -, beginning with a letter; not {' or '.join(_TAKEN)}",
        )
    return name


def remembered(name: str) -> tuple[Path | None, str | None]:
    """Root and user of a place that an earlier run has made; None where there was none."""
    blank = Place(name, Path("/"), Path("/"), "")
    try:
        with blank.folders_file.open(encoding="utf-8", errors="replace") as file:
            first = file.readline()
    except OSError:
        return None, None
    found = re.search(r"--root (/\S+) --user (\S+)", first) if MADE_BY in first else None
    return (Path(found[1]), found[2]) if found else (None, None)


def others(name: str) -> list[str]:
    """The places of this box that are not this one, by the name of their files."""
    own = Place(name, Path("/"), Path("/"), "").folders_file
    files = (own.with_name("depthd.conf"), *sorted(own.parent.glob("depthd@*.conf")))
    return [file.stem for file in files if file != own and file.exists()]


def refuse_what_cannot_be(place: Place, python: tuple[Path, ...]) -> None:
    """Look at root, user and program before anything is changed.

    Args:
        place: what is asked for.
        python: folders that the program needs.

    Raises:
        UsageError: the service could not work there.
    """
    if not _USER.fullmatch(place.user) or place.user == "root":
        raise UsageError(
            f"{place.user!r} cannot be the service's user",
            "take up to 23 of a-z, 0-9, _ and -, and not root",
        )
    for what, path in (("--root", place.root), *(("depthd's program", part) for part in python)):
        if not _PATH.fullmatch(str(path)) or ".." in path.parts:
            raise UsageError(f"{what} {path}: a path of letters, digits and ./+@=,-_ is needed")
        for hidden in _HIDDEN:
            if path.is_relative_to(hidden):
                raise UsageError(
                    f"{what} lies in {path}; the service cannot see {hidden}",
                    "take a folder below /var/lib or /srv"
                    if what == "--root"
                    else "install depthd into an environment in /opt, and run its own command",
                )
    try:
        strange = {entry.name for entry in place.root.iterdir()} - _OWN
    except FileNotFoundError:
        return
    except OSError as error:
        raise UsageError(f"--root {place.root}: {error.strerror}") from error
    strange = {name for name in strange if not name.startswith(".")}
    if strange:
        raise UsageError(
            f"--root {place.root} holds other things ({min(strange)})",
            "give depthd a folder of its own; it is given to the service's user",
        )


def _joined(name: str) -> str:
    return f"depthd-{name}" if name else "depthd"
