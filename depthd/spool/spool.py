"""The spool: photos between inbox and done/failed, one private folder of work/ each.

A photo is claimed by one atomic rename, its attempt is counted on disk before work starts, and a
restart finds every job again. It knows folders and jobs; it never looks at a photo's content and
knows nothing of the worker.
"""

from __future__ import annotations

import errno
import os
import stat
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from depthd.config import Config
from depthd.contract.errors import ConfigurationError, FaultCode, OutputError
from depthd.contract.names import SetName, timestamp
from depthd.publish.places import Places
from depthd.spool import ownership
from depthd.spool.folders import Folders
from depthd.spool.home import Home, rename_to_first_free
from depthd.spool.jobs import (
    ORIGINAL,
    Job,
    Verdict,
    has_original,
    original_path,
    read_job,
    write_first_record,
    write_record,
)
from depthd.system import files, hard_links

if TYPE_CHECKING:
    from depthd.intake import Candidate

_LOCK = ".lock"
# The photo's folder does not give it away, or it lies on a disk of its own.
_IMMOVABLE = frozenset({errno.EACCES, errno.EPERM, errno.EXDEV, errno.EBUSY, errno.EINVAL})


class Vanished(Exception):
    """The candidate is not (or no longer) a file that may be taken."""


class Immovable(Exception):
    """This one photo cannot be moved out of its folder; the others are not concerned."""


class Unreadable(Exception):
    """This one photo, or the rights to read it, were taken away after it was claimed."""


