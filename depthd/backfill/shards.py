"""Results as WebDataset shards: tar files of a stated size, a sample of each photo.

A unit has shards of its own, with names that no other attempt at it has. Knows samples and the
store.
"""

from __future__ import annotations

import secrets
import tarfile
from collections.abc import Sequence

from depthd.backfill.results import Made, Result
from depthd.backfill.store import Store, Writer
from depthd.contract.manifest import Manifest

FOLDER = "shards"
_BLOCK = 512


class Shards:
    """The shards of one attempt at a unit.

    Args:
        store: the target.
        part: of the index.
        run: that works on it.
        size: bytes after which the next shard is begun.
    """

    def __init__(self, store: Store, part: str, run: str, size: int) -> None:
        self._store = store
        self._stem = f"{part}-{run}-{secrets.token_hex(3)}"
        self._size = size
        self._number = 0
        self._written = 0
        self._name = ""
        self._writer: Writer | None = None

    def add(self, made: Made, key: str, manifest: Manifest) -> str:
        """Append a photo; returns the path of its shard. The files in tar are called `key`."""
        results = made.results
        size = sum(_padded(result.facts.bytes) + _BLOCK for result in results)
        if self._writer is not None and self._written + size > self._size:
            self._finish()
        if self._writer is None:
            self._name = f"{FOLDER}/{self._stem}-{self._number:04d}.tar"
            self._writer = self._store.create(self._name)
            self._number, self._written = self._number + 1, 0
        for result in results:
            self._append(self._writer, key + result.suffix, result.facts.bytes, result)
        data = manifest.to_bytes()
        self._append(self._writer, f"{key}.json", len(data), [data])
        return self._name

    def commit(self) -> None:
        """Everything that was added is whole in the store when this returns."""
        if self._writer is not None:
            self._finish()

    def abandon(self) -> None:
        """Give up the shard that is not finished; those that are, nobody lists."""
        if self._writer is not None:
            self._writer.abandon()
            self._writer = None

    def _finish(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            try:
                writer.write(bytes(2 * _BLOCK))
                writer.commit()
            except BaseException:
                writer.abandon()
                raise

    def _append(
        self, writer: Writer, name: str, size: int, parts: Result | Sequence[bytes]
    ) -> None:
        about = tarfile.TarInfo(name)
        about.size = size
        about.mode = 0o644
        writer.write(about.tobuf(tarfile.USTAR_FORMAT))
        for part in parts:
            writer.write(part)
        writer.write(bytes(_padded(size) - size))
        self._written += _BLOCK + _padded(size)


def _padded(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK
