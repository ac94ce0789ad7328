"""What `depthd check` looks at in the folders. It leaves nothing behind."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path

from depthd.cli.finding import Finding
from depthd.cli.identity import user_name
from depthd.config import Config
from depthd.config.declaration import Paths
from depthd.contract.events import LOG_FILE
from depthd.system import files

HIDDEN = ".depthd-check-"
_FEW = 3
_LOOKED_AT = 10_000


def check_folders(config: Config) -> Iterator[Finding]:
    """Each folder, what lies in them, and how they lie to each other."""
    findings = [_folder(name, config.folder(name)) for name in Paths.model_fields]
    yield from findings
    if any(finding.verdict == "FAILED" for finding in findings):
        return  # what follows would only say it again
    yield _leftovers(config)
    yield _file_systems(config)
    yield _names(config.folder("outbox"))


def nearest(path: Path) -> Path:
    """The folder itself, or the nearest one above it that is there."""
    for folder in (path, *path.parents):
        with suppress(OSError):
            folder.stat()
            return folder
    return Path("/")


def _folder(name: str, path: Path) -> Finding:
    who = f"as user {user_name()}"
    try:
        if path.is_dir():
            with tempfile.NamedTemporaryFile(prefix=HIDDEN, dir=path):
                os.listdir(path)
            return Finding(name, "ok", str(path))
        is_taken = os.path.lexists(path)
        path.stat() if is_taken else path.parent.exists()
    except OSError as error:
        return Finding(name, "FAILED", f"{path}: {error.strerror}, {who}")
    if is_taken:
        return Finding(name, "FAILED", f"{path} is not a folder")
    parent = nearest(path)
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        return Finding(name, "FAILED", f"{path} cannot be created in {parent}, {who}")
    return Finding(name, "ok", f"{path} (will be created)")


def _leftovers(config: Config) -> Finding:
    """Can the daemon go on with what an earlier one left? One that ran as root locks it out."""
    work = config.folder("work")
    log = config.folder("log") / LOG_FILE
    found = [log] if os.path.lexists(log) else []
    if os.path.isdir(work):
        found += (Path(entry.path) for entry in islice(os.scandir(work), _LOOKED_AT))
    wrong = [path for path in found if not os.access(path, _wanted(path))]
    if not wrong:
        return Finding("leftovers", "ok", "what an earlier run has left can be used")
    shown = ", ".join(f"{path} of {_owner(path)}" for path in wrong[:_FEW])
    more = f" and {len(wrong) - _FEW} more" if len(wrong) > _FEW else ""
    who = user_name()
    return Finding("leftovers", "FAILED", f"no rights to {shown}{more}; give them to {who} (chown)")


def _wanted(path: Path) -> int:
    return os.R_OK | os.W_OK | (os.X_OK if os.path.isdir(path) else 0)


def _owner(path: Path) -> str:
    try:
        return user_name(path.lstat().st_uid)
    except OSError:
        return "somebody"


def _file_systems(config: Config) -> Finding:
    places = {name: nearest(config.folder(name)) for name in Paths.model_fields}
    if not files.can_rename(places["inbox"], places["work"]):
        detail = "inbox and work lie on different ones; set paths.work to a folder beside the inbox"
        return Finding("file systems", "FAILED", detail)
    apart = [
        name for name in ("done", "failed") if not files.can_rename(places["work"], places[name])
    ]
    if apart:
        detail = f"{' and '.join(apart)} on another one: originals are copied, not renamed"
        return Finding("file systems", "ok", detail)
    return Finding("file systems", "ok", "originals are renamed, never copied")


def _names(outbox: Path) -> Finding:
    """Can results get their final name without replacing anything?"""
    if not os.path.isdir(outbox):
        return Finding("hard links", "ok", "not tried, the outbox is not there yet")
    try:
        with tempfile.TemporaryDirectory(prefix=HIDDEN, dir=outbox) as folder:
            file = Path(folder, "file")
            file.touch()
            Path(folder, "link").hardlink_to(file)
    except OSError as error:
        detail = f"none in the outbox ({error.strerror}): results are renamed into place"
        return Finding("hard links", "warning", detail)
    return Finding("hard links", "ok", "results are linked into place")
