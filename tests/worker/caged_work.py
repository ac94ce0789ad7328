"""Run by test_caged_work.py: takes pictures through every stage, in the cage or outside.

`python caged_work.py ENGINE STATE CAGED PICTURE...` prints one JSON object: what the cage says of
itself, and for each picture a hash of its results or what it was refused for. CAGED is 0 or 1.
"""

from __future__ import annotations

import hashlib
import json
import sys
import threading
from pathlib import Path

from depthd.config import Config
from depthd.contract.errors import PhotoError
from depthd.contract.formats import Format
from depthd.estimate.estimator import DepthEstimator
from depthd.render.render import render
from depthd.system.cage import enclose
from depthd.worker.pipeline import rehearse


def work(estimator: DepthEstimator, data: bytes) -> str:
    policy = estimator.config.output
    try:
        prepared = estimator.prepare(data, policy)
    except PhotoError as error:
        return error.code
    estimate = estimator.finish(prepared, estimator.infer(prepared), policy)
    digest = hashlib.sha256()
    for rendered in render(estimate, policy):
        for part in rendered.parts:
            digest.update(part)
    return digest.hexdigest()


def main() -> None:
    engine, state, caged, *pictures = sys.argv[1:]
    config = Config.model_validate(
        {
            "root": state,
            "model": {"name": "builtin", "engine": engine},
            "output": {"formats": list(Format)},
        }
    )
    data = {path: Path(path).read_bytes() for path in pictures}
    estimator = DepthEstimator(config)
    rehearse(estimator)
    said = {"cage": str(enclose()) if int(caged) else "none"}

    def run() -> None:
        for path, content in data.items():
            said[path] = work(estimator, content)
            said[f"{path}, cut off"] = work(estimator, content[: len(content) // 2])
        for streams in {estimator.engine.most_streams, 1}:
            estimator.engine.arrange(streams)
            said[f"{streams} streams"] = work(estimator, next(iter(data.values())))

    thread = threading.Thread(target=run)  # as the pipeline does: after the cage, not its own
    thread.start()
    thread.join()
    print(json.dumps(said))


if __name__ == "__main__":
    main()
