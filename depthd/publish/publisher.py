"""Results into the outbox: whole, synced, never over anything else, the manifest last.

Every file, the manifest too, is first written to OUTBOX/.depthd/JOB.SUFFIX; all are synced. Then
each gets its final name by a hard link, and the hidden names go once the folder is synced. So a
run that was cut short is undone exactly: a final name without a manifest whose inode (or hash) is
that of a hidden file is ours. It knows folders and bytes, and nothing of what the bytes mean.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from depthd.contract.names import candidates, readable, split
from depthd.system import files

STAGING = ".depthd"
_MANIFEST = ".json"
_LARGE = 8 << 20  # bytes of a result that is not kept in the system's memory
_NO_FILE = frozenset({errno.ELOOP, errno.EINVAL, errno.ENXIO})  # a symlink, folder, FIFO, socket


class Result(Protocol):
    """What a renderer hands over: a format's name, a suffix, and the bytes in pieces."""

    @property
    def format(self) -> str: ...
    @property
    def suffix(self) -> str: ...
    @property
    def parts(self) -> Sequence[bytes | memoryview]: ...


@dataclass(frozen=True, slots=True)
class PublishedFile:
    """One result as the manifest lists it."""

    format: str
    name: str
    suffix: str
    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True)
class _Staged:
    """A result under its hidden name, and the open handle to sync it by."""

    file: PublishedFile
    handle: int


MakeManifest = Callable[[Sequence[PublishedFile]], bytes]


class NamesTaken(Exception):
    """Every name that this photo's set could have is in use."""


