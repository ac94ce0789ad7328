"""Results as files of their own, called as `depthd process` calls them, manifest last.

A unit that is worked on again writes the same files again.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable

from depthd.backfill.results import Made
from depthd.backfill.store import Store, put
from depthd.contract.errors import FaultCode, PhotoError, words_of
from depthd.contract.formats import MANIFEST_SUFFIX
from depthd.contract.manifest import Manifest
from depthd.contract.names import SetName
from depthd.system import files

FOLDER = "files"


class Files:
    """The files of a target."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add(self, made: Made, name: SetName, make_manifest: Callable[[str], Manifest]) -> None:
        """Write a photo's set; its files are called `name` and a suffix.

        Where the target refuses this name they get its portable form.

        Args:
            made: the results.
            name: of the set.
            make_manifest: called with the base name of the set.

        Raises:
            PhotoError: the target takes these bytes, and not under this name.
            OSError: it does not take them.
        """
        try:
            self._write_accepted(made, name, make_manifest)
        except OSError:
            self._write_elsewhere(made)
            try:
                self._write_accepted(made, name, make_manifest)
            except OSError as error:
                raise PhotoError(FaultCode.NO_PLACE, words_of(error)) from error

    def commit(self) -> None:
        """Each set is in the store already."""

    def abandon(self) -> None:
        """What is there will be written again."""

    def _write_accepted(
        self, made: Made, name: SetName, make_manifest: Callable[[str], Manifest]
    ) -> None:
        try:
            self._write(made, name, make_manifest(name.base))
        except OSError as error:
            portable = name.portable()
            if error.errno not in files.REFUSED_NAME or portable == name:
                raise
            self._write(made, portable, make_manifest(portable.base))

    def _write(self, made: Made, name: SetName, manifest: Manifest) -> None:
        for result in made.results:
            put(self._store, f"{FOLDER}/{name.path}{result.suffix}", result)
        put(self._store, f"{FOLDER}/{name.path}{MANIFEST_SUFFIX}", [manifest.to_bytes()])

    def _write_elsewhere(self, made: Made) -> None:
        """Whether it is the target rather than this name: it may be full, or away."""
        hidden = f"{FOLDER}/.{secrets.token_hex(8)}.part"
        put(self._store, hidden, (piece for result in made.results for piece in result))
        self._store.remove(hidden)
