"""A folder and all that lie in it, however deep. Knows the operating system, nothing of photos."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path


def walk(
    top: Path, on_error: Callable[[OSError], object] = lambda _: None
) -> Iterator[tuple[str, list[str], list[str]]]:
    """As `os.walk`, which before Python 3.12 ends in a RecursionError some hundred folders deep.

    Args:
        top: where to begin.
        on_error: hears of folders that cannot be read.

    Yields:
        path, names of the folders in it (those that are taken out are not entered, and no link
        is), names of all else.
    """
    waiting = [os.fspath(top)]
    while waiting:
        folder = waiting.pop()
        inner: list[str] = []
        others: list[str] = []
        links: set[str] = set()
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    (inner if _is_folder(entry) else others).append(entry.name)
                    if entry.is_symlink():
                        links.add(entry.name)
        except OSError as error:
            on_error(error)
            continue
        yield folder, inner, others
        waiting += [os.path.join(folder, name) for name in reversed(inner) if name not in links]


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False
