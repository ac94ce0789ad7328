"""Child process: depthd's own stages one after the other, and the engine by itself.

`python -m depthd.bench.parts`; see `child`. Nothing overlaps here, so a stage's time is its own.
"""

from __future__ import annotations

import os
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from depthd.bench.child import Answer, answer
from depthd.bench.sizes import choices, sizes
from depthd.channel.messages import Rendered
from depthd.config import Config
from depthd.estimate.estimator import DepthEstimator
from depthd.publish.manifests import manifest_maker
from depthd.publish.places import Places
from depthd.publish.publisher import Claimed, Publisher
from depthd.worker.pipeline import Pipeline, Task


class Parts:
    """An estimator and a pipeline that is given one photo at a time."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = Config.model_validate(config)
        self.estimator = DepthEstimator(self.config)
        outbox = self.config.folder("outbox")
        outbox.mkdir(parents=True, exist_ok=True)
        self._publisher = Publisher(Places(outbox), self.config.output.mode, "bench")
        self._count = 0

    @property
    def about(self) -> Answer:
        engine, weights = self.estimator.engine.description, self.estimator.weights
        return {
            "engine": f"{engine.engine} {engine.engine_version.partition('-')[0]}",
            "precision": engine.precision,
            "threads": engine.threads,
            "model": weights.spec.name,
            "fallback": weights.fallback,
        }

    def respond(
        self, photos: list[str], *, inferences: int = 0, depths: str = "", weigh: bool = False
    ) -> Answer:
        """Milliseconds of each stage for each photo, or of `inferences` on the first one.

        With `depths` the network's depth of all photos, which are of one size, goes into that file.
        With `weigh` it is bytes of the results, by what one may set.
        """
        if weigh:
            data = [Path(photo).read_bytes() for photo in photos]
            found = sizes(self.estimator, data, choices(self.config.policy("")))
            return {name: asdict(each) for name, each in found.items()}
        if inferences:
            return {"infer": self._infer(Path(photos[0]), inferences)}
        if depths:
            prepared = [
                self.estimator.prepare(Path(photo).read_bytes(), self.estimator.config.output)
                for photo in photos
            ]
            np.save(depths, np.stack([self.estimator.infer(each) for each in prepared]))
            return {}
        return {"stages": [self._stages(Path(photo)) for photo in photos]}

    def _infer(self, photo: Path, count: int) -> list[float]:
        prepared = self.estimator.prepare(photo.read_bytes(), self.estimator.config.output)
        milliseconds = []
        for _ in range(count):
            started = time.perf_counter()
            self.estimator.infer(prepared)
            milliseconds.append((time.perf_counter() - started) * 1000)
        return milliseconds

    def _stages(self, photo: Path) -> dict[str, float]:
        said: list[object] = []
        pipeline = Pipeline(self.estimator, said.append)
        self._count += 1
        name = f"{self._count:06d}.jpg"
        job = Claimed(f"bench-{name}", name, "")
        outlets = self._publisher.open(job.id, self.config.output.formats)
        results = {kind: os.dup(handle) for kind, handle in outlets.files.items()}
        pipeline.submit(Task(job.id, self.config.output, os.open(photo, os.O_RDONLY), results))
        pipeline.close()
        message = said[-1]
        if not isinstance(message, Rendered):
            raise TypeError(f"{photo}: {message}")
        facts, clock = message.facts, time.perf_counter()
        make = manifest_maker(job, facts, claimed=time.time(), attempts=1)
        self._publisher.publish(job, outlets, facts.files, make)
        outlets.close()
        return {**facts.milliseconds, "publish": (time.perf_counter() - clock) * 1000}


def setup(config: dict[str, Any]) -> tuple[Answer, Any]:
    parts = Parts(config)
    return parts.about, parts.respond


if __name__ == "__main__":
    answer(setup)
