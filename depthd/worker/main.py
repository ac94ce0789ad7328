"""Entry of the worker process: `python -m depthd.worker.main SOCKET PARENT INSTANCE [busy]`.

Reads the configuration, loads the model, says that it is ready, and runs jobs until the
supervisor closes its side. It dies with its supervisor.
"""

from __future__ import annotations

import ctypes
import faulthandler
import os
import resource
import signal
import socket
import sys
import threading
from contextlib import suppress
from pathlib import Path

from depthd.config import Config
from depthd.contract.errors import DepthdError, ExitCode, FaultCode
from depthd.contract.messages import (
    Blocked,
    Message,
    Ready,
    Refused,
    Step,
    Unavailable,
    Work,
    encode,
)
from depthd.publish.publisher import Publisher
from depthd.spool import read_job

_PR_SET_PDEATHSIG = 1
_FIRST_VICTIM = "500"  # when memory runs out the kernel takes the worker, not the supervisor


def main() -> int:
    """Exit code 0 when the supervisor asked to stop, 69 where the model cannot be had."""
    handle, parent, instance = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    _die_with(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's Ctrl-C is the supervisor's
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    faulthandler.enable()
    with socket.socket(fileno=handle) as connection:
        lines = connection.makefile("rb")
        config = Config.model_validate_json(lines.readline())
        _limit_memory(config.worker.max_memory)

        speaking = threading.Lock()

        def say(message: Message) -> None:
            with speaking, suppress(BrokenPipeError, ConnectionResetError):
                connection.sendall(encode(message))

        try:
            # Imported late: a broken installation is then said in words, like a missing model.
            from depthd.estimate.estimator import DepthEstimator  # noqa: PLC0415
            from depthd.worker.pipeline import Pipeline, Task, rehearse  # noqa: PLC0415

            estimator = DepthEstimator(
                config,
                report=lambda text: say(Step(text=text)),
                is_busy="busy" in sys.argv[4:],
            )
            rehearse(estimator)
        except (DepthdError, MemoryError, ImportError) as error:
            say(_unavailable(error))
            return ExitCode.UNAVAILABLE
        outbox, *others = (config.folder(name) for name in ("outbox", "done", "failed"))
        publisher = Publisher(outbox, others, config.output.mode, instance)
        pipeline = Pipeline(estimator, publisher, say)
        engine = estimator.engine.description
        say(
            Ready(
                model=estimator.weights.spec.name,
                sha256=estimator.weights.sha256,
                fallback=estimator.weights.fallback,
                source=estimator.weights.source,
                engine=engine.engine,
                engine_version=engine.engine_version,
                precision=engine.precision,
                threads=engine.threads,
            )
        )
        work = config.folder("work")
        for line in lines:
            order = Work.model_validate_json(line)
            try:
                job = read_job(work / order.job)
            except OSError as error:
                say(Blocked(job=order.job, detail=f"work/ cannot be read: {error}"))
                continue
            if job is None:
                gone = "work/JOB/job.json is missing or damaged"
                say(Refused(job=order.job, code=FaultCode.UNREADABLE, detail=gone))
            else:
                pipeline.submit(Task.of(job, work))
        pipeline.close()
    return ExitCode.OK


def _unavailable(error: DepthdError | MemoryError | ImportError) -> Unavailable:
    """Why the worker can never be ready, and what to do."""
    match error:
        case DepthdError():
            message, hint, code = error.message, error.hint, error.exit_code
        case MemoryError():
            message = "not enough memory to load the model"
            hint = "raise worker.max_memory or the service's memory limit"
            code = ExitCode.UNAVAILABLE
        case ImportError():
            message = f"the installation is not complete: {error}"
            hint = "run 'pip install depthd' again in its environment"
            code = ExitCode.UNAVAILABLE
    return Unavailable(message=message, hint=hint, exit_code=code)


def _die_with(parent: int) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the line above
        os.kill(os.getpid(), signal.SIGKILL)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_FIRST_VICTIM, encoding="ascii")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _limit_memory(size: int) -> None:
    if size:
        resource.setrlimit(resource.RLIMIT_DATA, (size, size))


if __name__ == "__main__":
    sys.exit(main())
