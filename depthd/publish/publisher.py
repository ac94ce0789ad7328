"""Results into the outbox: whole, synced, never over anything else, the manifest last.

Every file, the manifest too, first lies in the outbox's private folder as JOB.SUFFIX; all are
synced. Then each gets its final name by a hard link, and the hidden names go once the folder is
synced. So a run that was cut short is undone exactly: a final name without a manifest whose inode
(or hash) is that of a hidden file is ours. It knows folders and bytes, and nothing of what the
bytes mean; who fills the files is somebody else.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial

from depthd.contract.formats import FORMATS, MANIFEST_SUFFIX, Format
from depthd.contract.manifest import FileFacts
from depthd.contract.names import SetName, readable, set_names
from depthd.publish.places import Places, forms, under_accepted_name
from depthd.publish.reading import listed_hashes, read_ours
from depthd.system import files

_LARGE = 8 << 20  # bytes of a result that is not kept in the system's memory
_LONGEST_COMPLAINT = 200  # characters
_SUFFIXES = (*(meaning.suffix for meaning in FORMATS.values()), MANIFEST_SUFFIX)

# From the name that a set gets to its manifest.
MakeManifest = Callable[[SetName], bytes]


class NamesTaken(Exception):
    """Every name that this photo's set could have is in use."""


class NotAsSaid(Exception):
    """The files do not hold what was said of them; they must be made anew."""


@dataclass(frozen=True)
class Claimed:
    """What publishing needs to know of a job: its id, the photo's name, the time of the claim."""

    id: str
    name: str
    stamp: str


@dataclass(frozen=True)
class Outlets:
    """A job's open result files under their hidden names, to be filled by whoever makes them.

    Attributes:
        job: the job's id.
        files: descriptors for writing, one a format.
        staging: the private folder that they lie in.
    """

    job: str
    files: Mapping[Format, int]
    staging: int

    def close(self) -> None:
        for handle in (*self.files.values(), self.staging):
            files.let_go(handle)


