"""Home from work/: originals into done/ or failed/, never over anything else.

Across file systems they are copied, synced, named, synced, and only then removed. Every step can
be done again after a fault or a power cut.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from depthd.config import Config
from depthd.contract.errors import FAULTS, FaultCode
from depthd.contract.names import candidates, printable, split, timestamp
from depthd.spool.jobs import ORIGINAL, Job
from depthd.system import files

# A folder that a photo's name asks for cannot exist: that is no fault of the disk.
NO_PLACE = frozenset({errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG})
# The photo, or a folder above it, is not there any more.
GONE = (FileNotFoundError, NotADirectoryError)
_NOTE = ".error"


class Home:
    """The doors of done/ and failed/."""

    def __init__(self, config: Config) -> None:
        self._work = config.folder("work")
        self._done = config.folder("done")
        self._failed = config.folder("failed")
        self._outbox = config.folder("outbox")
        self._mode = config.output.mode

    def finish(self, job: Job, target: str) -> str:
        """Move the original of a published job to done/. Returns its name there."""
        return self._move_home(job, self._done, target)

    def fail(self, job: Job, code: FaultCode, detail: str) -> str:
        """Move the original to failed/, NAME.error.json before it. Returns its name there.

        Done again after a fault, it goes on where it was.
        """
        for target in candidates(job.name, job.stamp):
            if not self._taken(job, target):
                break
        folders, base = split(target)
        reason = {
            "schema": "depthd.error/1",
            "job": job.id,
            "name": printable(job.name),
            "code": code.value,
            "message": FAULTS[code].sentence,
            "detail": printable(detail),
            "hint": FAULTS[code].hint,
            "attempts": job.attempts,
            "failed": timestamp(time.time()),
        }
        with self._home(self._failed, folders) as (folder, _):
            note = f"{base}.error.json"
            if not files.exists(note, folder):  # a crash may have come right after it was written
                temporary = _hidden(job) + _NOTE
                data = json.dumps(reason, indent=2).encode() + b"\n"
                group = os.fstat(folder).st_gid
                files.write_durably(temporary, [data], folder, mode=self._mode, group=group)
                files.rename_noreplace(temporary, note, folder, folder)
        return self._move_home(job, self._failed, target)

    def _taken(self, job: Job, target: str) -> bool:
        """Whether any of a set's names is in use by another photo."""
        folders, base = split(target)
        with self._home(self._failed, folders) as (folder, _):
            if files.exists(f"{base}.error.json", folder):
                return not _is_note_of(job, f"{base}.error.json", folder)
        return (
            _is_there(self._failed, folders, base)
            or _is_there(self._done, folders, base)
            or _is_there(self._outbox, folders, f"{base}.json")
        )

    def _move_home(self, job: Job, home: Path, target: str) -> str:
        folders, base = split(target)
        with (
            files.directory(self._work / job.id) as source,
            self._home(home, folders) as (folder, folders),
        ):
            was_copied = not files.exists(ORIGINAL, source)  # maybe, by a try that was cut short
            if not was_copied:
                try:
                    base = rename_to_first_free(ORIGINAL, base, job, source, folder)
                except OSError as error:
                    if error.errno != errno.EXDEV:
                        raise
                    base = _copy_home(base, job, source, folder)
                    was_copied = True
            os.fsync(folder)
            if was_copied:
                _remove_hidden(job, folder)
        return "/".join((*folders, base))

    @contextmanager
    def _home(self, home: Path, folders: tuple[str, ...]) -> Iterator[tuple[int, tuple[str, ...]]]:
        """Handle of a photo's folder in done/ or failed/, and its name.

        Where something else has the folder's name, photos come to lie in `home` itself.
        """
        with ExitStack() as stack:
            mode = files.folder_mode(home)
            try:
                handle = stack.enter_context(files.beneath(home, folders, create_mode=mode))
            except OSError as error:
                if not folders or error.errno not in NO_PLACE:
                    raise
                folders = ()
                handle = stack.enter_context(files.directory(home))
            yield handle, folders

    def undo_failure(self, job: Job) -> None:
        """The last run was cut short while it failed this job: its fate is decided anew."""
        folders, _ = split(job.name)
        names = [split(target)[1] for target in candidates(job.name, job.stamp)]
        for parts in {folders, ()}:
            with (
                suppress(*GONE),
                files.directory(self._work / job.id) as source,
                files.beneath(self._failed, parts) as folder,
            ):
                for base in names:
                    # A copy, or a second name; the original is in work/.
                    if files.same_file(_hidden(job), base, folder, folder) or files.same_file(
                        ORIGINAL, base, source, folder
                    ):
                        os.unlink(base, dir_fd=folder)
                    note = f"{base}.error.json"
                    if files.exists(note, folder) and _is_note_of(job, note, folder):
                        os.unlink(note, dir_fd=folder)
                _remove_hidden(job, folder)

    def remove_all_hidden(self, job: Job) -> None:
        """The last run was cut short when the original had its place and its folder was left."""
        folders, _ = split(job.name)
        for home in (self._done, self._failed):
            for parts in {folders, ()}:
                with suppress(*GONE), files.beneath(home, parts) as folder:
                    _remove_hidden(job, folder)


