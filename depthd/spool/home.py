"""Home from work/: originals into done/ or failed/, never over anything else.

One step where the file system renames without replacing. Where it cannot, or lies on another disk,
the record says first what name is meant: a run that was cut short then knows its own copy. Each
step can be done again after a fault or a power cut.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from depthd.contract.errors import FAULTS
from depthd.contract.formats import ERROR_SUFFIX
from depthd.contract.names import SetName, printable, set_names, timestamp
from depthd.publish.places import Place, Places, forms, under_accepted_name
from depthd.publish.reading import read_ours
from depthd.spool.jobs import ORIGINAL, Job, Verdict, original_path, read_job, write_record
from depthd.system import files

# A folder that a photo's name asks for cannot exist: that is no fault of the disk.
NO_PLACE = frozenset({errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG})


class Home:
    """The doors of done/ and failed/.

    Args:
        work: the folder work/.
        places: done, failed, and the outbox, in which a name must be free as well.
        mode: rights of the reasons.
    """

    def __init__(self, work: Path, places: Places, mode: int) -> None:
        self._work = work
        if places.done is None or places.failed is None:
            raise ValueError("there is no way home without done and failed")
        self._places = places
        self._done, self._failed = places.done, places.failed
        self._mode = mode
        self._failing = threading.Lock()  # a reason lies there for a moment without its photo

    def finish(self, job: Job, target: SetName) -> str:
        """Move the original of a published job to done/. Returns its name there."""
        place = self._move(job, self._done, target)
        with self._failing:
            self._places.forget_failure(SetName.of(job.name))
        return place

    def fail(self, job: Job, verdict: Verdict) -> str:
        """Move the original to failed/, NAME.error.json before it. Returns its name there.

        Done again after a fault, it goes on where it was.
        """
        if job.verdict != verdict:
            job = replace(job, verdict=verdict)
            with files.directory(self._work / job.id) as folder:
                write_record(job, folder)
        with self._failing:
            if (place := self._where_it_went(job)) is not None:
                return place
            for name in set_names(job.name, job.stamp):
                if not self._places.is_taken(name):
                    break
            else:
                raise FileExistsError(errno.EEXIST, "every name is taken", job.name)
            reason = _reason(job, verdict)
            name = under_accepted_name(name, lambda form: self._write_reason(job, form, reason))
            return self._move(job, self._failed, name)

    def _where_it_went(self, job: Job) -> str | None:
        """The place of an original that an earlier try has moved; None while it is in work/."""
        if os.path.lexists(original_path(self._work, job.id)):
            return None
        for name in set_names(job.name, job.stamp):
            for form in forms(name):
                with self._failed.folder(form) as folder:
                    if folder is None:
                        continue
                    note = read_ours(form.error_note, folder, self._failed.owner())
                    if note is not None and note.get("job") == job.id:
                        os.fsync(folder)
                        return form.path
        return job.name

    def _write_reason(self, job: Job, wanted: SetName, reason: bytes) -> SetName:
        hidden = job.id + ERROR_SUFFIX
        with (
            self._folder(self._failed, wanted) as (folder, name),
            self._failed.private.open() as private,
        ):
            group = os.fstat(folder).st_gid
            files.write_durably(hidden, [reason], private, mode=self._mode, group=group)
            files.unlink_if_exists(name.error_note, folder)  # of an earlier failure
            files.rename_noreplace(hidden, name.error_note, private, folder)
        return name

    def _move(self, job: Job, place: Place, target: SetName) -> str:
        return under_accepted_name(target, lambda form: self._move_as(job, place, form))

    def _move_as(self, job: Job, place: Place, target: SetName) -> str:
        with (
            files.directory(self._work / job.id) as source,
            self._folder(place, target) as (folder, name),
        ):
            if files.exists(ORIGINAL, source):  # else an earlier try has moved it
                name = self._take(job, place, name, source, folder)  # noqa: PLW2901
            os.fsync(folder)
            return name.path

    def _take(self, job: Job, place: Place, name: SetName, source: int, folder: int) -> SetName:
        try:
            return self._rename(job, place, name, source, folder)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
        return self._copy(job, place, name, source, folder)

    @contextmanager
    def _folder(self, place: Place, name: SetName) -> Iterator[tuple[int, SetName]]:
        """Handle of a photo's folder in done/ or failed/, and its name there.

        Where something else has the folder's name, photos come to lie in the top folder.
        """
        with ExitStack() as stack:
            try:
                handle = stack.enter_context(place.make_folder(name))
            except OSError as error:
                if not name.folders or error.errno not in NO_PLACE:
                    raise
                name = SetName((), name.base)
                handle = stack.enter_context(files.directory(place.root))
            yield handle, name

    def _rename(self, job: Job, place: Place, name: SetName, source: int, folder: int) -> SetName:
        for other in _names(job, name):
            try:
                files.rename_atomically(ORIGINAL, other.base, source, folder)
            except FileExistsError:
                continue
            except files.NotAtomic:
                return self._link(job, place, name, source, folder)
            return other
        raise FileExistsError(errno.EEXIST, "every name is taken", name.base)

    def _link(self, job: Job, place: Place, name: SetName, source: int, folder: int) -> SetName:
        """Two steps: no rename without replacing here (NFS)."""
        meant = self._meant(job)
        for other in _names(job, name):
            if meant == _home(place, other) and files.same_file(
                ORIGINAL, other.base, source, folder
            ):
                break  # cut short between the two
            if files.exists(other.base, folder):
                continue
            self._mean(job, place, other, source)
            try:
                files.rename_in_steps(ORIGINAL, other.base, source, folder)
            except FileExistsError:
                continue
            return other
        else:
            raise FileExistsError(errno.EEXIST, "every name is taken", name.base)
        os.fsync(folder)
        os.unlink(ORIGINAL, dir_fd=source)
        return other

    def _copy(self, job: Job, place: Place, name: SetName, source: int, folder: int) -> SetName:
        """Copy, sync, give the final name, sync, and only then remove the original."""
        meant = self._meant(job)
        hidden = f"{job.id}.{ORIGINAL}"
        with place.private.open() as private:
            for other in _names(job, name):
                if meant == _home(place, other) and _is_copy(other.base, source, folder):
                    break
                if files.exists(other.base, folder):
                    continue
                files.copy_durably(ORIGINAL, hidden, source, private)
                self._mean(job, place, other, source)
                try:
                    files.link_noreplace(hidden, other.base, private, folder)
                except FileExistsError:
                    continue
                break
            else:
                raise FileExistsError(errno.EEXIST, "every name is taken", name.base)
            os.fsync(folder)
            os.unlink(ORIGINAL, dir_fd=source)
            files.unlink_if_exists(hidden, private)
        return other

    def _meant(self, job: Job) -> str:
        """What an earlier try has written down; never what lies where others can write."""
        recorded = read_job(self._work / job.id)
        return recorded.home if recorded else ""

    def _mean(self, job: Job, place: Place, name: SetName, source: int) -> None:
        recorded = read_job(self._work / job.id) or job
        write_record(replace(recorded, home=_home(place, name)), source)


def rename_to_first_free(source: str, name: SetName, job: Job, source_dir: int, target: int) -> str:
    """Rename to a name, or where that is taken to the next one that the set may have."""
    for other in _names(job, name):
        try:
            files.rename_noreplace(source, other.base, source_dir, target)
        except FileExistsError:
            continue
        return other.base
    raise FileExistsError(errno.EEXIST, "every name is taken", name.base)


def _names(job: Job, name: SetName) -> Iterator[SetName]:
    return set_names(name.path, job.stamp)


def _home(place: Place, name: SetName) -> str:
    return f"{place.root}/{name.path}"


def _is_copy(name: str, source: int, folder: int) -> bool:
    """Whether a file holds what the original does."""
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


def _reason(job: Job, verdict: Verdict) -> bytes:
    fault = FAULTS[verdict.code]
    note = {
        "schema": "depthd.error/1",
        "job": job.id,
        "name": printable(job.name),
        "code": verdict.code,
        "message": fault.sentence,
        "detail": printable(verdict.detail),
        "hint": fault.hint,
        "attempts": job.attempts,
        "failed": timestamp(time.time()),
    }
    return json.dumps(note, indent=2).encode() + b"\n"
