"""A claimed photo and its record on disk.

    work/JOB/job.json    who the photo is and how often it was tried; on disk before work starts
    work/JOB/original    the photo itself

A record outlives the version that wrote it: what is missing gets its default, what is unknown is
passed over, and a name is never lost. Knows one job's folder, nothing of inbox, done or failed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from depthd.config import FolderPolicy
from depthd.contract.errors import FaultCode
from depthd.system import files

ORIGINAL = "original"
RECORD = "job.json"
SCHEMA = "depthd.job/2"
_LARGEST_RECORD = 1 << 20  # bytes

PolicyOf = Callable[[str], FolderPolicy]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why a photo is to go to failed/."""

    code: FaultCode
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Job:
    """One claimed photo; what job.json holds."""

    id: str
    name: str  # inside the inbox, os.fsdecode'd
    stamp: str  # time of the claim, unique in this spool
    claimed: float  # in seconds since the epoch
    size: int = 0
    mtime_ns: int = 0
    newer: str = ""  # photo because of which this one is not worked on
    owner: int = -1  # user id; -1 where it is not known
    attempts: int = 0  # starts of work, counted before each
    crashes: int = 0  # attempts that ended with the worker's death
    isolated: bool = False  # whether the last attempt had the worker for itself
    home: str = ""  # where the original was about to be copied or linked to
    verdict: Verdict | None = None  # on its way to failed/
    policy: FolderPolicy = field(default_factory=FolderPolicy)  # of its folder, at the claim


def read_job(folder: Path, default: PolicyOf = lambda _: FolderPolicy()) -> Job | None:
    """The record of a job, or None where it is missing, or its name cannot be made out.

    Args:
        folder: of the job.
        default: from a name to its policy, as far as the record says nothing of it.

    Raises:
        OSError: it may be there and cannot be read now.
    """
    try:
        with (
            files.directory(folder) as handle,
            open(files.open_regular(RECORD, handle), "rb") as file,
        ):
            text = file.read(_LARGEST_RECORD).decode(errors="replace")
    except FileNotFoundError:
        return None
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        content = _salvage(text)
    if not isinstance(content, dict):
        return None
    return _job(content, folder.name.removeprefix("."), default)


def original_path(work: Path, job_id: str) -> Path:
    """Where a job's photo lies."""
    return work / job_id / ORIGINAL


def has_original(folder: Path) -> bool:
    """Whether a job's folder holds a photo.

    Raises:
        OSError: nobody can tell now.
    """
    try:
        os.lstat(folder / ORIGINAL)
    except FileNotFoundError:
        return False
    return True


def write_first_record(job: Job, folder: int) -> None:
    """Write the record of a new claim into its open folder and force it to the disk.

    In place: a record that is cut short harms nobody before the photo is there.
    """
    flags = os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
    data = encode(job)
    try:
        handle, is_new = os.open(RECORD, flags, dir_fd=folder), False
    except FileNotFoundError:
        handle, is_new = os.open(RECORD, flags | os.O_CREAT, 0o600, dir_fd=folder), True
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
    files.replace_durably(
        RECORD, encode(job), folder, temporary=f"{RECORD}.new", mode=0o600, group=os.getegid()
    )


def encode(job: Job) -> bytes:
    """The record as JSON."""
    record = {one.name: getattr(job, one.name) for one in fields(job)}
    record["policy"] = job.policy.model_dump(mode="json")
    record["verdict"] = job.verdict and asdict(job.verdict)
    return json.dumps({"schema": SCHEMA, **record}).encode()


def _salvage(text: str) -> dict[str, Any]:
    """The fields of a damaged record that are whole."""
    found: dict[str, Any] = {}
    for one in fields(Job):
        start = text.find(f'"{one.name}": ')
        if start < 0:
            continue
        with suppress(ValueError, RecursionError):
            value, end = json.JSONDecoder().raw_decode(text, start + len(one.name) + 4)
            if end < len(text):
                found[one.name] = value
    return found


def _job(record: Mapping[str, Any], folder: str, default: PolicyOf) -> Job | None:
    """From a record of this version, an earlier or a later one; None without a name."""
    record = {"isolated": record.get("alone"), **record}  # as the first version called it
    known: dict[str, Any] = {}
    for name, kinds in _KINDS.items():
        value = record.get(name)
        if isinstance(value, kinds) and not (kinds == (int,) and isinstance(value, bool)):
            known[name] = value
    if not known.get("name"):
        return None
    known.setdefault("id", folder)
    known.setdefault("stamp", known["id"].rpartition("-")[0])
    known["claimed"] = float(known.get("claimed", 0.0))
    known["policy"] = _policy(record.get("policy"), default(known["name"]))
    with suppress(KeyError, TypeError, ValueError):
        verdict = record["verdict"]
        known["verdict"] = Verdict(FaultCode(verdict["code"]), str(verdict["detail"]))
    return Job(**known)


def _policy(record: object, default: FolderPolicy) -> FolderPolicy:
    """What is known and valid of a recorded policy; the rest as it is now."""
    known = default.model_dump()
    if isinstance(record, dict):
        for key in known.keys() & record.keys():
            with suppress(ValidationError):
                FolderPolicy.model_validate({key: record[key]})
                known[key] = record[key]
    return FolderPolicy.model_validate(known)


# The plain fields and what JSON makes of them.
_KINDS: dict[str, tuple[type, ...]] = {
    "id": (str,),
    "name": (str,),
    "stamp": (str,),
    "claimed": (int, float),
    "size": (int,),
    "mtime_ns": (int,),
    "newer": (str,),
    "owner": (int,),
    "attempts": (int,),
    "crashes": (int,),
    "isolated": (bool,),
    "home": (str,),
}
