"""The spool: photos between inbox and done/failed, one private folder of work/ each.

    work/JOB/job.json    who the photo is and how often it was tried; on disk before work starts
    work/JOB/original    the photo itself, renamed here in one atomic step

Together with `publish` the only module that renames or removes files of users. It knows folders
and jobs; it never opens a photo's content and knows nothing of the worker.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import secrets
import stat
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from depthd import files
from depthd.config import Config
from depthd.errors import FAULTS, ConfigurationError, FaultCode, OutputError
from depthd.intake import Candidate
from depthd.names import candidates, printable, split, timestamp

_ORIGINAL = "original"
_RECORD = "job.json"
_LOCK = ".lock"
_FOLDER_MODES = {
    "inbox": 0o775,
    "work": 0o700,
    "outbox": 0o775,
    "done": 0o775,
    "failed": 0o775,
    "log": 0o750,
    "state": 0o750,
}
# A folder that a photo's name asks for cannot exist: that is no fault of the disk.
NO_PLACE = frozenset({errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG})
# The photo, or a folder above it, is not there any more.
_GONE = (FileNotFoundError, NotADirectoryError)
# The photo's folder does not give it away, or it lies on a disk of its own.
_IMMOVABLE = frozenset({errno.EACCES, errno.EPERM, errno.EXDEV, errno.EBUSY})
_NOTE = ".error"
_LOCK_PATIENCE = 10.0  # seconds; a killed predecessor's worker holds the lock until it is gone


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


class Vanished(Exception):
    """The candidate is not (or no longer) a file that may be taken."""


class Immovable(Exception):
    """This one photo cannot be moved out of its folder; the others are not concerned."""


class Spool:
    """Claims, counts, and brings home.

    Raises:
        ConfigurationError: another daemon owns work/, or it lies on another file system.
        OutputError: a folder cannot be created.
    """

    def __init__(self, config: Config) -> None:
        self._inbox = config.folder("inbox")
        self._work = config.folder("work")
        self._done = config.folder("done")
        self._failed = config.folder("failed")
        self._outbox = config.folder("outbox")
        self._mode = config.output.mode
        make_folders(config)
        self.lock = _lock(self._work / _LOCK)
        self.instance = _instance(self.lock)
        self._last_stamp = 0.0
        self._abandoned: list[str] = []  # jobs that came to nothing, whose folders are left
        if not files.can_rename(self._inbox, self._work):
            raise ConfigurationError(
                f"paths.work ({self._work}) lies on another file system or mount than "
                f"paths.inbox ({self._inbox})",
                "photos are claimed by renaming; set paths.work to a folder beside the inbox "
                "(under systemd: one ReadWritePaths= that holds both)",
            )

    def close(self) -> None:
        """Release work/ for another daemon."""
        os.close(self.lock)

    # claim -----------------------------------------------------------------------------------

    def claim(self, candidate: Candidate, *, alone: bool = False) -> Job:
        """Take a photo out of the inbox in one atomic step, its first attempt counted.

        Raises:
            Vanished: it is gone, changed, or not a plain file of its own.
            Immovable: no right to move it, or it lies on another disk.
            OSError: work/ or the inbox cannot be written.
        """
        moment = self._next_moment()
        stamp = timestamp(moment)
        job = Job(
            id=f"{stamp}-{self.instance}",
            name=candidate.name,
            stamp=stamp,
            claimed=moment,
            size=candidate.size,
            attempts=1,
            crashes=0,
            alone=alone,
        )
        folders, base = split(candidate.name)
        with self._source(candidate, folders) as source:
            self._take(job, base, source, candidate)
        return job

    @contextmanager
    def _source(self, candidate: Candidate, folders: tuple[str, ...]) -> Iterator[int]:
        """Handle of the photo's folder, once it is sure that the photo is still there."""
        with ExitStack() as stack:
            try:
                source = stack.enter_context(files.beneath(self._inbox, folders))
                about = os.stat(split(candidate.name)[1], dir_fd=source, follow_symlinks=False)
            except _GONE as error:
                raise Vanished(candidate.name) from error
            except PermissionError as error:
                raise Immovable(error.strerror) from error
            if not _is_candidate(about, candidate):
                raise Vanished(candidate.name)
            yield source

    def _take(self, job: Job, base: str, source: int, candidate: Candidate) -> None:
        path = self._work / job.id
        path.mkdir(mode=0o700)
        try:
            with files.directory(path) as folder:
                _write_record(job, folder)
                files.fsync_directory(self._work)
                _rename_out(base, source, folder)
                try:
                    self._confirm(candidate, folder)
                except BaseException:
                    _rename_to_first_free(_ORIGINAL, base, job, folder, source)
                    raise
        except BaseException:
            self._abandoned.append(job.id)
            with suppress(OSError):  # else `probe` clears it away, or the next start
                self._clear_abandoned()
            raise

    def _confirm(self, candidate: Candidate, folder: int) -> None:
        """What was moved is what was looked at, and stays moved when the power fails now."""
        if not _is_candidate(os.stat(_ORIGINAL, dir_fd=folder, follow_symlinks=False), candidate):
            raise Vanished(candidate.name)  # between look and rename the name changed hands
        os.fsync(folder)

    def _next_moment(self) -> float:
        """Now in whole milliseconds, later than every moment before."""
        self._last_stamp = max(round(time.time(), 3), round(self._last_stamp + 0.001, 3))
        return self._last_stamp

    # attempts --------------------------------------------------------------------------------

    def count_attempt(self, job: Job, *, alone: bool) -> Job:
        """Write down that work on a job starts again."""
        return self._rewrite(replace(job, attempts=job.attempts + 1, alone=alone))

    def count_crash(self, job: Job) -> Job:
        """Write down that the worker died with this job in its hands."""
        return self._rewrite(replace(job, crashes=job.crashes + 1))

    def return_attempt(self, job: Job) -> Job:
        """The service stopped before the attempt could end: it does not count."""
        return self._rewrite(replace(job, attempts=max(0, job.attempts - 1)))

    def _rewrite(self, job: Job) -> Job:
        with files.directory(self._work / job.id) as folder:
            _write_record(job, folder)
        return job

    # home ------------------------------------------------------------------------------------

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
            if files.exists(_ORIGINAL, source):
                try:
                    base = _rename_to_first_free(_ORIGINAL, base, job, source, folder)
                except OSError as error:
                    if error.errno != errno.EXDEV:
                        raise
                    base = _copy_home(base, job, source, folder)
            os.fsync(folder)
            _remove_hidden(job, folder)
        self._remove_folder(job.id)
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

    def probe(self) -> None:
        """Raises OSError while work/, done/ or failed/ cannot be written."""
        for folder in (self._work, self._done, self._failed):
            name = f".probe-{self.instance}"
            with files.directory(folder) as handle:
                group = os.fstat(handle).st_gid
                files.write_durably(name, [b"depthd"], handle, mode=0o600, group=group)
                files.unlink_if_exists(name, handle)
        self._clear_abandoned()

    def _clear_abandoned(self) -> None:
        while self._abandoned:
            job_id = self._abandoned[-1]
            # A photo that could not be put back either is taken up by the next start.
            if not os.path.lexists(original_path(self._work, job_id)):
                self._remove_folder(job_id)
            self._abandoned.pop()

    def _remove_folder(self, job_id: str) -> None:
        """Remove a job's folder, which never holds an original any more."""
        with files.directory(self._work / job_id) as folder:
            for name in (f"{_RECORD}.new", _RECORD):
                files.unlink_if_exists(name, folder)
        os.rmdir(self._work / job_id)

    # start-up --------------------------------------------------------------------------------

    def sweep(self) -> list[Job]:
        """Jobs that a former run left behind, oldest first; empty claims are cleared away.

        A job whose record is unreadable keeps its original: it goes to failed/ as JOB.
        """
        jobs = []
        for entry in sorted(os.listdir(self._work)):
            path = self._work / entry
            if entry.startswith(".") or not stat.S_ISDIR(os.lstat(path).st_mode):
                continue
            job = read_job(path)
            if not os.path.lexists(path / _ORIGINAL):
                if job is not None:
                    self._remove_all_hidden(job)
                self._remove_folder(entry)
            elif job is not None and job.id == entry:
                self._undo_failure(job)
                jobs.append(job)
            else:
                lost = Job(entry, entry, timestamp(time.time()), time.time(), 0, 0, 0, alone=False)
                self.fail(lost, FaultCode.UNREADABLE, "work/JOB/job.json is missing or damaged")
        return jobs

    def _undo_failure(self, job: Job) -> None:
        """The last run was cut short while it failed this job: its fate is decided anew."""
        folders, _ = split(job.name)
        names = [split(target)[1] for target in candidates(job.name, job.stamp)]
        for parts in {folders, ()}:
            with (
                suppress(*_GONE),
                files.directory(self._work / job.id) as source,
                files.beneath(self._failed, parts) as folder,
            ):
                for base in names:
                    # A copy, or a second name; the original is in work/.
                    if files.same_file(_hidden(job), base, folder, folder) or files.same_file(
                        _ORIGINAL, base, source, folder
                    ):
                        os.unlink(base, dir_fd=folder)
                    note = f"{base}.error.json"
                    if files.exists(note, folder) and _is_note_of(job, note, folder):
                        os.unlink(note, dir_fd=folder)
                _remove_hidden(job, folder)

    def _remove_all_hidden(self, job: Job) -> None:
        """The last run was cut short when the original had its place and its folder was left."""
        folders, _ = split(job.name)
        for home in (self._done, self._failed):
            for parts in {folders, ()}:
                with suppress(*_GONE), files.beneath(home, parts) as folder:
                    _remove_hidden(job, folder)


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
    return work / job_id / _ORIGINAL


