"""A claimed photo and its record on disk.

    work/JOB/job.json    who the photo is and how often it was tried; on disk before work starts
    work/JOB/original    the photo itself

Knows one job's folder in work/, nothing of inbox, done or failed.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from depthd import files

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


def write_record(job: Job, folder: int) -> None:
    """Replace the record in the job's open folder, safe from a power cut."""
    data = json.dumps(asdict(job)).encode()
    temporary = f"{_RECORD}.new"
    files.write_durably(temporary, [data], folder, mode=0o600, group=os.getegid())
    os.rename(temporary, _RECORD, src_dir_fd=folder, dst_dir_fd=folder)
    os.fsync(folder)


def remove_folder(work: Path, job_id: str) -> None:
    """Remove a job's folder, which holds no original any more."""
    with files.directory(work / job_id) as folder:
        for name in (f"{_RECORD}.new", _RECORD):
            files.unlink_if_exists(name, folder)
    os.rmdir(work / job_id)
