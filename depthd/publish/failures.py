"""Photos in failed/: found, and put back into the inbox.

For programs beside the daemon, which may run or not; only reasons of the user who runs them are
believed. Knows names, places and files; no configuration.
"""

from __future__ import annotations

import errno
import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from depthd.contract.formats import ERROR_SUFFIX
from depthd.contract.names import MAX_DEPTH, SetName, timestamp
from depthd.publish.places import Place, safe_forms
from depthd.publish.reading import about_plain, read_ours
from depthd.system import files
from depthd.system.private import PrivateFolder

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_COPY = ".retry"  # how the hidden name of a photo ends that is on its way from another disk
_LEFT_BEHIND = 86_400  # seconds after which nobody copies any more


@dataclass(frozen=True)
class Failed:
    """A photo in failed/: its name there, the fault code, and a sentence."""

    name: SetName
    code: str
    reason: str


def failed_photos(
    failed: Place, skips: Callable[[str], bool] = lambda _: False
) -> Iterator[Failed | OSError]:
    """Every photo in failed/ that has a reason of ours beside it, in no order.

    Memory is bounded by the depth of folders, and time by what had failed when it began: a photo
    that is put back meanwhile and fails again is not told twice. Symlinks are not followed, hidden
    names are passed over. What cannot be looked at gives its error, with its name, in its place.

    Args:
        failed: the folder.
        skips: paths inside it, of files and folders, to be passed over as well.

    Raises:
        OSError: failed/ itself cannot be read.
    """
    began = timestamp(time.time())
    owner = failed.owner()
    with files.directory(failed.root) as top:
        for found in _plain_files(top, (), skips):
            if isinstance(found, OSError):
                yield found
                continue
            name, folder = found
            try:
                note = read_ours(name.error_note, folder, owner, "error")
            except OSError as error:
                yield _named(error, name)
                continue
            if note is None:
                continue
            if not began < str(note.get("failed")) <= timestamp(time.time()):  # a clock may jump
                yield Failed(name, str(note.get("code")), str(note.get("message")))


def _plain_files(
    folder: int, folders: tuple[str, ...], skips: Callable[[str], bool]
) -> Iterator[tuple[SetName, int] | OSError]:
    """Ordinary files in an open folder and all below, each with the handle of its folder."""
    with os.scandir(folder) as entries:
        for entry in entries:
            name = SetName(folders, entry.name)
            if entry.name.startswith(".") or skips(name.path):
                continue
            try:
                if entry.is_file(follow_symlinks=False):
                    yield name, folder
                elif entry.is_dir(follow_symlinks=False) and len(folders) < MAX_DEPTH:
                    inner = os.open(entry.name, _FOLDER, dir_fd=folder)
                    try:
                        yield from _plain_files(inner, (*folders, entry.name), skips)
                    finally:
                        os.close(inner)
            except files.GONE:
                continue
            except OSError as error:
                yield _named(error, name)


def _named(error: OSError, name: SetName) -> OSError:
    error.filename = name.path
    return error


def put_back(failed: Place, inbox: Path, name: SetName) -> SetName:
    """Move a failed photo back to the inbox, under the name that it has in failed/.

    Its reason stays; the daemon removes it when the photo succeeds.

    Args:
        failed: the folder.
        inbox: the folder; sub-folders are made where they are missing.
        name: of the photo, or of what its name was before a disk refused it.

    Returns:
        its name in failed/ and now in the inbox.

    Raises:
        OSError: it is still in failed/, and perhaps also in the inbox; the words say why.
    """
    for form in safe_forms(name):
        if form.base.endswith(ERROR_SUFFIX):  # a reason is no photo
            continue
        with failed.folder(form) as source:
            if source is None or about_plain(form.base, source) is None:
                continue
            mode = files.folder_mode(inbox)
            with files.beneath(inbox, form.folders, create_mode=mode) as target:
                _move(form.base, source, target, inbox)
                os.fsync(target)
                os.fsync(source)
            return form
    raise FileNotFoundError(errno.ENOENT, "failed/ has no photo of this name", name.path)


def _move(base: str, source: int, target: int, inbox: Path) -> None:
    if files.same_file(base, base, source, target):  # an earlier move in two steps was cut short
        os.unlink(base, dir_fd=source)
        return
    if files.exists(base, target):
        raise FileExistsError(errno.EEXIST, "the inbox has a file of this name", base)
    if os.fstat(source).st_dev != os.fstat(target).st_dev:
        _copy(base, source, target, inbox)
        return
    try:
        files.rename_noreplace(base, base, source, target)
    except OSError as error:
        if error.errno != errno.EXDEV:  # another mount of the same disk
            raise
        _copy(base, source, target, inbox)


def _copy(base: str, source: int, target: int, inbox: Path) -> None:
    """From another disk: hidden until it is whole, and only then removed where it was."""
    hidden = secrets.token_hex(8) + _COPY
    before = about_plain(base, source)
    with PrivateFolder(inbox).open() as private:
        _clear(private)
        try:
            files.copy_durably(base, hidden, source, private)
            files.rename_noreplace(hidden, base, private, target)
        except OSError:
            files.unlink_if_exists(hidden, private)
            raise
    os.fsync(target)
    if _version(about_plain(base, source)) != _version(before):
        raise OSError(errno.EBUSY, "it was changed while it was copied to the inbox", base)
    os.unlink(base, dir_fd=source)


def _version(about: os.stat_result | None) -> tuple[int, int, int] | None:
    return (about.st_ino, about.st_size, about.st_mtime_ns) if about else None


def _clear(private: int) -> None:
    """Remove what a copy that was killed has left behind."""
    for name in os.listdir(private):
        with suppress(FileNotFoundError):
            changed = os.stat(name, dir_fd=private, follow_symlinks=False).st_ctime
            if name.endswith(_COPY) and time.time() - changed > _LEFT_BEHIND:
                os.unlink(name, dir_fd=private)
