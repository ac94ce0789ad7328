"""The manifest of a set that is about to get its names. Knows facts and jobs, no folders."""

from __future__ import annotations

import time

from depthd import __version__
from depthd.contract.manifest import Facts, Manifest
from depthd.contract.names import SetName
from depthd.contract.status import moment
from depthd.publish.publisher import Claimed, MakeManifest


def manifest_maker(job: Claimed, facts: Facts, *, claimed: float, attempts: int) -> MakeManifest:
    """What makes the manifest once the set's name is known.

    Args:
        job: whose results.
        facts: what was found out by working on the photo.
        claimed: seconds since the epoch.
        attempts: starts of work, this one included.
    """
    begun = time.perf_counter()

    def make(name: SetName) -> bytes:
        return Manifest.of(
            facts,
            depthd=__version__,
            job=job.id,
            attempts=attempts,
            name=job.name,
            target=name.base,
            claimed=moment(claimed),
            published=moment(time.time()),
            milliseconds={"publish": round((time.perf_counter() - begun) * 1000, 3)},
        ).to_bytes()

    return make
