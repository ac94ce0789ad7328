"""Durable file primitives: no-replace renames, fsync, directory handles that follow no symlink.

Knows the operating system, nothing of photos. Rooms that call it decide what is renamed or
removed: `spool` and `publish` for users' files, nobody else.
"""

from __future__ import annotations

import ctypes
import errno
import os
import secrets
import shutil
import stat
import threading
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_RENAME_NOREPLACE = 1
_SYNC_FILE_RANGE_WRITE = 2
_NO_FLAG_SUPPORT = frozenset({errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP})
_NO_HARD_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})
# A group that is not ours, or (EINVAL) has no number here; a file system without rights.
_NO_RIGHTS = frozenset({errno.EPERM, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS})
_NO_TMPFILE = frozenset({errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOSYS})
REFUSED_NAME = frozenset({errno.EINVAL, errno.EILSEQ, errno.ENAMETOOLONG})
NOT_FOLLOWED = frozenset({errno.ELOOP, errno.ENOTDIR, errno.EMLINK})
# The photo, or a folder above it, is not there any more.
GONE = (FileNotFoundError, NotADirectoryError)
PROBE = ".depthd-probe-"  # how names begin that are gone a moment later
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC

# None with a C library that is older than the system call, or leaves it out.
_libc = ctypes.CDLL(None, use_errno=True)
_renameat2 = getattr(_libc, "renameat2", None)
_sync_file_range = getattr(_libc, "sync_file_range", None)  # begins to write, waits for nothing
if _sync_file_range is not None:
    _sync_file_range.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)


def fsync_directory(path: Path) -> None:
    """Make the names inside a folder durable."""
    with directory(path) as handle:
        os.fsync(handle)


@contextmanager
def directory(path: Path) -> Iterator[int]:
    """Handle of a configured folder; the path itself may be a symlink of the operator's."""
    handle = os.open(path, _DIRECTORY)
    try:
        yield handle
    finally:
        os.close(handle)


@contextmanager
def beneath(
    root: Path,
    parts: Iterable[str],
    *,
    create_mode: int | None = None,
    owners: Collection[int] | None = None,
) -> Iterator[int]:
    """Handle of a folder inside `root`, see `open_beneath`."""
    handle = open_beneath(root, parts, create_mode=create_mode, owners=owners)
    try:
        yield handle
    finally:
        os.close(handle)


def open_beneath(
    root: Path,
    parts: Iterable[str],
    *,
    create_mode: int | None = None,
    owners: Collection[int] | None = None,
) -> int:
    """Handle of a folder inside `root`, reached without following a symlink; to be closed.

    Args:
        root: a configured folder; it must exist.
        parts: names of nested folders; `..` and empty names are refused.
        create_mode: create missing folders with these rights and their parent's group.
        owners: user ids whose folders will do; None where anybody's will.

    Raises:
        OSError: ELOOP or ENOTDIR where a part is a symlink, no folder, or of another owner.
    """
    handle = os.open(root, _DIRECTORY)
    try:
        for part in parts:
            if owners is not None:
                _check_owner(handle, part, owners)
            inner = _enter(handle, part, create_mode)
            os.close(handle)
            handle = inner
            if owners is not None and os.fstat(handle).st_uid not in owners:  # exchanged meanwhile
                raise _of_another(part)  # noqa: TRY301
    except BaseException:
        os.close(handle)
        raise
    return handle


def _check_owner(parent: int, name: str, owners: Collection[int]) -> None:
    """Before it is opened, because it may be closed to us."""
    about = _look(name, parent)
    if about is not None and about.st_uid not in owners:
        raise _of_another(name)


def _of_another(name: str) -> OSError:
    return OSError(errno.ENOTDIR, "the folder is somebody else's", name)


def _enter(parent: int, name: str, create_mode: int | None) -> int:
    if name in ("", ".", "..") or "/" in name:
        raise OSError(errno.EINVAL, "not a folder's name", name)
    flags = _DIRECTORY | os.O_NOFOLLOW
    try:
        return os.open(name, flags, dir_fd=parent)
    except FileNotFoundError:
        if create_mode is None:
            raise
    try:
        with _refusal_told(name, parent):
            os.mkdir(name, create_mode, dir_fd=parent)
    except FileExistsError:  # somebody else made it between the two looks
        return os.open(name, flags, dir_fd=parent)
    handle = os.open(name, flags, dir_fd=parent)
    set_rights(handle, create_mode, os.fstat(parent).st_gid)
    os.fsync(parent)
    return handle


