"""The jobs' folders in work/, each used for one job after the other.

    work/JOB/     a job
    work/.JOB/    the folder of a job that is over, to be used again

Knows names in work/, nothing of inbox, done or failed.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

from depthd.spool.jobs import RECORD, has_original, read_job
from depthd.system import files


class Folders:
    """Makes, keeps and finds the folders; safe from any thread.

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
            spare = self._spare.pop()
            with suppress(FileNotFoundError):  # somebody has tidied up
                os.rename(self._work / spare, self._work / job_id)
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
        if not has_original(path):
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
            for name in (f"{RECORD}.new", RECORD):
                files.unlink_if_exists(name, folder)
        os.rmdir(self._work / entry)

    def close(self) -> None:
        """Leave nothing behind; what cannot be removed now is found by the next start."""
        while self._spare:
            with suppress(OSError):
                self.remove(self._spare.pop())
