"""What attempts have left behind in the target: shards that no part of the index lists.

Only one run at a time may use a target: whatever another one has begun would go as well.
"""

from __future__ import annotations

import re
from collections import defaultdict

from depthd.backfill.index import FOLDER as INDEX
from depthd.backfill.index import Index
from depthd.backfill.shards import FOLDER as SHARDS
from depthd.backfill.store import ON_ITS_WAY, Store

_SHARD = re.compile(r"(?P<part>\w+-\d{8})-(?P<run>\w+)-(?P<attempt>[0-9a-f]{6})-\d{4}\.tar")


def sweep(store: Store, run: str, began: float) -> None:
    """Remove them, and files that a disk has kept without a name.

    A part with the shards of one attempt only is not read: they are the ones that it lists.

    Args:
        store: the target.
        run: that has just ended.
        began: when, in seconds since the epoch; older shards are nobody's work any more.
    """
    for folder in (INDEX, SHARDS):
        for each in list(store.list(folder)):
            if ON_ITS_WAY.fullmatch(each.name):  # its writer is gone, or fails and does it again
                store.remove(f"{folder}/{each.name}")
    by_part: dict[str, list[str]] = defaultdict(list)
    attempts: dict[str, set[str]] = defaultdict(set)
    for each in store.list(SHARDS):
        match = _SHARD.fullmatch(each.name)
        if match and (each.changed < began or match["run"] == run):
            by_part[match["part"]].append(f"{SHARDS}/{each.name}")
            attempts[match["part"]].add(match["attempt"])
    index = Index(store)
    there = {part for parts in index.parts().values() for part in parts}
    for part, found in by_part.items():
        if part in there and len(attempts[part]) == 1:
            continue
        listed = index.shards(part) if part in there else set()
        for path in set(found) - listed:
            store.remove(path)
