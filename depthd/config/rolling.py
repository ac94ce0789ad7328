"""`range: rolling`: what a folder's last photos had becomes the range of its next one.

Knows policies and the statistics of manifests; keeps them in memory only.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from math import inf
from statistics import median

from depthd.config.folders import FolderPolicy
from depthd.contract import manifest

PHOTOS = 32  # of a folder that are remembered
_MOST_FOLDERS = 10_000  # the one that was quiet the longest is forgotten


class RollingRanges:
    """The 2nd and 98th percentile of depth in the last photos of each folder."""

    def __init__(self) -> None:
        self._folders: OrderedDict[str, deque[tuple[float, float]]] = OrderedDict()

    def resolve(self, name: str, policy: FolderPolicy) -> FolderPolicy:
        """The policy of a photo with this name, its range in numbers where it is rolling.

        The first photo of a folder has none before it and keeps `rolling`: its own percentiles.
        """
        seen = self._folders.get(_folder(name))
        if policy.range != "rolling" or policy.references or not seen:
            return policy
        low, high = (median(values) for values in zip(*seen, strict=True))
        if not -inf < low < high < inf:
            return policy
        return policy.model_copy(update={"range": (low, high)})

    def note(self, name: str, policy: FolderPolicy, depth: manifest.Depth) -> None:
        """Remember what a photo had; `policy` is the one before `resolve`."""
        if policy.range != "rolling":
            return
        folder = _folder(name)
        seen = self._folders.setdefault(folder, deque(maxlen=PHOTOS))
        seen.append((depth.percentiles["2"], depth.percentiles["98"]))
        self._folders.move_to_end(folder)
        if len(self._folders) > _MOST_FOLDERS:
            self._folders.popitem(last=False)


def _folder(name: str) -> str:
    return name.rpartition("/")[0]
