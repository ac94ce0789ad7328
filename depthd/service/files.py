"""Files and links of our own in the system's folders. What somebody else made is never lost."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from depthd.service.actions import Action, Kept
from depthd.service.place import MADE_BY


def file(path: Path, text: str) -> Action:
    """A file of our own. One that somebody else has made is kept beside it, as NAME~."""

    def do() -> str | None:
        kept = None
        if os.path.lexists(path) and not _is_ours(path):
            kept = path.with_name(f"{path.name}~")  # a name that nobody reads
            path.replace(kept)
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(handle, "w", encoding="utf-8") as temporary:
            temporary.write(text)
            os.fchmod(handle, 0o644)
            temporary.flush()
            os.fsync(handle)
        Path(name).replace(path)
        return f"the one that was there is {kept}" if kept else None

    def is_right() -> bool:
        try:
            return path.read_text(encoding="utf-8") == text and not path.is_symlink()
        except (OSError, ValueError):
            return False

    return Action(str(path), is_right, do)


def no_file(path: Path) -> Action:
    """No file of our own under this name; somebody else's stays."""

    def do() -> str | None:
        if not _is_ours(path):
            return Kept(f"{path}: 'depthd service install' has not made it")
        path.unlink()
        return None

    return Action(f"no {path}", lambda: not os.path.lexists(path), do)


def link(path: Path, target: Path) -> Action:
    """The command where shells find it, unless somebody has another one of that name there."""

    def do() -> str | None:
        if path.exists():
            return Kept(f"{path}: it leads to another depthd")
        path.unlink(missing_ok=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(target)
        return None

    return Action(f"{path} -> {target}", lambda: _leads_to(path, target), do)


def no_link(path: Path, target: Path) -> Action:
    """Not the command where shells find it, if it is this one."""

    def do() -> None:
        path.unlink()

    return Action(f"no {path}", lambda: not _leads_to(path, target), do)


def _is_ours(path: Path) -> bool:
    try:
        with path.open(encoding="utf-8", errors="replace") as opened:
            return MADE_BY in opened.readline() and not path.is_symlink()
    except OSError:
        return False


def _leads_to(path: Path, target: Path) -> bool:
    return path.is_symlink() and path.readlink() == target
