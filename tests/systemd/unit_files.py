"""The files of systemd/ as they are installed by default, read the way systemd reads them."""

from __future__ import annotations

import atexit
import re
import shlex
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from depthd.service.place import Place, default_root, default_user
from depthd.service.templates import texts

SYSTEMD = Path(__file__).parents[2] / "systemd"
PLACE = Place("", Path("/opt/depthd/.venv/bin/depthd"), default_root(""), default_user(""))
_INSTALLED = Path(tempfile.mkdtemp(prefix="depthd-test-"))
atexit.register(shutil.rmtree, _INSTALLED)
for _path, _text in texts(PLACE).items():
    _file = _INSTALLED / _path.relative_to("/")
    _file.parent.mkdir(parents=True, exist_ok=True)
    _file.write_text(_text, encoding="utf-8")
_files = [_INSTALLED / path.relative_to("/") for path in texts(PLACE)]
UNIT, SYSUSERS, TMPFILES, LOGROTATE, PAGE_SOCKET, PAGE_SERVICE, PAGE_SYSUSERS = _files
DROP_INS = sorted((SYSTEMD / "drop-ins").glob("*.conf"))


def settings(file: Path, *, commented: bool = False) -> dict[str, list[str]]:
    """Values of each key in the order of the file; an empty value clears those before it.

    Args:
        file: a unit or a drop-in.
        commented: also take settings that are only suggested, as `#Key=value`.
    """
    found: dict[str, list[str]] = {}
    pattern = re.compile(r"#?([A-Z]\w+)=(.*)" if commented else r"([A-Z]\w+)=(.*)")
    for line in file.read_text(encoding="utf-8").splitlines():
        if match := pattern.fullmatch(line):
            key, value = match.groups()
            found[key] = [*found.get(key, []), value] if value else []
    return found


def setting(key: str) -> str:
    """The one value that a key of the unit has."""
    (value,) = settings(UNIT)[key]
    return value


def seconds(text: str) -> float:
    """A time span of systemd with a single unit."""
    factors = {"s": 1, "min": 60, "h": 3600}
    number, unit = re.fullmatch(r"(\d+)(s|min|h)", text).groups()
    return int(number) * factors[unit]


@dataclass(frozen=True)
class Line:
    """One line of a tmpfiles.d file."""

    kind: str
    path: Path
    mode: str
    user: str
    group: str
    argument: str


def tmpfiles() -> list[Line]:
    lines = []
    for text in TMPFILES.read_text(encoding="utf-8").splitlines():
        if text and not text.startswith("#"):
            kind, path, mode, user, group, _age, *argument = text.split(maxsplit=6)
            lines.append(Line(kind, Path(path), mode, user, group, *(argument or [""])))
    return lines


def sysusers() -> list[list[str]]:
    """The fields of each line: type, name, id, comment, home, shell."""
    text = SYSUSERS.read_text(encoding="utf-8")
    return [shlex.split(line, comments=True) for line in text.splitlines() if line[:1] != "#"]
