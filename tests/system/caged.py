"""Run by test_cage.py: goes into the cage and tries what must fail, and what must go on.

`python caged.py WALLS FOLDER SOCKET READER WRITER [TRY...]` prints one JSON object: for each try
"went", or the error's type and its number. WALLS is `both`, `landlock`, `seccomp` or `none`. FOLDER
holds a file `there`; the three numbers are descriptors: a connected socket, a file to read, one to
write. Without a TRY all are tried.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import json
import mmap
import os
import resource
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable

from depthd.system import cage, call_filter

libc = ctypes.CDLL(None, use_errno=True)
PARENT = os.getppid()
MADE_BEFORE = socket.socket(socket.AF_INET)
TERMINAL, _ = os.openpty()
_CALLS = {"ptrace": (101, 117), "memfd": (319, 279), "keyctl": (250, 219), "bpf": (321, 280),
          "perf": (298, 241), "userfaultfd": (323, 282), "read_parent": (310, 270),
          "tgkill": (234, 131), "sigqueue": (129, 138), "mount": (165, 40), "unshare": (272, 97),
          "clone": (56, 220)}  # fmt: skip
COLUMN = call_filter.MACHINES[os.uname().machine].column


def call(number: int | str, *arguments: int | bytes | None) -> None:
    """A system call that the C library may not have, or may answer by itself."""
    if isinstance(number, str):
        number = _CALLS[number][COLUMN]
    whole = [ctypes.c_long(x) if isinstance(x, int) else x for x in arguments]
    must(libc.syscall(ctypes.c_long(number), *whole))


def must(answer: int) -> None:
    if answer < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def limit(process: int) -> None:
    must(libc.prlimit(process, resource.RLIMIT_CORE, (ctypes.c_long * 2)(0, 0), None))


def fork() -> None:
    if os.fork() == 0:
        os._exit(0)


def in_a_thread(action: Callable[[], object]) -> None:
    """What `action` raises in a new thread is raised here."""
    failed: list[OSError] = []

    def run() -> None:
        try:
            action()
        except OSError as error:
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]


class Earlier(threading.Thread):
    """A thread from before the cage, which acts once it is told to."""

    def __init__(self, folder: str) -> None:
        super().__init__(daemon=True)
        self.told, self.answer, self._folder = threading.Event(), "went", folder
        self.start()

    def run(self) -> None:
        self.told.wait()
        try:
            os.listdir(self._folder)
        except OSError as error:
            self.answer = named(error)

    def ask(self) -> str:
        self.told.set()
        self.join()
        return self.answer


def named(error: OSError) -> str:
    return f"{type(error).__name__} {errno.errorcode[error.errno or 0]}"


def forbidden(folder: str) -> dict[str, Callable[[], object]]:
    there, new = f"{folder}/there", f"{folder}/new"
    null = os.open("/dev/null", os.O_RDONLY)
    return {
        "open to read": lambda: os.open(there, os.O_RDONLY),
        "open in /proc": lambda: os.open("/proc/self/maps", os.O_RDONLY),
        "open a device": lambda: os.open("/dev/null", os.O_WRONLY),
        "open in a new thread": lambda: in_a_thread(lambda: os.open(there, os.O_RDONLY)),
        "make a file": lambda: os.open(new, os.O_WRONLY | os.O_CREAT, 0o600),
        "list a folder": lambda: os.listdir(folder),
        "look": lambda: os.stat(there),
        "read a link": lambda: os.readlink("/proc/self/exe"),
        "truncate": lambda: os.truncate(there, 0),
        "make a folder": lambda: os.mkdir(f"{folder}/folder"),
        "make a FIFO": lambda: os.mkfifo(f"{folder}/fifo"),
        "make a link": lambda: os.link(there, f"{folder}/link"),
        "make a symlink": lambda: os.symlink(there, f"{folder}/symlink"),
        "rename": lambda: os.rename(f"{folder}/sent", f"{folder}/renamed"),
        "change rights": lambda: os.chmod(there, 0o777),
        "remove": lambda: os.unlink(there),
        "change the folder": lambda: os.chdir(folder),
        "a local socket": lambda: socket.socket(socket.AF_UNIX),
        "an internet socket": lambda: socket.socket(socket.AF_INET),
        "a pair of sockets": socket.socketpair,
        "bind": lambda: MADE_BEFORE.bind(("127.0.0.1", 0)),
        "listen": MADE_BEFORE.listen,
        "connect": lambda: MADE_BEFORE.connect(("127.0.0.1", 9)),
        "fork": fork,
        "clone without a thread": lambda: call("clone", signal.SIGCHLD, 0, 0, 0, 0),
        "spawn": lambda: subprocess.run(["/bin/true"], check=True),
        "exec": lambda: os.execv("/bin/false", ["false"]),
        "trace the parent": lambda: call("ptrace", 0x4206, PARENT, 0, 0),  # PTRACE_SEIZE
        "read the parent's memory": lambda: call("read_parent", PARENT, None, 0, None, 0, 0),
        "look whether the parent lives": lambda: os.kill(PARENT, 0),
        "signal the parent": lambda: os.kill(PARENT, signal.SIGURG),
        "signal the parent's thread": lambda: call("tgkill", PARENT, PARENT, signal.SIGURG),
        "signal its group": lambda: os.kill(0, signal.SIGURG),
        "signal everybody": lambda: os.kill(-1, 0),
        "queue a signal": lambda: call("sigqueue", PARENT, signal.SIGURG, bytes(128)),
        "signal by descriptor": lambda: fcntl.fcntl(null, fcntl.F_SETOWN, PARENT),
        "a handle of the parent": lambda: os.pidfd_open(PARENT),
        "limits of the parent": lambda: limit(PARENT),
        "own limits": lambda: limit(0),
        "live on without a parent": lambda: must(libc.prctl(1, 0, 0, 0, 0)),
        "type at a terminal": lambda: fcntl.ioctl(TERMINAL, 0x5412, b"x"),
        "executable memory by name": lambda: call("memfd", b"x", 0),
        "mount": lambda: call("mount", None, b"/", None, 0x20 | 0x1000, None),
        "namespaces": lambda: call("unshare", 0x10000000),
        "io_uring": lambda: call(425, 1, bytes(256)),
        "bpf": lambda: call("bpf", 0, bytes(128), 128),
        "perf events": lambda: call("perf", bytes(128), 0, -1, -1, 0),
        "userfaultfd": lambda: call("userfaultfd", 1),
        "keys": lambda: call("keyctl", 0, -3, 0),
        "another cage": lambda: call(444, None, 0, 1),
    }


def allowed(channel: socket.socket, reader: int, writer: int) -> dict[str, Callable[[], object]]:
    def read_and_write() -> None:
        size = os.lseek(reader, 0, os.SEEK_END)
        os.lseek(reader, 0, os.SEEK_SET)
        data = os.read(reader, size)
        os.posix_fadvise(reader, 0, 0, os.POSIX_FADV_DONTNEED)
        os.write(writer, data)
        os.pwrite(writer, data, size)
        os.ftruncate(writer, 2 * size)
        must(libc.sync_file_range(writer, ctypes.c_long(0), ctypes.c_long(0), 2))
        os.fsync(writer)
        os.fdatasync(writer)

    def receive_descriptor() -> None:
        data, (handle,), _, _ = socket.recv_fds(channel, 100, 1)
        if os.read(handle, 5) != data:
            raise OSError(errno.EIO, "another file")
        os.close(handle)
        channel.sendall(b"thanks")

    def wait() -> None:
        select.select([channel], [channel], [], 0)
        poll = select.poll()
        poll.register(channel)
        poll.poll(0)
        with select.epoll() as events:
            events.register(channel)
            events.poll(0)

    def unblock() -> None:
        channel.settimeout(1.0)
        channel.setblocking(True)

    def memory() -> None:
        with mmap.mmap(-1, 1 << 24, prot=7) as area:  # also executable
            area[0] = 1
        must(libc.malloc_trim(0))

    def threads() -> None:
        for _ in range(20):
            in_a_thread(lambda: time.sleep(0.001))

    return {
        "read, write and sync": read_and_write,
        "room on the disk": lambda: os.fstatvfs(writer),
        "receive a descriptor": receive_descriptor,
        "wait for a descriptor": wait,
        "a time-out": unblock,
        "memory": memory,
        "threads": threads,
        "random numbers": lambda: os.urandom(16),
        "processors": lambda: os.sched_getaffinity(0),
        "own limits, read": lambda: resource.getrlimit(resource.RLIMIT_DATA),
        "usage": lambda: resource.getrusage(resource.RUSAGE_SELF),
        "signal itself": lambda: signal.raise_signal(signal.SIGURG),
        "signal own thread": lambda: signal.pthread_kill(threading.get_ident(), signal.SIGURG),
        "name a thread": lambda: must(libc.prctl(15, b"decode", 0, 0, 0)),
    }


def main() -> None:
    walls, folder, *handles = sys.argv[1:6]
    channel, reader, writer = (int(handle) for handle in handles)
    tries = {**forbidden(folder), **allowed(socket.socket(fileno=channel), reader, writer)}
    chosen = sys.argv[6:] or list(tries)
    earlier = Earlier(folder)
    if walls == "landlock":
        call_filter.MACHINES.clear()
    if walls == "seccomp":
        cage._CREATE_RULESET = 10_000  # no call of any kernel
    held = None if walls == "none" else cage.enclose()
    answers = {"cage": str(held), "list a folder in an earlier thread": earlier.ask()}
    for what in chosen:
        try:
            tries[what]()
            answers[what] = "went"
        except OSError as error:
            answers[what] = named(error)
    answers["again"] = str(cage.enclose())
    print(json.dumps(answers))


if __name__ == "__main__":
    main()