@contextmanager
def _refusal_told(name: str, folder: int) -> Iterator[None]:
    """FUSE's exFAT says "not found" when it is to make a name that it refuses."""
    try:
        yield
    except FileNotFoundError as error:
        if os.fstat(folder).st_nlink == 0:  # the folder is gone indeed
            raise
        raise OSError(errno.EINVAL, "the file system refuses this name", name) from error


def set_rights(handle: int, mode: int, group: int) -> None:
    """Give an open file or folder a group and then its rights; a group we are not in is kept.

    Where a file system has no rights (FAT and its like), the file keeps those that all have there.
    """
    about = os.fstat(handle)
    if about.st_gid != group and not _is_done(lambda: os.fchown(handle, -1, group)):
        mode &= ~0o070  # the wrong group gets no rights
    if about.st_mode & 0o1777 != mode:  # else left alone: chmod would drop an inherited setgid bit
        _is_done(lambda: os.fchmod(handle, mode))


def _is_done(change: Callable[[], None]) -> bool:
    """Change rights; False where they cannot be changed for a file of our own."""
    try:
        change()
    except OSError as error:
        if error.errno not in _NO_RIGHTS:
            raise
        return False
    return True


def folder_mode(root: Path) -> int:
    """Rights of folders that are made inside a configured one: its own, the sticky bit included."""
    return root.stat().st_mode & 0o1777


def mode_for_all(root: Path) -> int:
    """The same for folders that somebody else than the root's owner makes.

    In a sticky one of theirs the root's owner could not move what lies in it.
    """
    about = root.stat()
    return about.st_mode & (0o1777 if about.st_uid == os.geteuid() else 0o777)


def exists(name: str, dir_fd: int) -> bool:
    """Whether a name is taken, by whatever kind of entry; False for one that cannot be."""
    return _look(name, dir_fd) is not None


def is_regular(name: str, dir_fd: int) -> bool:
    """Whether a name is that of an ordinary file."""
    about = _look(name, dir_fd)
    return about is not None and stat.S_ISREG(about.st_mode)


def same_file(one: str, other: str, one_dir: int, other_dir: int) -> bool:
    """Whether two names lead to one file; False where one of them is missing."""
    first, second = _look(one, one_dir), _look(other, other_dir)
    return first is not None and second is not None and os.path.samestat(first, second)


def _look(name: str, dir_fd: int) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=dir_fd, follow_symlinks=False)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno in REFUSED_NAME:
            return None
        raise


class NotAtomic(Exception):
    """The file system cannot rename without replacing in one step."""


def rename_atomically(source: str, target: str, source_dir: int, target_dir: int) -> None:
    """Rename without replacing anything, in one step or not at all.

    Raises:
        NotAtomic: the file system has no such step; nothing was changed.
        FileExistsError: the target's name is taken.
        OSError: EXDEV across file systems, and whatever else the system says.
    """
    if _renameat2 is None:
        raise NotAtomic
    status = _renameat2(
        source_dir, os.fsencode(source), target_dir, os.fsencode(target), _RENAME_NOREPLACE
    )
    if status != 0:
        code = ctypes.get_errno()
        if code in _NO_FLAG_SUPPORT and not _is_refused_name(target, target_dir):
            raise NotAtomic
        raise OSError(code, os.strerror(code), source, None, target)


def _is_refused_name(name: str, folder: int) -> bool:
    """EINVAL may mean the flag or the name: a look at the name tells."""
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except OSError as error:
        return error.errno in REFUSED_NAME
    return False


