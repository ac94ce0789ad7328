"""Photos in done/ and failed/, put back into the inbox.

For programs beside the daemon, which may run or not. Knows names, places and files; no
configuration.
"""

from __future__ import annotations

import errno
import os
import secrets
import time
from contextlib import suppress
from pathlib import Path

from depthd.contract.formats import ERROR_SUFFIX, SKIPPED_SUFFIX
from depthd.contract.names import SetName
from depthd.publish.places import Place, safe_forms
from depthd.publish.reading import about_plain, read_ours
from depthd.system import files
from depthd.system.private import PrivateFolder

_COPY = ".retry"  # how the hidden name of a photo ends that is on its way from another disk
_LEFT_BEHIND = 86_400  # seconds after which nobody copies any more


def put_back(home: Place, inbox: Path, name: SetName) -> SetName:
    """Move a photo from done/ or failed/ back to the inbox, under the name that it has there.

    The reason of a failed one stays; the daemon removes it when the photo succeeds. The results of
    one that is done stay as well; the new ones get another name.

    Args:
        home: done/ or failed/.
        inbox: the folder; sub-folders are made where they are missing.
        name: of the photo, or of what its name was before a disk refused it.

    Returns:
        its name there and now in the inbox.

    Raises:
        OSError: it is still where it was, and perhaps also in the inbox; the words say why.
    """
    for form in safe_forms(name):
        if form.base.endswith((ERROR_SUFFIX, SKIPPED_SUFFIX)):  # a note is no photo
            continue
        with home.folder(form) as source:
            if source is None or about_plain(form.base, source) is None:
                continue
            mode = files.mode_for_all(inbox)
            with files.beneath(inbox, form.folders, create_mode=mode) as target:
                _move(form.base, source, target, inbox)
                os.fsync(target)
                if read_ours(form.base + SKIPPED_SUFFIX, source, os.geteuid(), "skipped"):
                    files.unlink_if_exists(form.base + SKIPPED_SUFFIX, source)
                os.fsync(source)
            return form
    words = f"{home.root.name}/ has no photo of this name"
    raise FileNotFoundError(errno.ENOENT, words, name.path)


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
