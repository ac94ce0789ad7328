"""Home from work/: originals into done/ or failed/, never over anything else.

What is said beside them in failed/ and done/, and under which names they may come to lie; `moving`
moves them. Each step can be done again after a fault or a power cut.
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from itertools import chain
from pathlib import Path

from depthd.contract.formats import MANIFEST_SUFFIX
from depthd.contract.names import SetName, set_names
from depthd.publish.places import Place, Places, forms, under_accepted_name
from depthd.publish.reading import read_ours
from depthd.spool.jobs import ORIGINAL, Job, Verdict, has_original, write_record
from depthd.spool.moving import Mover, Way
from depthd.spool.notes import Note, reason, skipped
from depthd.system import files

# A folder that a photo's name asks for cannot exist: that is no fault of the disk.
NO_PLACE = frozenset({errno.ENOTDIR, errno.ELOOP})


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
        self._mover = Mover(work)

    def finish(self, job: Job, target: SetName) -> str:
        """Move the original of a published job to done/. Returns its name there."""
        with self._failing, suppress(PermissionError):  # who owns that folder may keep the reason
            self._places.forget_failure(SetName.of(job.name))
        return self._move(job, self._done, target)

    def fail(self, job: Job, verdict: Verdict) -> str:
        """Move the original to failed/, NAME.error.json before it. Returns its name there.

        Done again after a fault, it goes on where it was.
        """
        if job.verdict != verdict:
            job = replace(job, verdict=verdict, home=self._mover.meant(job) or job.home)
            with files.directory(self._work / job.id) as folder:
                write_record(job, folder)
        return self._with_note(job, reason(job, verdict))

    def skip(self, job: Job) -> str:
        """Move the original to done/, NAME.skipped.json before it. Returns its name there.

        Done again after a fault, it goes on where it was.
        """
        return self._with_note(job, skipped(job))

    def _with_note(self, job: Job, note: Note) -> str:
        with self._failing:
            begun = self._begun(job, note)
            if not has_original(self._work / job.id):
                self._mover.tidy(job, self._place(note))
                return begun.path if begun else job.name
            for name in chain([begun] if begun else [], set_names(job.name, job.stamp)):
                if name != begun and self._places.is_taken(name):
                    continue
                with suppress(FileExistsError):
                    return under_accepted_name(
                        name, lambda form: self._note_and_move(job, form, note, begun)
                    )
        raise FileExistsError(errno.EEXIST, "every name is taken", job.name)

    def _place(self, note: Note) -> Place:
        return self._done if note.home == "done" else self._failed

    def _begun(self, job: Job, note: Note) -> SetName | None:
        """Where an earlier try has put the note, perhaps the original as well."""
        place = self._place(note)
        for name in set_names(job.name, job.stamp):
            for form in forms(name):
                for home in dict.fromkeys((form, SetName((), form.base))):
                    with place.folder(home, ours_only=True) as folder:
                        if folder is None:
                            continue
                        found = read_ours(note.beside(home), folder, place.owner())
                        if found is not None and found.get("job") == job.id:
                            os.fsync(folder)
                            return home
        return None

    def _note_and_move(self, job: Job, wanted: SetName, note: Note, begun: SetName | None) -> str:
        """Move the original under exactly one name; where that is taken nothing is changed."""
        place = self._place(note)
        with (
            files.directory(self._work / job.id) as source,
            self._folder(place, wanted) as (folder, name),
        ):
            if name != begun:
                if self._places.is_taken_beside_note(place, name, note.suffix, note.kind):
                    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), name.base)
                self._write_note(job, name, note, folder)
            else:  # cut short, perhaps between the two names of the note
                with place.private.open() as private:
                    files.unlink_if_exists(job.id + note.suffix, private)
            try:
                self._mover.take(Way(job, place, [name], source, folder))
            except FileExistsError:
                files.unlink_if_exists(note.beside(name), folder)
                raise
            os.fsync(folder)
            return name.path

    def _write_note(self, job: Job, name: SetName, note: Note, folder: int) -> None:
        """Put the note where it belongs, in place of that of an earlier photo of this name."""
        hidden = job.id + note.suffix
        group = os.fstat(folder).st_gid
        with self._place(note).private.open() as private:
            files.write_durably(hidden, [note.content], private, mode=self._mode, group=group)
            files.unlink_if_exists(note.beside(name), folder)
            files.rename_noreplace(hidden, note.beside(name), private, folder)

    def _move(self, job: Job, place: Place, target: SetName) -> str:
        return under_accepted_name(target, lambda form: self._move_as(job, place, form))

    def _move_as(self, job: Job, place: Place, target: SetName) -> str:
        with (
            files.directory(self._work / job.id) as source,
            self._folder(place, target) as (folder, name),
        ):
            if files.exists(ORIGINAL, source):  # else an earlier try has moved it
                names = list(set_names(name.path, job.stamp))
                if name != target:  # there it must not pass for the photo of another set
                    names = [each for each in names if not self._is_of_another(each)]
                way = Way(job, place, names, source, folder)
                name = self._mover.take(way)  # noqa: PLW2901
            else:
                self._mover.tidy(job, place)
            os.fsync(folder)
            return name.path

    def _is_of_another(self, name: SetName) -> bool:
        return any(self._places.outbox.holds(form, MANIFEST_SUFFIX) for form in forms(name))

    @contextmanager
    def _folder(self, place: Place, name: SetName) -> Iterator[tuple[int, SetName]]:
        """Handle of a photo's folder in done/ or failed/, and its name there.

        Where something else has the folder's name, photos come to lie in the top folder. So they
        do where somebody else owns it, who could remove what is in it, or close it.
        """
        with ExitStack() as stack:
            try:
                handle = stack.enter_context(place.make_folder(name, ours_only=True))
            except OSError as error:
                if not name.folders or error.errno not in NO_PLACE:
                    raise
                name = SetName((), name.base)
                handle = stack.enter_context(files.directory(place.root))
            yield handle, name


def rename_to_first_free(source: str, name: SetName, job: Job, source_dir: int, target: int) -> str:
    """Rename to a name, or where that is taken to the next one that the set may have."""
    for other in set_names(name.path, job.stamp):
        try:
            files.rename_noreplace(source, other.base, source_dir, target)
        except FileExistsError:
            continue
        return other.base
    raise FileExistsError(errno.EEXIST, "every name is taken", name.base)