class Publisher:
    """The door of the outbox.

    Args:
        places: the outbox, and the folders in which a set's name must be free as well.
        mode: rights of the results.
        instance: name of the spool, part of its jobs' ids; a sweep touches only these.
    """

    def __init__(self, places: Places, mode: int, instance: str) -> None:
        self._places = places
        self._outbox = places.outbox
        self._mode = mode
        self._instance = instance
        self._former: list[str] | None = None  # private folders that earlier runs have made

    def open(self, job_id: str, formats: Sequence[Format]) -> Outlets:
        """Make the empty files of a job's results.

        Raises:
            OSError: the outbox cannot be written now.
        """
        staging = self._outbox.private.handle()
        opened: dict[Format, int] = {}
        try:
            for kind in formats:
                opened[kind] = files.make(job_id + FORMATS[kind].suffix, staging)
        except OSError:
            Outlets(job_id, opened, staging).close()
            raise
        return Outlets(job_id, opened, staging)

    def publish(
        self,
        job: Claimed,
        outlets: Outlets,
        facts: Sequence[FileFacts],
        make_manifest: MakeManifest,
    ) -> SetName:
        """Publish a whole set. Returns the name that it got.

        Args:
            job: whose results.
            outlets: the open files, filled.
            facts: what they should hold, in the order in which they get their names.
            make_manifest: called with the set's name as the outbox takes it.

        Raises:
            NotAsSaid: a file has another length.
            NamesTaken: no name is left.
            OSError: the outbox, or this photo's folder in it, cannot be written; see
                `publish_again`.
        """
        for each in facts:
            size = os.fstat(outlets.files[each.format]).st_size
            if size != each.bytes:
                words = f"its {each.format} has {size} bytes, and {each.bytes} were announced"
                raise NotAsSaid(words[:_LONGEST_COMPLAINT])
        for name in set_names(job.name, job.stamp):
            if self._places.is_taken(name):
                continue
            link = partial(self._link_set, outlets, facts, make_manifest)
            if under_accepted_name(name, link):
                return name
        raise NamesTaken(job.name)

    def publish_again(
        self,
        job: Claimed,
        outlets: Outlets,
        facts: Sequence[FileFacts],
        make_manifest: MakeManifest,
    ) -> SetName:
        """Publish after a try that ended in an OSError, wherever it did.

        Raises:
            FileNotFoundError: the files are not there any more; they must be made anew.
            NotAsSaid, NamesTaken, OSError: see `publish`.
        """
        name = self.find(job)
        if name is None:
            self._roll_back(job, outlets.staging)
            return self.publish(job, outlets, facts, make_manifest)
        self._remove_hidden(job.id, outlets.staging)
        return name

    def _link_set(
        self,
        outlets: Outlets,
        facts: Sequence[FileFacts],
        make_manifest: MakeManifest,
        name: SetName,
    ) -> bool:
        """Give a whole set its final names; False, and nothing of it, where one is taken."""
        manifest = make_manifest(name)
        with self._outbox.make_folder(name) as folder:
            group = os.fstat(folder).st_gid
            hidden = outlets.job + MANIFEST_SUFFIX
            files.write_durably(hidden, [manifest], outlets.staging, mode=self._mode, group=group)
            for each in facts:
                handle = outlets.files[each.format]
                files.set_rights(handle, self._mode, group)
                os.fsync(handle)
                if each.bytes >= _LARGE:
                    files.leave_cache(handle)
            suffixes = [*(FORMATS[each.format].suffix for each in facts), MANIFEST_SUFFIX]
            if not self._link_all(suffixes, name, outlets, folder):
                return False
            os.fsync(folder)
            for kind in outlets.files:  # one may be asked for and not made: metres
                files.unlink_if_exists(outlets.job + FORMATS[kind].suffix, outlets.staging)
            files.unlink_if_exists(outlets.job + MANIFEST_SUFFIX, outlets.staging)
        return True

    @staticmethod
    def _link_all(suffixes: Sequence[str], name: SetName, outlets: Outlets, folder: int) -> bool:
        linked = []
        try:
            for suffix in suffixes:
                files.link_noreplace(
                    outlets.job + suffix, name.base + suffix, outlets.staging, folder
                )
                linked.append(suffix)
        except OSError as error:
            for suffix in linked:  # back to the hidden names, whichever way they came
                if files.exists(outlets.job + suffix, outlets.staging):
                    os.unlink(name.base + suffix, dir_fd=folder)
                else:
                    files.rename_noreplace(
                        name.base + suffix, outlets.job + suffix, folder, outlets.staging
                    )
            if isinstance(error, FileExistsError):
                return False
            raise
        return True

    def discard(self, job_id: str) -> None:
        """Remove the hidden files of an attempt that came to nothing."""
        with self._outbox.private.open() as staging:
            self._remove_hidden(job_id, staging)

    # recovery --------------------------------------------------------------------------------

    def settle(self, job: Claimed) -> SetName | None:
        """End an attempt whose outcome is not known, because the whole service was cut short.

        Returns:
            the name under which the whole set is out, safe from a power cut; or None, and
            nothing of it is left.

        Raises:
            OSError: the outbox cannot be used now; call it again later.
        """
        name = self.find(job)
        for staging in self._stagings():
            if name is None:
                self._roll_back(job, staging)
            self._remove_hidden(job.id, staging)
        return name

    def find(self, job: Claimed) -> SetName | None:
        """The name under which a job's manifest is out, if it is."""
        owner = self._outbox.owner()
        for name in set_names(job.name, job.stamp):
            for form in forms(name):
                with self._outbox.folder(form) as folder:
                    if folder is None:
                        continue
                    manifest = read_ours(form.manifest, folder, owner)
                    if manifest is not None and manifest.get("job") == job.id:
                        os.fsync(folder)
                        return name
        return None

    def _roll_back(self, job: Claimed, staging: int) -> None:
        """Undo the final names that an unpublished attempt has given.

        Nothing gets one before the hidden manifest is written, which says what they were to be.
        That one lies in our own folder, and still it only chooses among names and suffixes that
        we know ourselves.
        """
        owner = os.fstat(staging).st_uid
        manifest = read_ours(job.id + MANIFEST_SUFFIX, staging, owner)
        if manifest is None:
            return
        hashes = listed_hashes(manifest)
        for name in set_names(job.name, job.stamp):
            for form in forms(name):
                with self._outbox.folder(form) as folder:
                    if folder is None:
                        continue
                    for suffix in _SUFFIXES:
                        final = form.base + suffix
                        sha256 = hashes.get(readable(final))
                        _unlink_ours(job.id + suffix, final, sha256, staging, folder)
                    os.fsync(folder)

    def sweep(self) -> None:
        """Remove this spool's hidden leftovers; call it after every job was looked at."""
        for place in self._places.all:
            for name in place.private.all_of_ours():
                with suppress(FileNotFoundError), place.private.open_named(name) as staging:
                    for entry in os.listdir(staging):
                        if f"-{self._instance}." in entry or entry.startswith(files.PROBE):
                            files.unlink_if_exists(entry, staging)

    def _stagings(self) -> Iterator[int]:
        """Wherever hidden files of ours may be; the outbox, which may be large, is listed once."""
        if self._former is None:
            self._former = self._outbox.private.all_of_ours()
        for name in dict.fromkeys((*self._former, self._outbox.private.name)):
            with self._open_named(name) as staging:
                if staging is not None:
                    yield staging

    @contextmanager
    def _open_named(self, name: str) -> Iterator[int | None]:
        try:
            with self._outbox.private.open_named(name) as staging:
                yield staging
        except FileNotFoundError:
            yield None

    @staticmethod
    def _remove_hidden(job_id: str, staging: int) -> None:
        """The manifest goes last: it tells which files an unpublished set may have."""
        for suffix in _SUFFIXES:
            files.unlink_if_exists(job_id + suffix, staging)


def _unlink_ours(hidden: str, final: str, sha256: str | None, staging: int, folder: int) -> None:
    """Remove a final name that an unpublished attempt of ours has linked or renamed."""
    if not files.is_regular(final, folder):
        return
    if files.exists(hidden, staging):
        ours = files.same_file(hidden, final, staging, folder)
    else:  # no hard links here: the hidden name became the final one
        ours = sha256 is not None and _digest(final, folder) == sha256
    if ours:
        os.unlink(final, dir_fd=folder)


def _digest(name: str, folder: int) -> str:
    with open(files.open_regular(name, folder), "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
