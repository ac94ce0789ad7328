"""A value with its origin, and what is made of paths and of files with points before it counts.

Knows keys and where relative paths begin. It reads the files that `references_file` names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from depthd.config.places import absolute
from depthd.config.text import Keys
from depthd.metres.references import References, ReferencesError

FOLDERS = "folders"  # the one section whose keys have names of the user's own before them
REFERENCES_FILE = "references_file"


@dataclass(frozen=True)
class Setting:
    """One key in dotted form, its value, and where it was given."""

    key: str
    value: Any  # text, None, or lists and mappings of them
    source: str
    folder: Path | None = None  # where its relative paths begin; None is where one stands


def key_path(key: str) -> Keys:
    """The parts of a key in dotted form; a folder's name may hold dots of its own."""
    if key.startswith(f"{FOLDERS}."):
        name, _, leaf = key.removeprefix(f"{FOLDERS}.").rpartition(".")
        return (FOLDERS, name, leaf)
    return tuple(key.split("."))


def lead(setting: Setting, problems: list[str]) -> Setting:
    """The setting with its path made absolute."""
    if not isinstance(setting.value, str | Path):
        return setting
    try:
        return replace(setting, value=absolute(setting.value, setting.folder))
    except ValueError as error:
        problems.append(f"{setting.key}: {str(setting.value)!r} {error} ({setting.source})")
        return replace(setting, value="/")


def read_references(chosen: dict[str, Setting], problems: list[str]) -> None:
    """Put the points of each references_file beside it, or say why not and take it out."""
    for key, setting in list(chosen.items()):
        if key_path(key)[-1] == REFERENCES_FILE and setting.value is not None:
            try:
                chosen.update(_points(key.removesuffix("_file"), setting, chosen))
            except (OSError, ReferencesError) as error:
                why = str(error)
                if isinstance(error, OSError):
                    why = f"cannot be read: {error.strerror}"
                problems.append(f"{key}: {setting.value}: {why} ({setting.source})")
                del chosen[key]


def _points(
    key: str, file: Setting, chosen: Mapping[str, Setting]
) -> Iterator[tuple[str, Setting]]:
    size = f"{key}_size"
    if key in chosen and chosen[key].value:
        raise ReferencesError(f"says the same as {key}; leave one of them out")
    references = References.read(file.value)
    source = f"{file.value}, {file.source}"
    yield key, Setting(key, references.points, source)
    if size not in chosen or not chosen[size].value:
        yield size, Setting(size, references.size, source)
    elif references.size is not None:
        raise ReferencesError(f"its width and height say the same as {size}; leave one of them out")