def _is_there(root: Path, folders: tuple[str, ...], name: str) -> bool:
    try:
        with files.beneath(root, folders) as folder:
            return files.exists(name, folder)
    except (FileNotFoundError, NotADirectoryError):
        return False


def rename_to_first_free(source: str, base: str, job: Job, source_dir: int, target_dir: int) -> str:
    """Rename to `base`, or where that is taken to the next of its candidates."""
    for name in candidates(base, job.stamp):
        try:
            files.rename_noreplace(source, name, source_dir, target_dir)
        except FileExistsError:
            continue
        return name
    raise FileExistsError(errno.EEXIST, "every name is taken", base)


def _copy_home(base: str, job: Job, source: int, folder: int) -> str:
    """Copy, sync, give the final name, sync, and only then remove the original.

    The copy keeps its hidden name until the original is gone, so that a run that was cut short
    recognises its own copy by the inode.
    """
    hidden = _hidden(job)
    for name in candidates(base, job.stamp):
        if files.same_file(hidden, name, folder, folder) or _is_copy(name, source, folder):
            break
        if not files.exists(name, folder):
            files.copy_durably(ORIGINAL, hidden, source, folder)
            files.link_noreplace(hidden, name, folder, folder)
            break
    else:
        raise FileExistsError(errno.EEXIST, "every name is taken", base)
    os.fsync(folder)
    os.unlink(ORIGINAL, dir_fd=source)
    return name


def _is_copy(name: str, source: int, folder: int) -> bool:
    """Where there are no hard links: whether a run was cut short after copying."""
    if not files.exists(name, folder):
        return False
    with (
        open(files.open_regular(ORIGINAL, source), "rb") as original,
        open(files.open_regular(name, folder), "rb") as copy,
    ):
        return os.fstat(original.fileno()).st_size == os.fstat(copy.fileno()).st_size and (
            hashlib.file_digest(original, "sha256").digest()
            == hashlib.file_digest(copy, "sha256").digest()
        )


def _hidden(job: Job) -> str:
    return f".{job.id}"


def _remove_hidden(job: Job, folder: int) -> None:
    for name in (_hidden(job), _hidden(job) + _NOTE):
        files.unlink_if_exists(name, folder)


def _is_note_of(job: Job, name: str, folder: int) -> bool:
    """Whether an earlier try to fail this job has written its reason already."""
    try:
        with open(files.open_regular(name, folder), "rb") as file:
            return bool(json.load(file)["job"] == job.id)
    except (ValueError, TypeError, KeyError):
        return False
