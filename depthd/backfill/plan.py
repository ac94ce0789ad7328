"""What is still to be done: the source held against the index, both read once, side by side."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from depthd.backfill.index import Index, Listed, Parts, part_name
from depthd.backfill.units import Photo, Unit
from depthd.contract.errors import NoInputError, UsageError
from depthd.contract.names import printable


@dataclass
class Before:
    """What an index had when a plan was made; grows while the plan is read."""

    done: int = 0
    failed: int = 0


class Plan:
    """The units of one run, always the same ones for the same source and parts.

    Args:
        source: photos in order.
        index: of the target.
        parts: those that were there when the run began, by run.
        run: name of this run.
        size: photos in a unit at most.
        retry_failed: photos that failed are tried again.

    Attributes:
        before: photos of the source that need nothing.
    """

    def __init__(
        self,
        source: Iterable[Photo],
        index: Index,
        parts: Parts,
        *,
        run: str,
        size: int,
        retry_failed: bool,
    ) -> None:
        self._source = source
        self._index = index
        self._parts = parts
        self._run = run
        self._size = size
        self._retry_failed = retry_failed
        self.before = Before()

    def units(self) -> Iterator[Unit]:
        """New photos in units of this run, then those to be tried again, by the parts they are in.

        Raises:
            UsageError: a list of addresses is not the one that the index was made from.
        """
        number, chosen = 0, list[Photo]()
        for photo in self._missing():
            chosen.append(photo)
            if len(chosen) == self._size:
                yield Unit(part_name(self._run, number), tuple(chosen))
                number, chosen = number + 1, []
        if chosen:
            yield Unit(part_name(self._run, number), tuple(chosen))
        if self._retry_failed:
            for part, photos in self._index.failed(self._parts):
                yield Unit(part, tuple(photos), retries=True)

    def _missing(self) -> Iterator[Photo]:
        listed = iter(self._index.listed(self._parts))
        row = next(listed, None)
        last: Photo | None = None
        for photo in self._source:
            if last is not None and photo.order <= last.order:
                raise NoInputError(
                    f"{printable(photo.name)} is listed after {printable(last.name)}",
                    "the store does not list in the order of the names, and cannot be a source",
                )
            last = photo
            while row is not None and row.order < photo.order:
                row = next(listed, None)  # it has left the source
            if row is None or row.order > photo.order:
                yield photo
            else:
                self._note(photo, row)

    def _note(self, photo: Photo, row: Listed) -> None:
        if photo.position >= 0 and photo.address != row.address:
            raise UsageError(
                f"line {photo.position + 1} of the list is {printable(photo.address)}, and was "
                f"{printable(row.address)} when the target was begun",
                "append to a list, or give another TARGET",
            )
        if row.done:
            self.before.done += 1
        elif not self._retry_failed:
            self.before.failed += 1
