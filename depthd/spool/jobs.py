"""A claimed photo, its record on disk, and the folder that holds both.

    work/JOB/job.json    who the photo is and how often it was tried; on disk before work starts
    work/JOB/original    the photo itself
    work/.JOB/           the folder of a job that is over, to be used again

Knows the jobs' folders in work/, nothing of inbox, done or failed.
"""

from __future__ import annotations

import json
import os
import stat
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from depthd.system import files

ORIGINAL = "original"
_RECORD = "job.json"


@dataclass(frozen=True, slots=True)
class Job:
    """One claimed photo; exactly what job.json holds."""

    id: str
    name: str  # inside the inbox, os.fsdecode'd
    stamp: str  # time of the claim, unique in this spool
    claimed: float  # the same in seconds since the epoch
    size: int
    attempts: int  # starts of work, counted before each
    crashes: int  # attempts that ended with the worker's death
    alone: bool  # whether the last attempt had the worker for itself


def read_job(folder: Path) -> Job | None:
    """The record of a job, or None where it is missing or damaged.

    Raises:
        OSError: it may be there and cannot be read now.
    """
    try:
        return Job(**json.loads((folder / _RECORD).read_bytes()))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def original_path(work: Path, job_id: str) -> Path:
    """Where the worker finds a job's photo."""
    return work / job_id / ORIGINAL


def write_first_record(job: Job, folder: int) -> None:
    """Write the record of a new claim into its open folder and force it to the disk.

    In place: a record that is cut short harms nobody before the photo is there.
    """
    flags = os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
    data = _encode(job)
    try:
        handle, is_new = os.open(_RECORD, flags, dir_fd=folder), False
    except FileNotFoundError:
        handle, is_new = os.open(_RECORD, flags | os.O_CREAT, 0o600, dir_fd=folder), True
    try:
        files.write_all(handle, data)
        os.ftruncate(handle, len(data))  # afterwards: a block that is given back is not cheap
        os.fsync(handle)
    finally:
        os.close(handle)
    if is_new:
        os.fsync(folder)


def write_record(job: Job, folder: int) -> None:
    """Replace the record in the job's open folder, safe from a power cut."""
    temporary = f"{_RECORD}.new"
    files.write_durably(temporary, [_encode(job)], folder, mode=0o600, group=os.getegid())
    os.rename(temporary, _RECORD, src_dir_fd=folder, dst_dir_fd=folder)
    os.fsync(folder)


def _encode(job: Job) -> bytes:
    return json.dumps(asdict(job)).encode()


class Folders:
    """The jobs' folders in work/, each used for one job after the other.

    Making and removing two inodes for every photo would cost a third of the supervisor's time, and
    ext4 without a journal is slow to make any file for minutes after others were removed.

    Args:
        work: the folder work/.
        instance: the spool's name, at the end of its jobs' ids.
    """

    def __init__(self, work: Path, instance: str) -> None:
        self._work = work
        self._instance = instance
        self._spare: list[str] = []  # as many as there were jobs at a time

    def make(self, job_id: str) -> None:
        """A folder without a photo; a record in it may be that of an earlier job.

        Only a new one needs its name on the disk at once: an old one is found by any of its names.
        """
        while self._spare:
            try:
                os.rename(self._work / self._spare[-1], self._work / job_id)
            except FileNotFoundError:  # somebody has tidied up
                self._spare.pop()
            else:
                self._spare.pop()
                return
        os.mkdir(self._work / job_id, 0o700)
        files.fsync_directory(self._work)

    def retire(self, job_id: str) -> None:
        """Keep the folder of a job that is over, which holds no photo any more."""
        spare = f".{job_id}"
        os.rename(self._work / job_id, self._work / spare)
        self._spare.append(spare)

    def take_up(self, entry: str) -> str | None:
        """Look at what a former run has left in work/.

        The power may have failed before the last name of a folder was on the disk; the record says
        whose photo it holds.

        Returns:
            the name of a job's folder, or None: an empty one to be used again, or nothing of ours.
        """
        path, is_hidden = self._work / entry, entry.startswith(".")
        if not stat.S_ISDIR(os.lstat(path).st_mode) or (is_hidden and not self._is_ours(entry)):
            return None
        if not os.path.lexists(path / ORIGINAL):
            if not is_hidden:
                return entry
            self._spare.append(entry)
            return None
        job = read_job(path)
        name = job.id if job and self._is_ours(job.id) else entry.removeprefix(".")
        if name != entry and not os.path.lexists(self._work / name):
            os.rename(path, self._work / name)
            return name
        return entry

    def _is_ours(self, name: str) -> bool:
        return name.endswith(f"-{self._instance}") and "/" not in name

    def remove(self, entry: str) -> None:
        """Remove a folder, which holds no photo any more."""
        with files.directory(self._work / entry) as folder:
            for name in (f"{_RECORD}.new", _RECORD):
                files.unlink_if_exists(name, folder)
        os.rmdir(self._work / entry)

    def close(self) -> None:
        """Leave nothing behind; what cannot be removed now is found by the next start."""
        while self._spare:
            with suppress(OSError):
                self.remove(self._spare.pop())
