"""Make sure that OpenVINO's form of the network is there: checked, or converted once.

The conversion needs torch and runs in a process of its own (`convert`), so that the caller never
imports it and gets its memory back.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

from depthd.contract.errors import OutputError, UnavailableError
from depthd.model.ir_cache import MODEL_FILE, IrCache
from depthd.model.storage import exclusive
from depthd.model.weights import Weights
from depthd.system.python import module

DEADLINE = 500.0  # seconds, within worker.start_timeout; an idle 2-core box needs 10


def is_prepared(weights: Weights, state: Path) -> bool:
    """Whether `prepare` would find a whole entry in the cache."""
    cache = IrCache(state / "models")
    return cache.is_whole(cache.entry(weights))


def prepare(weights: Weights, state: Path, *, report: Callable[[str], None]) -> Path:
    """The network as an OpenVINO file, from the cache in state/models/ or newly converted.

    Safe to call from several processes at once: one converts, the others wait and use it.

    Returns:
        Path of `model.xml`; `model.bin` lies beside it.

    Raises:
        UnavailableError: the weights do not fit, or the conversion fails or takes too long.
        OutputError: state/ cannot be written.
    """
    cache = IrCache(state / "models")
    entry = cache.entry(weights)
    if cache.is_whole(entry):
        return entry / MODEL_FILE
    try:
        with exclusive(cache.folder, report):
            if not cache.is_whole(entry):
                report(f"converting {weights.spec.name} for OpenVINO; this is done once")
                unfinished = cache.begin()
                try:
                    _convert(weights, unfinished)
                    cache.commit(unfinished, entry)
                finally:
                    shutil.rmtree(unfinished, ignore_errors=True)
    except OSError as error:
        raise OutputError(
            f"cannot write to {cache.folder}: {error.strerror or error}",
            "make room there, or correct the folder's rights",
        ) from error
    return entry / MODEL_FILE


def _convert(weights: Weights, folder: Path) -> None:
    command = module("depthd.model.convert", str(os.getpid()), weights.spec.name)
    command += [str(weights.path.absolute()), weights.sha256, str(folder.absolute())]
    try:
        result = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise UnavailableError(
            f"the conversion for OpenVINO took longer than {DEADLINE:.0f} s",
            "look for what else keeps the box busy, or set model.engine: torch",
        ) from error
    if result.returncode < 0:
        raise UnavailableError(
            f"the conversion for OpenVINO was ended by {signal.Signals(-result.returncode).name}",
            "it needs 1.5 GB of memory once; give it that, or copy state/ from another box",
        )
    if result.returncode > 0:
        last_words = result.stderr.strip().splitlines() or [f"exit code {result.returncode}"]
        raise UnavailableError(
            f"the conversion for OpenVINO failed: {last_words[-1]}",
            "correct the weights, or set model.engine: torch",
        )