class Spool:
    """Claims, counts, and brings home; safe from any thread.

    Args:
        config: the folders and their policies.
        places: done, failed and the outbox.
        former: the spool that owns work/ in this process already, if one does.

    Raises:
        TemporaryError: another daemon owns work/.
        ConfigurationError: work/ lies on another file system than the inbox.
        OutputError: a folder cannot be created.
    """

    def __init__(self, config: Config, places: Places, former: Spool | None = None) -> None:
        self.lock: int
        self._config = config
        self._inbox = config.folder("inbox")
        self.work = config.folder("work")
        self._home = Home(self.work, places, config.output.mode)
        self.lock = os.dup(former.lock) if former else ownership.lock(self.work / _LOCK)
        try:
            self.instance = ownership.instance(self.lock)
            self._folders = Folders(self.work, self.instance)
            self._last_stamp = 0.0
            self._turn = threading.Lock()  # one thread at a time gives stamps, or tidies up
            self._links_are_guarded = hard_links.are_guarded()
            self._abandoned: list[str] = []  # jobs that came to nothing, whose folders are left
            if not files.can_rename(self._inbox, self.work):
                raise ConfigurationError(  # noqa: TRY301
                    f"paths.work ({self.work}) lies on another file system or mount than "
                    f"paths.inbox ({self._inbox})",
                    "photos are claimed by renaming; set paths.work to a folder beside the inbox "
                    "(under systemd: one ReadWritePaths= that holds both)",
                )
        except OSError as error:
            os.close(self.lock)
            raise OutputError(
                f"paths.work ({self.work}) cannot be written: {error.strerror}",
                "make room there, or correct the folder's rights",
            ) from error
        except ConfigurationError:
            os.close(self.lock)
            raise

    def close(self) -> None:
        """Release work/ for another daemon."""
        self._folders.close()
        os.close(self.lock)

    # claim -----------------------------------------------------------------------------------

    def claim(self, candidate: Candidate, config: Config | None = None) -> Job:
        """Take a photo out of the inbox in one atomic step, its first attempt counted.

        Raises:
            Vanished: it is gone, changed, or no plain file.
            Immovable: no right to move it, or it lies on another disk.
            OSError: work/ or the inbox cannot be written.
        """
        moment = self._next_moment()
        stamp = timestamp(moment)
        job = Job(
            id=f"{stamp}-{self.instance}",
            name=candidate.name,
            stamp=stamp,
            claimed=time.time(),  # the stamp runs ahead of a clock that was set back
            size=candidate.size,
            mtime_ns=candidate.mtime_ns,
            owner=candidate.owner,
            newer=candidate.newer,
            attempts=0 if candidate.newer else 1,
            policy=(config or self._config).policy(candidate.name),
        )
        name = SetName.of(candidate.name)
        with self._source(candidate, name) as source:
            return self._take(job, name, source, candidate)

    @contextmanager
    def _source(self, candidate: Candidate, name: SetName) -> Iterator[int]:
        """Handle of the photo's folder, once it is sure that the photo is still there."""
        with ExitStack() as stack:
            try:
                source = stack.enter_context(files.beneath(self._inbox, name.folders))
                about = os.stat(name.base, dir_fd=source, follow_symlinks=False)
            except files.GONE as error:
                raise Vanished(candidate.name) from error
            except PermissionError as error:
                raise Immovable(error.strerror) from error
            if not _is_candidate(about, candidate):
                raise Vanished(candidate.name)
            if about.st_nlink > 1 and not self._may_link(about, os.fstat(source)):
                raise Immovable("it has other names, and may have been linked by somebody else")
            yield source

    def _may_link(self, photo: os.stat_result, folder: os.stat_result) -> bool:
        """Whether it was for whoever made this name to give: else the kernel sees to that."""
        return self._links_are_guarded or hard_links.is_givers_own(
            photo, folder.st_uid, folder.st_gid
        )

    def _take(self, job: Job, name: SetName, source: int, candidate: Candidate) -> Job:
        try:
            self._folders.make(job.id)
            with files.directory(self.work / job.id) as folder:
                write_first_record(job, folder)
                _rename_out(name.base, source, folder)
                try:
                    return self._confirm(job, name, source, folder, candidate)
                except OSError:
                    if _put_back(job, name, source, folder):
                        raise
                    return job  # it is here, and nobody else can have it
        except BaseException:
            self._abandoned.append(job.id)
            with suppress(OSError):  # else `clear_abandoned` does it, or the next start
                self.clear_abandoned()
            raise

    def _confirm(
        self, job: Job, name: SetName, source: int, folder: int, candidate: Candidate
    ) -> Job:
        """What was moved is what was looked at, and stays moved when the power fails now.

        Between look and rename the name may have changed hands. What is no plain file goes back;
        where its folder no longer takes it, it goes to failed/ like a bad photo.
        """
        about = os.stat(ORIGINAL, dir_fd=folder, follow_symlinks=False)
        if not _is_candidate(about, candidate):
            if _put_back(job, name, source, folder):
                raise Vanished(candidate.name)
            detail = "it was exchanged for something else while it was taken"
            job = replace(job, verdict=Verdict(FaultCode.NOT_AN_IMAGE, detail))
            write_record(job, folder)
        os.fsync(folder)
        return replace(job, owner=about.st_uid)

    def _next_moment(self) -> float:
        """Now in whole milliseconds, later than every moment before."""
        with self._turn:
            self._last_stamp = max(round(time.time(), 3), round(self._last_stamp + 0.001, 3))
            return self._last_stamp

    def clear_abandoned(self) -> None:
        """Remove the folders of claims that came to nothing."""
        with self._turn:
            while self._abandoned:
                job_id = self._abandoned.pop()  # others may put more behind it meanwhile
                try:
                    # A photo that could not be put back either is taken up by the next start.
                    if not has_original(self.work / job_id):
                        self._folders.remove(job_id)
                except FileNotFoundError:  # it did not come to a folder
                    continue
                except OSError:
                    self._abandoned.append(job_id)
                    raise

    # attempts --------------------------------------------------------------------------------

    @contextmanager
    def _folder(self, job: Job) -> Iterator[int]:
        """Handle of a job's folder.

        Raises:
            Unreadable: somebody has taken it away.
        """
        try:
            with files.directory(self.work / job.id) as folder:
                yield folder
        except FileNotFoundError as error:
            if self._has_lost(job):
                raise Unreadable("somebody has taken it away from work/") from error
            raise

    def open_original(self, job: Job) -> int:
        """Descriptor of a job's photo, for reading; nobody can write through it.

        Raises:
            Unreadable: its owner has taken the rights away, or somebody the photo.
            OSError: it cannot be opened now.
        """
        with self._folder(job) as folder:
            try:
                return files.open_regular(ORIGINAL, folder)
            except PermissionError as error:
                if os.access(ORIGINAL, os.R_OK, dir_fd=folder):
                    raise
                raise Unreadable(f"its rights were taken away: {error.strerror}") from error

    def look(self, job: Job) -> Job:
        """The job with the photo's present size and time; a writer may still be at it."""
        about = os.lstat(original_path(self.work, job.id))
        return replace(job, size=about.st_size, mtime_ns=about.st_mtime_ns)

    def rewrite(self, job: Job) -> Job:
        """Put what has changed about a job on the disk.

        Raises:
            Unreadable: somebody has taken the photo away.
            OSError: it cannot be written now.
        """
        with self._folder(job) as folder:
            write_record(job, folder)
        return job

    # home ------------------------------------------------------------------------------------

    def finish(self, job: Job, target: SetName) -> str:
        """Move the original of a published job to done/. Returns its name there."""
        return self._bring(job, lambda: self._home.finish(job, target), target.path)

    def fail(self, job: Job, verdict: Verdict) -> str:
        """Move the original to failed/, NAME.error.json before it. Returns its name there."""
        return self._bring(job, lambda: self._home.fail(job, verdict), job.name)

    def skip(self, job: Job) -> str:
        """Move the original to done/, NAME.skipped.json before it. Returns its name there."""
        return self._bring(job, lambda: self._home.skip(job), job.name)

    def _bring(self, job: Job, bring: Callable[[], str], meant: str) -> str:
        """Bring a job home; one whose folder is gone is over as well."""
        try:
            place = bring()
            self._folders.retire(job.id)
        except FileNotFoundError:
            if not self._has_lost(job):
                raise
            return meant
        return place

    def _has_lost(self, job: Job) -> bool:
        """Whether somebody has taken a job's folder away, out of the work/ that is ours."""
        try:
            is_ours = os.path.samestat(os.fstat(self.lock), os.stat(self.work / _LOCK))
        except OSError:
            return False
        return is_ours and not os.path.lexists(self.work / job.id)

    def probe(self) -> None:
        """Raises OSError while work/ cannot be written."""
        with files.directory(self.work) as handle:
            files.probe(handle, 1)
        self.clear_abandoned()

    # start-up --------------------------------------------------------------------------------

    def sweep(self, only: Collection[str] = ()) -> Iterator[Job | OSError]:
        """Jobs that a former run left behind, oldest first; empty claims are cleared away.

        A job whose record does not tell its name goes to failed/ under its id. What cannot be
        looked at now gives its error in the place of a job, and stays for a later sweep.

        Args:
            only: entries of work/ that an earlier sweep could not look at; all where it is empty,
                which must not be asked for while jobs are at work.
        """
        for entry in sorted(only or os.listdir(self.work)):
            try:
                job = self._take_up(entry)
            except FileNotFoundError:  # somebody has tidied up
                continue
            except OSError as error:
                error.filename = entry
                yield error
            else:
                if job is not None:
                    yield job

    def _take_up(self, entry: str) -> Job | None:
        """The job of a folder in work/, or None where there is none."""
        name = self._folders.take_up(entry)
        if name is None:
            if entry.startswith(files.PROBE):
                os.unlink(self.work / entry)
            return None
        path = self.work / name
        if not has_original(path):
            self._folders.remove(name)
            return None
        job = read_job(path, self._config.policy) or _nameless(name)
        return job if job.id == name else replace(job, id=name)


def _nameless(job_id: str) -> Job:
    detail = "work/JOB/job.json is missing or damaged; the name is that of the job"
    verdict = Verdict(FaultCode.UNREADABLE, detail)
    return Job(job_id, job_id, timestamp(time.time()), time.time(), verdict=verdict)


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


def _put_back(job: Job, name: SetName, source: int, folder: int) -> bool:
    """Give a photo back to its inbox folder; returns whether that worked."""
    try:
        rename_to_first_free(ORIGINAL, name, job, folder, source)
    except OSError:
        return False
    return True


def _is_candidate(about: os.stat_result, candidate: Candidate) -> bool:
    """The same plain file, unchanged, whatever other names it has."""
    return (
        stat.S_ISREG(about.st_mode)
        and about.st_dev == candidate.device
        and about.st_ino == candidate.inode
        and about.st_size == candidate.size
        and about.st_mtime_ns == candidate.mtime_ns
    )
