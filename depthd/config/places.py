"""Where a path leads that somebody wrote. Knows paths, nothing of the configuration's keys."""

from __future__ import annotations

from pathlib import Path


def absolute(path: str | Path, folder: Path | None) -> Path:
    """A path as somebody wrote it, made absolute; ~ is a home folder.

    Args:
        path: what was written.
        folder: where it begins if it is relative; None is the working directory.

    Raises:
        ValueError: it leads nowhere; the words follow the path.
    """
    if "\0" in str(path):
        raise ValueError("is no path")
    try:
        return ((folder or Path()) / Path(path).expanduser()).absolute()
    except RuntimeError as error:
        raise ValueError("begins with the home folder of nobody who is known here") from error
    except FileNotFoundError as error:
        raise ValueError("is relative, and the working directory is gone") from error
