"""How an original gets its final name: renamed, by two names, or copied to another disk.

One step where the file system renames without replacing. Where it cannot, or lies on another disk,
the record says first what name is meant: a run that was cut short then knows its own copy. Each
step can be done again after a fault or a power cut. Knows no notes and no reasons.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from depthd.contract.names import SetName
from depthd.publish.places import Place
from depthd.spool.jobs import ORIGINAL, Job, read_job, write_record
from depthd.system import files


@dataclass(frozen=True, slots=True)
class Way:
    """The way of one original.

    Attributes:
        job: whose original it is.
        place: done/ or failed/.
        names: that it may have there, the best one first.
        source: handle of the job's folder.
        folder: handle of the photo's folder in `place`.
    """

    job: Job
    place: Place
    names: Sequence[SetName]
    source: int
    folder: int


class Mover:
    """Takes originals along their ways.

    Args:
        work: the folder work/.
    """

    def __init__(self, work: Path) -> None:
        self._work = work
        self._on_the_way: set[str] = set()  # jobs of which a second name or a copy may be there

    def take(self, way: Way) -> SetName:
        """Move the original under the first of the names that is free.

        Raises:
            FileExistsError: all are taken.
        """
        name = self._go_on(way) or self._rename_or_copy(way)
        self.tidy(way.job, way.place)
        return name

    def _go_on(self, way: Way) -> SetName | None:
        """End a move that an earlier try has begun, if it came as far as the final name."""
        if not self._may_be_begun(way.job):
            return None
        meant = self.meant(way.job)
        with way.place.private.open() as private:
            for name in way.names:
                if meant == _home(way.place, name) and (
                    files.same_file(ORIGINAL, name.base, way.source, way.folder)
                    or _is_copy(_hidden(way.job), name.base, way.source, private, way.folder)
                ):
                    os.fsync(way.folder)
                    os.unlink(ORIGINAL, dir_fd=way.source)
                    return name
        return None

    def _may_be_begun(self, job: Job) -> bool:
        return bool(job.home) or job.id in self._on_the_way

    def tidy(self, job: Job, place: Place) -> None:
        """The original is home: what a try has left on the way goes."""
        if self._may_be_begun(job):
            with place.private.open() as private:
                files.unlink_if_exists(_hidden(job), private)
            self._on_the_way.discard(job.id)

    def _rename_or_copy(self, way: Way) -> SetName:
        if os.fstat(way.source).st_dev != os.fstat(way.folder).st_dev:
            return self._copy(way)
        try:
            return self._rename(way)
        except OSError as error:
            if error.errno != errno.EXDEV:  # two mounts of one disk
                raise
            return self._go_on(way) or self._copy(way)

    def _rename(self, way: Way) -> SetName:
        for name in way.names:
            try:
                files.rename_atomically(ORIGINAL, name.base, way.source, way.folder)
            except FileExistsError:
                continue
            except files.NotAtomic:
                return self._link(way)
            return name
        raise FileExistsError(errno.EEXIST, "every name is taken", way.job.name)

    def _link(self, way: Way) -> SetName:
        """Two steps: no rename without replacing here (NFS)."""
        self._on_the_way.add(way.job.id)
        for name in way.names:
            if files.exists(name.base, way.folder):
                continue
            self._mean(way, name)
            try:
                files.rename_in_steps(ORIGINAL, name.base, way.source, way.folder)
            except FileExistsError:
                continue
            return name
        raise FileExistsError(errno.EEXIST, "every name is taken", way.job.name)

    def _copy(self, way: Way) -> SetName:
        """Copy, sync, give the final name, sync, and only then remove the original."""
        self._on_the_way.add(way.job.id)
        hidden = _hidden(way.job)
        with way.place.private.open() as private:
            for name in way.names:
                if files.exists(name.base, way.folder):
                    continue
                files.copy_durably(ORIGINAL, hidden, way.source, private)
                self._mean(way, name)
                try:
                    files.link_noreplace(hidden, name.base, private, way.folder)
                except FileExistsError:
                    continue
                os.fsync(way.folder)
                os.unlink(ORIGINAL, dir_fd=way.source)
                return name
        raise FileExistsError(errno.EEXIST, "every name is taken", way.job.name)

    def meant(self, job: Job) -> str:
        """What an earlier try has written down; never what lies where others can write."""
        recorded = read_job(self._work / job.id)
        return recorded.home if recorded else ""

    def _mean(self, way: Way, name: SetName) -> None:
        recorded = read_job(self._work / way.job.id) or way.job
        write_record(replace(recorded, home=_home(way.place, name)), way.source)


def _hidden(job: Job) -> str:
    """The name of a copy on its way."""
    return f"{job.id}.{ORIGINAL}"


def _home(place: Place, name: SetName) -> str:
    return f"{place.root}/{name.path}"


def _is_copy(hidden: str, name: str, source: int, private: int, folder: int) -> bool:
    """Whether a file is our copy: the hidden one's other name, or where that is gone its content.

    Without hard links the hidden name becomes the final one.
    """
    if files.exists(hidden, private):
        return files.same_file(hidden, name, private, folder)
    if not files.is_regular(name, folder):
        return False
    with (
        open(files.open_regular(ORIGINAL, source), "rb") as original,
        open(files.open_regular(name, folder), "rb") as copy,
    ):
        return os.fstat(original.fileno()).st_size == os.fstat(copy.fileno()).st_size and (
            hashlib.file_digest(original, "sha256").digest()
            == hashlib.file_digest(copy, "sha256").digest()
        )