def make_folders(config: Config) -> None:
    """Create what is missing of the configured folders.

    Raises:
        OutputError: one of them cannot be created, or is not a folder.
    """
    for name, mode in _FOLDER_MODES.items():
        path = config.folder(name)
        try:
            path.mkdir(mode=mode, parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(
                f"paths.{name}: cannot create {path}: {error.strerror}",
                "create it for the user that runs depthd, or set another path",
            ) from error


def _write_record(job: Job, folder: int) -> None:
    data = json.dumps(asdict(job)).encode()
    temporary = f"{_RECORD}.new"
    files.write_durably(temporary, [data], folder, mode=0o600, group=os.getegid())
    os.rename(temporary, _RECORD, src_dir_fd=folder, dst_dir_fd=folder)
    os.fsync(folder)


def _rename_out(base: str, source: int, folder: int) -> None:
    """Move a photo from its inbox folder into its job's, where nobody else has a name."""
    try:
        os.rename(base, _ORIGINAL, src_dir_fd=source, dst_dir_fd=folder)
    except FileNotFoundError as error:
        raise Vanished(base) from error
    except OSError as error:
        if error.errno in _IMMOVABLE:
            raise Immovable(error.strerror) from error
        raise


def _is_candidate(about: os.stat_result, candidate: Candidate) -> bool:
    """The same plain file, unchanged, with one name only."""
    return (
        stat.S_ISREG(about.st_mode)
        and about.st_nlink == 1
        and about.st_dev == candidate.device
        and about.st_ino == candidate.inode
        and about.st_size == candidate.size
        and about.st_mtime_ns == candidate.mtime_ns
    )


def _is_there(root: Path, folders: tuple[str, ...], name: str) -> bool:
    try:
        with files.beneath(root, folders) as folder:
            return files.exists(name, folder)
    except (FileNotFoundError, NotADirectoryError):
        return False


def _rename_to_first_free(
    source: str, base: str, job: Job, source_dir: int, target_dir: int
) -> str:
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
            files.copy_durably(_ORIGINAL, hidden, source, folder)
            files.link_noreplace(hidden, name, folder, folder)
            break
    else:
        raise FileExistsError(errno.EEXIST, "every name is taken", base)
    os.fsync(folder)
    os.unlink(_ORIGINAL, dir_fd=source)
    return name


def _is_copy(name: str, source: int, folder: int) -> bool:
    """Where there are no hard links: whether a run was cut short after copying."""
    if not files.exists(name, folder):
        return False
    with (
        open(files.open_regular(_ORIGINAL, source), "rb") as original,
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


def _lock(path: Path) -> int:
    """Own work/ until this process and its worker are gone."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + _LOCK_PATIENCE
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                os.close(handle)
                raise ConfigurationError(
                    f"another depthd works in {path.parent}",
                    "stop it, or give this one a root (or paths.work) of its own",
                ) from None
            time.sleep(0.05)
        else:
            return handle


def _instance(lock: int) -> str:
    """Eight hex digits that name this spool for ever; they are kept in the lock file."""
    known = os.pread(lock, 8, 0).decode(errors="replace")
    if len(known) == 8 and all(char in "0123456789abcdef" for char in known):
        return known
    fresh = secrets.token_hex(4)
    os.pwrite(lock, fresh.encode(), 0)
    os.fsync(lock)
    return fresh
