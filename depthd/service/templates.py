"""The files of systemd/ with the words between @ filled in. Knows the templates' form."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from depthd.service.place import MADE_BY, PAGE, Place

TEMPLATES = Path(__file__).parents[1] / "systemd"


def texts(place: Place) -> dict[Path, str]:
    """Every file that a place needs in /etc, and its text."""
    sources = {
        place.unit_file: "depthd.service",
        place.users_file: "sysusers.d/depthd.conf",
        place.folders_file: "tmpfiles.d/depthd.conf",
        place.rotation_file: "logrotate.d/depthd",
        **{place.unit_file.with_name(unit): unit for unit in place.page_units},
    }
    if place.page_units:
        sources[page_user_file(place)] = "sysusers.d/depthd-page.conf"
    return {path: filled_in(TEMPLATES / source, place) for path, source in sources.items()}


def page_user_file(place: Place) -> Path:
    return place.users_file.with_name(f"{PAGE}.conf")


def filled_in(template: Path, place: Place) -> str:
    """The text of one template for a place, with a first line that says who made it."""
    words = {
        "program": str(place.program),
        "options": f" --config {place.settings_file}" if place.name else "",
        "root": str(place.root),
        "user": place.user,
        "config": str(place.settings_file),
        "unit": place.stem,
    }
    text = template.read_text(encoding="utf-8")
    text = re.sub(rf"@({'|'.join(words)})@", lambda found: words[found[1]], text)
    lines = (_seen(line, place.root) for line in text.splitlines())
    return "\n".join((f"# {MADE_BY} {place.command}", *lines, ""))


def folders(place: Place) -> Iterator[tuple[Path, int, str, str, bool]]:
    """Path, mode, user, group and whether it has an access list, of each folder that is made."""
    lines = [
        line.split()
        for line in filled_in(TEMPLATES / "tmpfiles.d/depthd.conf", place).splitlines()
        if line and not line.startswith("#")
    ]
    listed = {fields[1] for fields in lines if fields[0] == "a+"}
    for kind, path, mode, user, group, *_ in lines:
        if kind == "d":
            yield Path(path), int(mode, 8), user, group, path in listed


def _seen(line: str, root: Path) -> str:
    """A line of the unit that hides folders, without those that hold the root."""
    key, equals, value = line.partition("=")
    if key != "InaccessiblePaths":
        return line
    seen = [path for path in value.split() if not root.is_relative_to(path.lstrip("-"))]
    return f"{key}{equals}{' '.join(seen)}"
