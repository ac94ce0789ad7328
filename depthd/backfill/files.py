"""Results as files of their own, called as `depthd process` calls them, manifest last.

A unit that is worked on again writes the same files again.
"""

from __future__ import annotations

from depthd.backfill.results import Made
from depthd.backfill.store import Store, put
from depthd.contract.formats import MANIFEST_SUFFIX
from depthd.contract.manifest import Manifest

FOLDER = "files"


class Files:
    """The files of a target."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add(self, made: Made, name: str, manifest: Manifest) -> None:
        """Write a photo's set; its files are called `name` and a suffix."""
        for result in made.results:
            put(self._store, f"{FOLDER}/{name}{result.suffix}", result)
        put(self._store, f"{FOLDER}/{name}{MANIFEST_SUFFIX}", [manifest.to_bytes()])

    def commit(self) -> None:
        """Each set is in the store already."""

    def abandon(self) -> None:
        """What is there will be written again."""
