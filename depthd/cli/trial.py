"""The network as the worker has it, on one photo: `python -m depthd.cli.trial` for `depthd check`.

Reads the configuration as JSON from standard input and writes a `Trial` to standard output.
Nothing is downloaded, and a state folder without a prepared network is left as it is.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel

from depthd.config import Config
from depthd.contract.errors import DepthdError, PhotoError
from depthd.model.prepare import is_prepared
from depthd.model.weights import find_weights
from depthd.worker import memory

if TYPE_CHECKING:
    from depthd.estimate.estimator import DepthEstimator

MEGAPIXELS = 12
_WIDTH, _HEIGHT = 4000, 3000


class Trial(BaseModel):
    """How it went; `error` is empty where the engine serves. Sizes in bytes, times in seconds.

    `memory_error` says what does not fit into worker.max_memory. `sizes` are bytes of one photo's
    results, for the section output and for each entry of `folders`.
    """

    error: str = ""
    memory_error: str = ""
    engine: str = ""
    precision: str = ""
    load: float = 0.0
    inference: float = 0.0
    memory: int = 0
    photo_memory: int = 0
    prepared: bool = False
    sizes: dict[str, int] = {}


def run(config: Config) -> Trial:
    """Load the network that would serve, and let it see one photo."""
    state = config.folder("state")
    photo = _photo(config.worker.max_pixels)
    with tempfile.TemporaryDirectory() as scratch:
        try:
            weights = find_weights(config.model, state, report=_silent, online=False)
            prepared = is_prepared(weights, state)
            file = None if weights.spec.package_data else weights.path
            model = config.model.model_copy(update={"name": weights.spec.name, "weights": file})
            config = config.model_copy(update={"model": model})
            return _run(config, state if prepared else Path(scratch), photo, prepared=prepared)
        except (DepthdError, PhotoError, ImportError) as error:
            return Trial(error=str(error))


def _run(config: Config, state: Path, photo: bytes, *, prepared: bool) -> Trial:
    from depthd.estimate.estimator import DepthEstimator  # noqa: PLC0415 - see _photo
    from depthd.render.render import render  # noqa: PLC0415

    started = time.monotonic()
    estimator = DepthEstimator(config, state=state)
    loaded = time.monotonic()
    engine = estimator.engine.description
    trial = Trial(
        engine=f"{engine.engine} {engine.engine_version.partition('-')[0]}",
        precision=engine.precision,
        load=loaded - started,
        memory=memory.resident(),
        prepared=prepared,
    )
    trouble = ""
    try:
        memory.limit_resident(config.worker.max_memory)
        render(estimator.estimate(photo), config.output)
    except DepthdError as error:
        trouble = f"{error.message}, without a photo of {MEGAPIXELS} megapixels"
    except Exception:  # noqa: BLE001 - each library says in its own way that memory is short
        trouble = f"a photo of {MEGAPIXELS} megapixels does not fit"
    finally:
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        resource.setrlimit(resource.RLIMIT_DATA, (hard, hard))
    estimate = estimator.estimate(photo)  # an error that was none of memory is raised again
    render(estimate, config.output)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    if trouble:
        trouble += f"; with such a photo the worker takes {peak / 1e6:.0f} MB"
    seconds = estimate.info.milliseconds["infer"] / 1000
    found = {
        "inference": seconds,
        "photo_memory": peak,
        "memory_error": trouble,
        "sizes": _sizes(config, estimator),
    }
    return trial.model_copy(update=found)


def _sizes(config: Config, estimator: DepthEstimator) -> dict[str, int]:
    from depthd.bench.photos import Kind, make_photos  # noqa: PLC0415 - see _photo
    from depthd.bench.sizes import sizes  # noqa: PLC0415

    policies = {"": config.policy("")}
    policies |= {name: config.policy(f"{name}/photo.jpg") for name in config.folders}
    with tempfile.TemporaryDirectory() as scratch:
        kind = Kind("trial", *_size(config.worker.max_pixels), distinct=1)
        photos = [path.read_bytes() for path in make_photos(kind, Path(scratch))]
    return {name: each.total for name, each in sizes(estimator, photos, policies).items()}


def _photo(most: int) -> bytes:
    """A JPEG, as large as it may be; made before anything is measured."""
    import cv2  # noqa: PLC0415 - the parent imports this module for Trial alone
    import numpy as np  # noqa: PLC0415

    size = _size(most)
    coarse = np.random.default_rng(1).integers(0, 256, (60, 80, 3), np.uint8)
    _, data = cv2.imencode(".jpg", cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC))
    return data.tobytes()


def _size(most: int) -> tuple[int, int]:
    scale = min(1.0, (most / (_WIDTH * _HEIGHT)) ** 0.5)
    return int(_WIDTH * scale), int(_HEIGHT * scale)


def _silent(_text: str) -> None:
    pass


if __name__ == "__main__":
    sys.stdout.write(run(Config.model_validate_json(sys.stdin.read())).model_dump_json())
