"""One inference in a process of its own: `python -m depthd.cli.trial` for `depthd check`.

Reads the configuration as JSON from standard input and writes a `Trial` to standard output.
Nothing is downloaded, and a state folder without a prepared network is left as it is.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from pathlib import Path

from pydantic import BaseModel

from depthd.config import Config
from depthd.contract.errors import DepthdError
from depthd.model.engine import open_engine
from depthd.model.prepare import is_prepared
from depthd.model.weights import find_weights


class Trial(BaseModel):
    """How it went; `error` is empty where the engine serves. Sizes in bytes, times in seconds."""

    error: str = ""
    engine: str = ""
    precision: str = ""
    load: float = 0.0
    inference: float = 0.0
    memory: int = 0
    prepared: bool = False


def _silent(_text: str) -> None:
    pass


def run(config: Config) -> Trial:
    """Load the network that would serve, and let it see one grey photo."""
    import numpy as np  # noqa: PLC0415 - the parent imports this module for Trial alone

    state = config.folder("state")
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        try:
            weights = find_weights(config.model, state, report=_silent, online=False)
            prepared = is_prepared(weights, state)
            place = state if prepared else Path(scratch)
            engine = open_engine(config.model, weights, place, report=_silent)
        except (DepthdError, ImportError) as error:
            return Trial(error=str(error))
        loaded = time.monotonic()
        side = config.model.input_size
        engine.infer(np.zeros((1, 3, side, side), np.float32))
        ended = time.monotonic()
    return Trial(
        engine=f"{engine.description.engine} {engine.description.engine_version}",
        precision=engine.description.precision,
        load=loaded - started,
        inference=ended - loaded,
        memory=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        prepared=prepared,
    )


if __name__ == "__main__":
    sys.stdout.write(run(Config.model_validate_json(sys.stdin.read())).model_dump_json())
