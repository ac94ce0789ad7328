"""Starts daemons by forking a process that has imported everything already: 30 ms instead of a
second, so that thousands of faults can be tried.

Supervisor and worker are the real ones, in processes of their own; only their start is a fork,
and the network is replaced by a blur, because no file depends on it. Each process can put itself
under strace before its work begins, which then injects faults into its system calls.

Run as a program it reads orders from standard input and answers on standard output; `Forks` is
the side of the tests.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

_MARK = "getpriority"  # a harmless call: in strace's log it shows that tracing has begun
_ATTACH_DEADLINE = 30.0
_PR_SET_PDEATHSIG = 1
_PR_SET_PTRACER = 0x59616D61


@dataclass(frozen=True)
class Order:
    """A daemon to start.

    Attributes:
        root: its root; strace's log goes to ROOT.supervisor.strace or ROOT.worker.strace.
        settings: as of --set.
        once: as --once.
        supervisor: faults for its main thread as of strace's --inject, such as
            `fsync:signal=KILL:when=3`.
        worker: the same for all threads of the first worker, from when it has loaded.
        together: a worker that is killed takes the supervisor with it, as a power cut would.
        file_threads: of the supervisor; none of them, and its faults meet its steps in one order.
            With some, its faults are for all its threads, and for the worker.
        with_paths: strace's log says what descriptors stand for.
    """

    root: str
    settings: tuple[str, ...]
    once: bool = True
    supervisor: tuple[str, ...] = ()
    worker: tuple[str, ...] = ()
    together: bool = False
    file_threads: int = 0
    with_paths: bool = False


class Forks:
    """A fork server; it runs one daemon at a time."""

    def __enter__(self) -> Self:
        self._server = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
        )
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        assert self._server.stdin
        assert self._server.stdout
        if kind is not None:
            self._server.kill()  # and what it has started goes with it
        self._server.stdin.close()
        self._server.wait(60)
        self._server.stdout.close()

    def start(self, order: Order) -> int:
        """Start a daemon; returns its process id."""
        assert self._server.stdin
        self._server.stdin.write(json.dumps(asdict(order)).encode() + b"\n")
        self._server.stdin.flush()
        return self._answer()

    def wait(self) -> int:
        """Its exit code, or minus the signal that killed it."""
        return os.waitstatus_to_exitcode(self._answer())

    def has_ended(self) -> bool:
        """Whether `wait` would return at once."""
        return bool(select.select([self._server.stdout], [], [], 0)[0])

    def run(self, order: Order) -> int:
        self.start(order)
        return self.wait()

    def _answer(self) -> int:
        assert self._server.stdout
        return int(self._server.stdout.readline())


# the server's side ---------------------------------------------------------------------------


def serve() -> None:
    """Fork a daemon for each line of standard input; answer its pid, and its status in time."""
    _import_everything()
    _replace_network()
    _shorten_waits()
    for line in sys.stdin.buffer:
        order = Order(**json.loads(line))
        pid = os.fork()
        if pid == 0:
            _run(order)
        print(pid, flush=True)
        _, status = os.waitpid(pid, 0)
        print(status, flush=True)


def _import_everything() -> None:
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # threads do not survive a fork
    import depthd.estimate.estimator  # noqa: PLC0415
    import depthd.supervisor.loop  # noqa: PLC0415
    import depthd.worker.main  # noqa: PLC0415
    import depthd.worker.pipeline  # noqa: F401, PLC0415


def _shorten_waits() -> None:
    """What is tried again is tried at once, and threads that only watch are not waited for."""
    from depthd.intake import immovable, settle, watch  # noqa: PLC0415
    from depthd.supervisor import aside, gate, keeper, loop  # noqa: PLC0415
    from depthd.supervisor.backoff import Backoff  # noqa: PLC0415

    soon = Backoff(first=0.05, longest=0.5)
    for module, name, value in (
        (gate, "_SERVICE", soon),
        (aside, "_PHOTO", soon),
        (aside, "_FOLDER", soon),
        (keeper, "_RESTART", soon),
        (immovable, "_FIRST_PAUSE", 0.1),
        (settle, "SHORTEST_QUIET", 0.05),
        (loop, "_TICK", 3600.0),  # no step depends on how long something took
    ):
        assert hasattr(module, name)
        setattr(module, name, value)
    watch.Watcher.stop.__defaults__ = (0.0,)


def _replace_network() -> None:
    import cv2  # noqa: PLC0415
    import numpy as np  # noqa: PLC0415

    from depthd.config import Config  # noqa: PLC0415
    from depthd.estimate import estimator  # noqa: PLC0415
    from depthd.model.catalogue import MODELS  # noqa: PLC0415
    from depthd.model.engine import EngineDescription  # noqa: PLC0415
    from depthd.model.weights import Weights  # noqa: PLC0415
    from depthd.system.cage import Cage  # noqa: PLC0415
    from depthd.worker import main, pipeline  # noqa: PLC0415

    class Blur:
        description = EngineDescription("blur", "1", "f32", 1, "")
        streams = most_streams = 1

        def infer(self, batch: Any) -> Any:
            return np.ascontiguousarray(cv2.blur(batch[0].mean(0), (9, 9)) + 3)

    def no_weights(*_: object, **__: object) -> Weights:
        return Weights(
            MODELS["midas_small"], Path("none"), "0" * 64, fallback=False, source="", published=True
        )

    estimator.find_weights = no_weights
    estimator.open_engine = lambda *_, **__: Blur()  # type: ignore[assignment, return-value]
    cv2.setNumThreads(1)
    pipeline.rehearse(estimator.DepthEstimator(Config()))  # once, for all workers
    pipeline.rehearse = lambda _: None
    enclose = main.enclose

    def traced_enclose() -> Cage:
        """Nobody can trace a process that is shut in."""
        _trace_this_process(_order.worker, f"{_order.root}.worker.strace", "-f")
        return enclose()

    main.enclose = traced_enclose


_order: Order


def _run(order: Order) -> None:
    """The forked child: the daemon, as `depthd run` starts it."""
    global _order  # noqa: PLW0603 - one order a process
    _order = order
    code = 70
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        _redirect(f"{order.root}.stderr")
        code = _daemon(order)
    except BaseException:  # noqa: BLE001 - a child must never return into the server's loop
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def _redirect(errors: str) -> None:
    null = os.open(os.devnull, os.O_RDWR)
    log = os.open(errors, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    for target, source in ((0, null), (1, null), (2, log)):
        os.dup2(source, target)
    os.close(null)
    os.close(log)


def _daemon(order: Order) -> int:
    from depthd.config.load import load  # noqa: PLC0415
    from depthd.contract.errors import DepthdError  # noqa: PLC0415
    from depthd.supervisor import loop as supervisor  # noqa: PLC0415
    from depthd.supervisor import worker_process  # noqa: PLC0415

    start = subprocess.Popen

    def started(command: Sequence[str], **keywords: Any) -> Any:
        is_worker = "depthd.worker.main" in command
        return (ForkedWorker if is_worker else start)(command, **keywords)

    worker_process.subprocess.Popen = started  # type: ignore[misc, assignment]
    config = load(None, {}, list(order.settings), Path(order.root)).config
    supervisor.FILE_THREADS = order.file_threads
    options = ["-f"] * bool(order.file_threads) + ["-y"] * order.with_paths
    _trace_this_process(order.supervisor, f"{order.root}.supervisor.strace", *options)
    try:
        return supervisor.run(config, reload=lambda: config, once=order.once).exit_code
    except DepthdError as error:
        print(error.message, file=sys.stderr)
        return error.exit_code


class ForkedWorker:
    """Stands in for subprocess.Popen in the supervisor's hold on its worker."""

    _count = 0

    def __init__(
        self, command: Sequence[str], *, pass_fds: Sequence[int], stderr: int, **_: object
    ) -> None:
        ForkedWorker._count += 1
        sys.stderr.flush()
        self.returncode: int | None = None
        self.pid = os.fork()
        if self.pid == 0:
            self._work(command[-3:], pass_fds, stderr)

    def _work(self, arguments: Sequence[str], pass_fds: Sequence[int], stderr: int) -> None:
        global _order  # noqa: PLW0603
        from depthd.worker import main  # noqa: PLC0415

        code = 70
        try:
            signal.set_wakeup_fd(-1)
            if ForkedWorker._count > 1:  # the fault was for the first one
                _order = Order(_order.root, ())
            os.dup2(stderr, 2)
            for name in os.listdir("/proc/self/fd"):
                if int(name) > 2 and int(name) not in pass_fds:
                    _close(int(name))
            sys.argv = list(arguments)
            code = main.main()
        except BaseException:  # noqa: BLE001
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)

    def kill(self) -> None:
        if self.returncode is None:
            os.kill(self.pid, signal.SIGKILL)

    def poll(self) -> int | None:
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        if _order.together and self.returncode == -signal.SIGKILL:
            os.kill(os.getpid(), signal.SIGKILL)
        return self.returncode


def _close(descriptor: int) -> None:
    try:
        os.close(descriptor)
    except OSError:
        return


def _trace_this_process(faults: Sequence[str], log: str, *options: str) -> None:
    """Put this process under strace; returns when its system calls are really seen."""
    if not faults:
        return
    ctypes.CDLL(None).prctl(_PR_SET_PTRACER, ctypes.c_ulong(-1))
    calls = [fault.partition(":")[0] for fault in faults]
    command = ["strace", "-q", *options, "-o", log, "-p", str(os.getpid())]
    command += [f"--trace={','.join((_MARK, *calls))}", *(f"--inject={fault}" for fault in faults)]
    tracer = os.posix_spawnp(command[0], command, os.environ)
    deadline = time.monotonic() + _ATTACH_DEADLINE
    while not (os.path.exists(log) and os.stat(log).st_size):
        os.getpriority(os.PRIO_PROCESS, 0)
        if os.waitpid(tracer, os.WNOHANG)[0] or time.monotonic() > deadline:
            raise RuntimeError(f"strace cannot attach: {command}")
        time.sleep(0.001)


if __name__ == "__main__":
    serve()