class Publisher:
    """The door of the outbox.

    Args:
        outbox: where results go.
        others: folders (done, failed) in which the set's name must be free as well.
        mode: rights of the results.
        instance: name of the spool, part of its jobs' ids; a sweep touches only these.
    """

    def __init__(self, outbox: Path, others: Sequence[Path], mode: int, instance: str) -> None:
        self._outbox = outbox
        self._others = others
        self._mode = mode
        self._instance = instance

    def publish(
        self,
        job_id: str,
        name: str,
        stamp: str,
        results: Sequence[Result],
        make_manifest: MakeManifest,
    ) -> str:
        """Publish a whole set. Returns the name that it got inside the outbox.

        Raises:
            NamesTaken: no name is left.
            OSError: the outbox cannot be written; `settle` must say how far it came.
        """
        folders, _ = split(name)
        mode = files.folder_mode(self._outbox)
        with (
            files.beneath(self._outbox, folders, create_mode=mode) as folder,
            self._staging() as staging,
            ExitStack() as handles,
        ):
            try:
                group = os.fstat(folder).st_gid
                staged = [
                    self._stage(job_id, result, staging, group, handles) for result in results
                ]
                target = self._link(job_id, name, stamp, staged, make_manifest, staging, folder)
            except (OSError, NamesTaken):
                with suppress(OSError):  # else `settle` does it
                    self.roll_back(job_id, name, stamp)
                raise
            os.fsync(folder)
            _remove_hidden(job_id, staging)
            return target

    def _stage(
        self, job_id: str, result: Result, staging: int, group: int, handles: ExitStack
    ) -> _Staged:
        """Write a result under its hidden name; the disk works while it is hashed."""
        parts = [memoryview(part).cast("B") for part in result.parts]
        name = job_id + result.suffix
        handle = files.write_new(name, parts, staging, mode=self._mode, group=group)
        handles.callback(os.close, handle)
        digest = hashlib.sha256()
        for part in parts:
            digest.update(part)
        size = sum(map(len, parts))
        file = PublishedFile(result.format, "", result.suffix, digest.hexdigest(), size)
        return _Staged(file, handle)

    def _link(
        self,
        job_id: str,
        name: str,
        stamp: str,
        staged: Sequence[_Staged],
        make_manifest: MakeManifest,
        staging: int,
        folder: int,
    ) -> str:
        """Link a staged set under the first name that is free; returns that name."""
        folders, _ = split(name)
        for target in candidates(name, stamp):
            base = split(target)[1]
            if not self._taken(folders, base) and self._link_set(
                job_id, base, staged, make_manifest, staging, folder
            ):
                return target
        raise NamesTaken(name)

    def _link_set(
        self,
        job_id: str,
        base: str,
        staged: Sequence[_Staged],
        make_manifest: MakeManifest,
        staging: int,
        folder: int,
    ) -> bool:
        """Give a whole set its final names; False, and nothing of it, where one is taken."""
        listed = [replace(each.file, name=base + each.file.suffix) for each in staged]
        group = os.fstat(folder).st_gid
        manifest = make_manifest(listed)
        files.write_durably(job_id + _MANIFEST, [manifest], staging, mode=self._mode, group=group)
        for each in staged:
            os.fsync(each.handle)
            if each.file.bytes >= _LARGE:
                files.leave_cache(each.handle)
        linked = []
        try:
            for suffix in (*(file.suffix for file in listed), _MANIFEST):
                files.link_noreplace(job_id + suffix, base + suffix, staging, folder)
                linked.append(suffix)
        except OSError as error:
            for suffix in linked:  # back to the hidden names, whichever way they came
                if files.exists(job_id + suffix, staging):
                    os.unlink(base + suffix, dir_fd=folder)
                else:
                    files.rename_noreplace(base + suffix, job_id + suffix, folder, staging)
            if isinstance(error, FileExistsError):
                return False
            raise
        return True

    def _taken(self, folders: tuple[str, ...], base: str) -> bool:
        for root, name in (
            (self._outbox, base + _MANIFEST),
            *((other, taken) for other in self._others for taken in (base, f"{base}.error.json")),
        ):
            try:
                with files.beneath(root, folders) as folder:
                    if files.exists(name, folder):
                        return True
            except (FileNotFoundError, NotADirectoryError):
                continue
        return False

    @contextmanager
    def _staging(self) -> Iterator[int]:
        with files.beneath(self._outbox, [STAGING], create_mode=0o700) as handle:
            yield handle

    # recovery --------------------------------------------------------------------------------

    def settle(self, job_id: str, name: str, stamp: str) -> str | None:
        """End an attempt whose outcome is not known, whatever cut it short.

        Returns:
            the name under which the whole set is out, safe from a power cut; or None, and
            nothing of it is left.

        Raises:
            OSError: the outbox cannot be used now; call it again later.
        """
        target = self.find(job_id, name, stamp)
        if target is None:
            self.roll_back(job_id, name, stamp)
            return None
        with files.beneath(self._outbox, split(name)[0]) as folder, self._staging() as staging:
            os.fsync(folder)
            _remove_hidden(job_id, staging)
        return target

    def find(self, job_id: str, name: str, stamp: str) -> str | None:
        """The name under which a job's manifest is out, if it is."""
        folders, _ = split(name)
        try:
            with files.beneath(self._outbox, folders) as folder:
                for target in candidates(name, stamp):
                    manifest = _read_manifest(split(target)[1] + _MANIFEST, folder)
                    if manifest is not None and manifest.get("job") == job_id:
                        return target
        except (FileNotFoundError, NotADirectoryError):
            return None
        return None

    def roll_back(self, job_id: str, name: str, stamp: str) -> None:
        """Undo whatever an interrupted attempt of an unpublished job has left."""
        folders, _ = split(name)
        bases = [split(target)[1] for target in candidates(name, stamp)]
        with self._staging() as staging:
            manifest = _read_manifest(job_id + _MANIFEST, staging)
            if manifest is not None:  # nothing gets its final name before this one is written
                with files.beneath(self._outbox, folders) as folder:
                    for file in manifest["files"]:
                        suffix = file["suffix"]
                        for final in (base + suffix for base in bases):
                            if readable(final) == file["name"]:
                                _unlink_ours(job_id + suffix, final, file, staging, folder)
                    os.fsync(folder)
            _remove_hidden(job_id, staging)

    def sweep(self) -> None:
        """Remove this spool's hidden leftovers; call it after every job was looked at."""
        with self._staging() as staging:
            for entry in os.listdir(staging):
                if f"-{self._instance}." in entry:
                    files.unlink_if_exists(entry, staging)

    def probe(self) -> None:
        """Write, sync and remove a small file. Raises OSError while the outbox is not usable."""
        name = f"probe-{self._instance}."
        with self._staging() as staging:
            files.write_durably(
                name, [b"depthd"], staging, mode=0o600, group=os.fstat(staging).st_gid
            )
            files.unlink_if_exists(name, staging)


def _remove_hidden(job_id: str, staging: int) -> None:
    """The manifest goes last: it tells which final names an unpublished set may have."""
    names = [name for name in os.listdir(staging) if name.startswith(f"{job_id}.")]
    for name in sorted(names, key=lambda name: name == job_id + _MANIFEST):
        files.unlink_if_exists(name, staging)


def _read_manifest(name: str, folder: int) -> dict[str, Any] | None:
    """What a manifest says; None where there is none of ours.

    Raises:
        OSError: there may be one, and it cannot be read now.
    """
    try:
        with open(files.open_regular(name, folder), "rb") as file:
            manifest = json.loads(file.read(1 << 20))
    except (FileNotFoundError, ValueError):
        return None
    except OSError as error:
        if error.errno in _NO_FILE:  # somebody else's
            return None
        raise
    return manifest if isinstance(manifest, dict) else None


def _unlink_ours(
    hidden: str, final: str, listed: dict[str, Any], staging: int, folder: int
) -> None:
    """Remove a final name that an unpublished attempt of ours has linked or renamed."""
    if not files.exists(final, folder):
        return
    if files.exists(hidden, staging):
        ours = files.same_file(hidden, final, staging, folder)
    else:  # no hard links here: the hidden name became the final one
        with open(files.open_regular(final, folder), "rb") as file:
            ours = hashlib.file_digest(file, "sha256").hexdigest() == listed["sha256"]
    if ours:
        os.unlink(final, dir_fd=folder)
