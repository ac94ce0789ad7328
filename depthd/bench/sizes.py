"""What the results of one photo take on the disk, by making them.

Nothing is written. Knows estimator and renderer; the photos are those of `photos`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean

from depthd.config import FolderPolicy
from depthd.config.folders import with_the_networks_own
from depthd.contract.names import SetName
from depthd.estimate.estimator import DepthEstimator
from depthd.publish.manifests import manifest_maker
from depthd.publish.publisher import Claimed
from depthd.render.results import process

_NAME = "IMG_1.jpg"


@dataclass(frozen=True)
class Sizes:
    """Bytes that a photo takes on average: of each format, and with the manifest."""

    formats: dict[str, int]
    total: int


def choices(own: FolderPolicy) -> dict[str, FolderPolicy]:
    """The settings that decide most: the default formats at three sizes, and those in use."""
    usual = {
        f"output.size: {size}": with_the_networks_own(FolderPolicy(size=size))
        for size in ("original", 1024, "model")
    }
    return usual if own in usual.values() else {"as configured": own, **usual}


def sizes(
    estimator: DepthEstimator, photos: Sequence[bytes], policies: Mapping[str, FolderPolicy]
) -> dict[str, Sizes]:
    """Make the results of each photo by each policy."""
    return {name: _sizes(estimator, photos, policy) for name, policy in policies.items()}


def _sizes(estimator: DepthEstimator, photos: Sequence[bytes], policy: FolderPolicy) -> Sizes:
    found = [process(photo, policy, estimator).facts for photo in photos]
    manifests = [
        manifest_maker(Claimed("job", _NAME, ""), facts, claimed=0.0, attempts=1)(SetName.of(_NAME))
        for facts in found
    ]
    formats = {
        kind.value: round(mean(f.bytes for facts in found for f in facts.files if f.format is kind))
        for kind in policy.formats
        if any(f.format is kind for facts in found for f in facts.files)
    }
    return Sizes(formats, sum(formats.values()) + round(mean(map(len, manifests))))
