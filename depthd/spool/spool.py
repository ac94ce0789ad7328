"""The spool: photos between inbox and done/failed, one private folder of work/ each.

A photo is claimed by one atomic rename, its attempt is counted on disk before work starts, and a
restart finds every job again. It knows folders and jobs; it never opens a photo's content and
knows nothing of the worker.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from depthd.config import Config
from depthd.contract.errors import ConfigurationError, FaultCode, OutputError
from depthd.contract.names import split, timestamp
from depthd.spool import ownership
from depthd.spool.home import GONE, Home, rename_to_first_free
from depthd.spool.jobs import (
    ORIGINAL,
    Folders,
    Job,
    original_path,
    read_job,
    write_first_record,
    write_record,
)
from depthd.system import files

if TYPE_CHECKING:  # the worker reads jobs; it has no use for watchers and logs
    from depthd.intake import Candidate

_LOCK = ".lock"
# The photo's folder does not give it away, or it lies on a disk of its own.
_IMMOVABLE = frozenset({errno.EACCES, errno.EPERM, errno.EXDEV, errno.EBUSY})


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
        self._home = Home(config)
        ownership.make_folders(config)
        try:
            self.lock = ownership.lock(self._work / _LOCK)
            self.instance = ownership.instance(self.lock)
        except OSError as error:
            raise OutputError(
                f"paths.work ({self._work}) cannot be written: {error.strerror}",
                "make room there, or correct the folder's rights",
            ) from error
        self._folders = Folders(self._work, self.instance)
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
        self._folders.close()
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
            except GONE as error:
                raise Vanished(candidate.name) from error
            except PermissionError as error:
                raise Immovable(error.strerror) from error
            if not _is_candidate(about, candidate):
                raise Vanished(candidate.name)
            yield source

    def _take(self, job: Job, base: str, source: int, candidate: Candidate) -> None:
        try:
            self._folders.make(job.id)
            with files.directory(self._work / job.id) as folder:
                write_first_record(job, folder)
                _rename_out(base, source, folder)
                try:
                    self._confirm(candidate, folder)
                except BaseException:
                    rename_to_first_free(ORIGINAL, base, job, folder, source)
                    raise
        except BaseException:
            self._abandoned.append(job.id)
            with suppress(OSError):  # else `probe` clears it away, or the next start
                self._clear_abandoned()
            raise

    def _confirm(self, candidate: Candidate, folder: int) -> None:
        """What was moved is what was looked at, and stays moved when the power fails now."""
        if not _is_candidate(os.stat(ORIGINAL, dir_fd=folder, follow_symlinks=False), candidate):
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
            write_record(job, folder)
        return job

    # home ------------------------------------------------------------------------------------

    def finish(self, job: Job, target: str) -> str:
        """Move the original of a published job to done/. Returns its name there."""
        place = self._home.finish(job, target)
        self._folders.retire(job.id)
        return place

    def fail(self, job: Job, code: FaultCode, detail: str) -> str:
        """Move the original to failed/, NAME.error.json before it. Returns its name there."""
        place = self._home.fail(job, code, detail)
        self._folders.retire(job.id)
        return place

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
                with suppress(FileNotFoundError):  # it did not come to a folder
                    self._folders.remove(job_id)
            self._abandoned.pop()

    # start-up --------------------------------------------------------------------------------

    def sweep(self) -> list[Job]:
        """Jobs that a former run left behind, oldest first; empty claims are cleared away.

        A job whose record is unreadable keeps its original: it goes to failed/ as JOB.
        """
        jobs = []
        for entry in sorted(os.listdir(self._work)):
            name = self._folders.take_up(entry)
            if name is None:
                continue
            path = self._work / name
            job = read_job(path)
            if not os.path.lexists(path / ORIGINAL):
                if job is not None:
                    self._home.remove_all_hidden(job)
                self._folders.remove(name)
            elif job is not None and job.id == name:
                self._home.undo_failure(job)
                jobs.append(job)
            else:
                lost = Job(name, name, timestamp(time.time()), time.time(), 0, 0, 0, alone=False)
                self.fail(lost, FaultCode.UNREADABLE, "work/JOB/job.json is missing or damaged")
        return jobs


def _rename_out(base: str, source: int, folder: int) -> None:
    """Move a photo from its inbox folder into its job's, where nobody else has a name."""
    try:
        os.rename(base, ORIGINAL, src_dir_fd=source, dst_dir_fd=folder)
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