def rename_in_steps(source: str, target: str, source_dir: int, target_dir: int) -> None:
    """The same where it takes two steps; a cut between them leaves both names of one file.

    The caller must have written down what it is about to do.

    Raises:
        FileExistsError: the target's name is taken.
    """
    try:
        os.link(source, target, src_dir_fd=source_dir, dst_dir_fd=target_dir, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS:
            raise
        _rename_over_reservation(source, target, source_dir, target_dir)
        return
    os.unlink(source, dir_fd=source_dir)


def rename_noreplace(source: str, target: str, source_dir: int, target_dir: int) -> None:
    """Rename a file of our own without replacing anything, in the strongest way there is.

    Raises:
        FileExistsError: the target's name is taken.
        OSError: EXDEV across file systems, and whatever else the system says.
    """
    try:
        rename_atomically(source, target, source_dir, target_dir)
    except NotAtomic:
        rename_in_steps(source, target, source_dir, target_dir)


def _rename_over_reservation(source: str, target: str, source_dir: int, target_dir: int) -> None:
    """Neither flag nor links (exFAT, some SMB): own the name exclusively, then replace it."""
    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC
    with _refusal_told(target, target_dir):
        os.close(os.open(target, flags, 0o600, dir_fd=target_dir))
    try:
        os.rename(source, target, src_dir_fd=source_dir, dst_dir_fd=target_dir)
    except OSError:
        os.unlink(target, dir_fd=target_dir)
        raise


def can_rename(source: Path, target: Path) -> bool:
    """Whether files can be renamed from one folder to the other: same file system, same mount."""
    if source.stat().st_dev != target.stat().st_dev:
        return False
    # Two mounts of one file system look alike; the kernel tells them apart before it looks for
    # the file.
    nothing = f".depthd-{os.getpid()}-is-not-there"
    try:
        os.rename(source / nothing, target / nothing)
    except OSError as error:
        return error.errno != errno.EXDEV
    return True


def link_noreplace(source: str, target: str, source_dir: int, target_dir: int) -> None:
    """Give a file a second name, or where there are no hard links its only one.

    Raises:
        FileExistsError: the target's name is taken.
    """
    try:
        os.link(source, target, src_dir_fd=source_dir, dst_dir_fd=target_dir, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS:
            raise
        rename_noreplace(source, target, source_dir, target_dir)


def let_go(handle: int) -> None:
    """Close a file of which nothing more is wanted, or whose data are on the disk already.

    Network file systems write when a file is closed, and then report a disk that is full.
    """
    with suppress(OSError):
        os.close(handle)


def unlink_if_exists(name: str, dir_fd: int) -> None:
    """Remove a file that may be gone already."""
    try:
        os.unlink(name, dir_fd=dir_fd)
    except FileNotFoundError:
        return


def make(name: str, dir_fd: int) -> int:
    """Handle of a new empty file for writing; a leftover of that name is removed."""
    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(name, flags, 0o600, dir_fd=dir_fd)
    except FileExistsError:
        os.unlink(name, dir_fd=dir_fd)
    return os.open(name, flags, 0o600, dir_fd=dir_fd)


def write_durably(
    name: str, parts: Iterable[bytes | memoryview], dir_fd: int, *, mode: int, group: int
) -> None:
    """Write a new file and force its data to the disk; a leftover of that name is replaced.

    Where that fails (a full disk, say) nothing of it stays behind.
    """
    handle = write_new(name, parts, dir_fd, mode=mode, group=group)
    try:
        os.fsync(handle)
    except OSError:
        unlink_if_exists(name, dir_fd)
        raise
    finally:
        os.close(handle)


def write_new(
    name: str, parts: Iterable[bytes | memoryview], dir_fd: int, *, mode: int, group: int
) -> int:
    """Write a new file like `write_durably`, but leave the waiting for the disk to the caller.

    The disk is set to work at once. Files that are written first and synced together afterwards
    cost one commit of the file system's journal instead of one each.

    Returns:
        a handle to sync and to close.
    """
    handle = make(name, dir_fd)
    try:
        for part in parts:
            write_all(handle, part)
        set_rights(handle, mode, group)
    except OSError:
        os.close(handle)
        unlink_if_exists(name, dir_fd)
        raise
    begin_to_sync(handle)
    return handle


def begin_to_sync(handle: int) -> None:
    """Set the disk to work on a file that will be synced soon; waits for nothing."""
    if _sync_file_range is not None:
        _sync_file_range(handle, 0, 0, _SYNC_FILE_RANGE_WRITE)


def leave_cache(handle: int) -> None:
    """Free the memory in which the system keeps a file's data, once they are on the disk.

    A stream of large files that nobody reads soon otherwise fills all memory. On a virtual
    machine, where new memory is dear, it also takes a quarter of a 12-megapixel photo's time.
    """
    with suppress(OSError):  # advice, which a file system need not take
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)


def probe(folder: int, size: int) -> None:
    """Write, sync and remove a file in an open folder that is ours alone.

    Each thread has one name for it: nothing is left for long where removing it failed once, and
    two that probe at a time do not meet.

    Args:
        folder: its handle.
        size: bytes that there must be room for; the first mebibyte of them is really written.

    Raises:
        OSError: the folder, or its disk, cannot take it now.
    """
    _probe(folder, size, f"{PROBE}{threading.get_native_id()}")


def _probe(folder: int, size: int, name: str) -> None:
    disk = os.fstatvfs(folder)
    if disk.f_bavail * disk.f_frsize < size:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    data = bytes(max(1, min(size, 1 << 20)))
    write_durably(name, [data], folder, mode=0o600, group=os.fstat(folder).st_gid)
    unlink_if_exists(name, folder)


def probe_shared(folder: int) -> None:
    """Write and sync a file in a folder that is not ours alone; it has no name that could stay.

    Where there are no files without names, it has one that nobody can guess.

    Raises:
        OSError: the folder, or its disk, cannot take it now.
    """
    try:
        handle = os.open(".", os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o600, dir_fd=folder)
    except OSError as error:
        if error.errno not in _NO_TMPFILE:
            raise
        _probe(folder, 1, f"{PROBE}{secrets.token_hex(8)}")
        return
    try:
        write_all(handle, b"\0")
        os.fsync(handle)
    finally:
        os.close(handle)


def write_all(handle: int, data: bytes | memoryview) -> None:
    """Write every byte; the system may take them in pieces."""
    rest = memoryview(data).cast("B")
    while rest:
        rest = rest[os.write(handle, rest) :]


def replace_durably(
    name: str, data: bytes, folder: int, *, temporary: str, mode: int, group: int
) -> None:
    """Write a file in the place of whatever has its name; on the disk when this returns.

    Args:
        name: in the folder.
        data: its content.
        folder: open handle.
        temporary: the name that it has on the way, which nobody else uses.
        mode: its rights.
        group: its group.
    """
    write_durably(temporary, [data], folder, mode=mode, group=group)
    os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    os.fsync(folder)


def write_atomic(path: Path, data: bytes, mode: int = 0o640) -> None:
    """Replace a file that only one process writes: readers see the old or the new one.

    Waits for no disk, so after a power cut the file may be empty or gone: for what is written often
    and soon out of date.
    """
    temporary = f".{path.name}.new"
    with directory(path.parent) as folder:
        unlink_if_exists(temporary, folder)
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
        handle = os.open(temporary, flags, 0o600, dir_fd=folder)
        try:
            with open(handle, "wb", buffering=0) as file:
                write_all(file.fileno(), data)
                set_rights(file.fileno(), mode, os.fstat(folder).st_gid)
            os.rename(temporary, path.name, src_dir_fd=folder, dst_dir_fd=folder)
        except OSError:
            unlink_if_exists(temporary, folder)
            raise


def open_regular(name: str, dir_fd: int) -> int:
    """Open a file for reading that must be an ordinary one; never blocks on a FIFO.

    Raises:
        OSError: ELOOP on a symlink, EINVAL on anything that is not a regular file.
    """
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
    handle = os.open(name, flags, dir_fd=dir_fd)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.EINVAL, "not a regular file", name)
    return handle


def copy_durably(source: str, target: str, source_dir: int, target_dir: int) -> None:
    """Copy across file systems to a name of our own, with times and rights, and sync it."""
    reader = open_regular(source, source_dir)
    with open(reader, "rb") as original:
        about = os.fstat(reader)
        writer = make(target, target_dir)
        with open(writer, "wb") as copy:
            shutil.copyfileobj(original, copy, 1 << 20)
            copy.flush()
            set_rights(writer, stat.S_IMODE(about.st_mode) & 0o777, os.fstat(writer).st_gid)
            _is_done(lambda: os.utime(writer, ns=(about.st_atime_ns, about.st_mtime_ns)))
            os.fsync(writer)
