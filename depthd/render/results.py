"""A photo's bytes to its results and all that is known of them, in one call.

The worker takes the same steps in several threads; a program that has one photo, or a cluster that
has many processes, takes them here. Knows neither names nor files.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from depthd.config import FolderPolicy
from depthd.contract.manifest import Facts
from depthd.estimate.estimator import DepthEstimator
from depthd.render.render import Rendered, render


@dataclass(frozen=True)
class Results:
    """The files in the order of `facts.files`."""

    facts: Facts
    files: tuple[Rendered, ...]


def process(data: bytes, policy: FolderPolicy, estimator: DepthEstimator) -> Results:
    """Decode, infer and render one photo.

    Raises:
        PhotoError: the photo itself is at fault; `code` says how.
    """
    started = datetime.now(UTC)
    prepared = estimator.prepare(data, policy)
    clock = time.perf_counter()
    raw = estimator.infer(prepared)
    milliseconds = {**prepared.milliseconds, "infer": _since(clock)}
    estimate = estimator.finish(replace(prepared, milliseconds=milliseconds), raw, policy)
    clock = time.perf_counter()
    files = render(estimate, policy)
    info = estimate.info
    facts = Facts(
        source_sha256=hashlib.sha256(data).hexdigest(),
        source_size=len(data),
        photo=info.photo,
        model=info.model,
        depth=info.depth,
        metres=info.metres,
        space=info.space,
        started=started,
        milliseconds={**info.milliseconds, "render": _since(clock)},
        files=tuple(file.facts() for file in files),
    )
    return Results(facts, files)


def _since(clock: float) -> float:
    """Milliseconds since a time of time.perf_counter."""
    return round((time.perf_counter() - clock) * 1000, 3)
