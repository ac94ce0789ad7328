"""Entry of the worker process: `python -P -m depthd.worker.main SOCKET PARENT`.

Loads the model, rehearses, shuts itself in, says that it is ready, and runs jobs until the
supervisor hangs up. It dies with its supervisor. It knows no folder: each job comes with open
descriptors.
"""

from __future__ import annotations

import faulthandler
import os
import resource
import signal
import socket
import sys
import threading
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError

from depthd import __version__
from depthd.channel.line import Closed, Line
from depthd.channel.messages import Hello, Message, Ready, Setup, Step, Unavailable, Work, encode
from depthd.config import Config
from depthd.contract.errors import DepthdError, ExitCode
from depthd.system.cage import enclose
from depthd.system.parent import die_with
from depthd.worker.memory import limit_resident

_FILES_BESIDE = 64 << 20  # bytes of a result that do not grow with the photo
_FIRST_VICTIM = "500"  # when memory runs out the kernel takes the worker, not the supervisor


def main() -> int:
    """Exit code 0 when the supervisor hung up, that of the fault where the model cannot be had."""
    handle, parent = int(sys.argv[1]), int(sys.argv[2])
    _die_with(parent)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the terminal's Ctrl-C is the supervisor's
    faulthandler.enable()
    line = Line(socket.socket(fileno=handle))
    speaking = threading.Lock()

    def say(message: Message | Hello) -> None:
        try:
            with speaking, suppress(Closed):
                line.send(encode(message))
        except OSError:  # no memory is left; a job without an answer would wait for ever
            os._exit(ExitCode.TEMPORARY)

    say(Hello(version=__version__))
    try:
        config, is_busy = _read_setup(line)
    except (Closed, ValidationError):  # another version, which the greeting tells
        return ExitCode.TEMPORARY
    try:
        # Imported late: a broken installation is then said in words, like a missing model.
        from depthd.estimate.estimator import DepthEstimator  # noqa: PLC0415
        from depthd.worker.pipeline import Pipeline, Task, rehearse  # noqa: PLC0415

        estimator = DepthEstimator(
            config, report=lambda text: say(Step(text=text)), is_busy=is_busy
        )
        rehearse(estimator)
        limit_resident(config.worker.max_memory)
    except (DepthdError, MemoryError, ImportError, OSError) as error:
        unavailable = _unavailable(error)
        say(unavailable)
        return unavailable.exit_code
    _limit_files(config.worker.max_pixels)
    cage = enclose()  # before threads are started: they inherit it
    pipeline = Pipeline(estimator, say, min_free=config.disk.min_free)
    weights, engine = estimator.weights, estimator.engine.description
    say(
        Ready(
            model=weights.spec.name,
            sha256=weights.sha256,
            fallback=weights.fallback,
            source=weights.source,
            weights=str(weights.path),
            engine=engine.engine,
            engine_version=engine.engine_version,
            precision=engine.precision,
            threads=engine.threads,
            cage=str(cage),
        )
    )
    with suppress(Closed):
        while True:
            packet, descriptors = line.receive()
            pipeline.submit(Task.of(Work.model_validate_json(packet), descriptors))
    pipeline.close()
    return ExitCode.OK


def _read_setup(line: Line) -> tuple[Config, bool]:
    packet, _ = line.receive()
    setup = Setup.model_validate_json(packet)
    return Config.model_validate(setup.config), setup.is_busy


def _unavailable(error: DepthdError | MemoryError | ImportError | OSError) -> Unavailable:
    """Why the worker cannot be ready, and what to do."""
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
        case OSError():
            message = f"the model cannot be loaded now: {error}"
            hint = "if this goes on, look at the disk and at the service's limits"
            code = ExitCode.TEMPORARY
    return Unavailable(message=message, hint=hint, exit_code=code)


def _limit_files(max_pixels: int) -> None:
    """Whoever takes this process over cannot fill the disk through an open result.

    The largest results have four bytes a pixel; points and meshes are bounded.
    """
    most = 4 * max_pixels + _FILES_BESIDE
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))


def _die_with(parent: int) -> None:
    die_with(parent)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_FIRST_VICTIM, encoding="ascii")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    sys.exit(main())
