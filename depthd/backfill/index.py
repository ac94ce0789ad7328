"""The index: Parquet, one row a photo, in parts that each appear whole and as the last of a unit.

What no part lists does not count. The parts of one run hold photos in the order of the source, and
never the same ones, so that what is done can be read beside the source, in one pass.
"""

from __future__ import annotations

import base64
import heapq
import io
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from depthd.backfill.store import Store, put
from depthd.backfill.units import Failure, Order, Photo
from depthd.contract.errors import FAULTS, FaultCode, OutputError
from depthd.contract.manifest import Facts, Source

FOLDER = "index"
_END = ".parquet"
_PART = re.compile(r"(?P<run>\d{8}T\d{6}Z)-(?P<number>\d{8})")
_WRITTEN_BY = b"depthd.run"
_PERCENTILES = ("2", "25", "50", "75", "98")

_FILE = pa.struct([("format", pa.string()), ("sha256", pa.string()), ("bytes", pa.int64())])
SCHEMA = pa.schema(
    [
        pa.field("key", pa.string(), nullable=False),  # of the sample in its shard
        pa.field("name", pa.string(), nullable=False),
        pa.field("name_base64", pa.string()),
        pa.field("address", pa.string(), nullable=False),
        pa.field("position", pa.int64(), nullable=False),
        pa.field("done", pa.bool_(), nullable=False),
        ("shard", pa.string()),
        ("source_sha256", pa.string()),
        ("source_bytes", pa.int64()),
        ("format", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("depth_width", pa.int32()),
        ("depth_height", pa.int32()),
        ("depth_min", pa.float64()),
        ("depth_max", pa.float64()),
        *((f"depth_p{percent}", pa.float64()) for percent in _PERCENTILES),
        ("metres_error_percent", pa.float64()),
        ("metres_reason", pa.string()),
        ("model", pa.string()),
        ("weights_sha256", pa.string()),
        ("fallback", pa.bool_()),
        ("files", pa.list_(_FILE)),
        ("code", pa.string()),
        ("sentence", pa.string()),
        ("detail", pa.string()),
    ]
)
Row = dict[str, Any]
Parts = dict[str, list[str]]  # of each run, in order


def part_name(run: str, number: int) -> str:
    return f"{run}-{number:08d}"


def done_row(photo: Photo, key: str, facts: Facts, shard: str | None) -> Row:
    """The row of a photo that became depth."""
    depth, metres = facts.depth, facts.metres
    return {
        **_named(photo, key),
        "done": True,
        "shard": shard,
        "source_sha256": facts.source_sha256,
        "source_bytes": facts.source_size,
        "format": facts.photo.format,
        "width": facts.photo.width,
        "height": facts.photo.height,
        "depth_width": depth.width,
        "depth_height": depth.height,
        "depth_min": depth.min,
        "depth_max": depth.max,
        **{f"depth_p{percent}": value for percent, value in depth.percentiles.items()},
        "metres_error_percent": metres.error_percent if metres else None,
        "metres_reason": metres.reason if metres else None,
        "model": facts.model.name,
        "weights_sha256": facts.model.weights_sha256,
        "fallback": facts.model.fallback,
        "files": [
            {"format": str(file.format), "sha256": file.sha256, "bytes": file.bytes}
            for file in facts.files
        ],
    }


def failed_row(photo: Photo, key: str, code: FaultCode, detail: str) -> Row:
    """The row of a photo that did not."""
    return {
        **_named(photo, key),
        "done": False,
        "code": str(code),
        "sentence": FAULTS[code].sentence,
        "detail": detail,
    }


def _named(photo: Photo, key: str) -> Row:
    named = Source.of(photo.name, "0" * 64, 0)
    return {
        "key": key,
        "name": named.name,
        "name_base64": named.name_base64,
        "address": photo.address.encode(errors="backslashreplace").decode(),
        "position": photo.position,
    }


def photo_of(row: Row) -> Photo:
    """The photo of a row, to be tried again."""
    return Photo(_exact_name(row), row["address"], row["position"])


def failure_of(row: Row) -> Failure:
    return Failure(row["name"], row["code"], row["detail"] or row["sentence"])


def _exact_name(row: Row) -> str:
    if row["name_base64"] is not None:
        return os.fsdecode(base64.b64decode(row["name_base64"]))
    return str(row["name"])


@dataclass(frozen=True, slots=True)
class Listed:
    """What the plan needs to know of a row."""

    order: Order
    address: str
    done: bool


class Index:
    """The parts in a target."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def write(self, part: str, rows: Sequence[Row], run: str) -> None:
        """Let these photos count; a part of this name is replaced at once."""
        schema = SCHEMA.with_metadata({_WRITTEN_BY: run.encode()})
        buffer = io.BytesIO()
        table = pa.Table.from_pylist(list(rows), schema)
        parquet.write_table(table, buffer, compression="zstd")
        put(self._store, f"{FOLDER}/{part}{_END}", [buffer.getbuffer()])

    def rows(self, part: str) -> tuple[list[Row], str] | None:
        """The rows of a part, and the run that wrote it last; None where it is not there."""
        table = self._table(part, None)
        if table is None:
            return None
        return table.to_pylist(), (table.schema.metadata or {}).get(_WRITTEN_BY, b"").decode()

    def parts(self) -> Parts:
        """The parts of each run, in order."""
        found: dict[str, list[str]] = defaultdict(list)
        for entry in self._store.list(FOLDER):
            match = _PART.fullmatch(entry.name.removesuffix(_END))
            if match and entry.name.endswith(_END):
                found[match["run"]].append(match[0])
        return {run: sorted(parts) for run, parts in found.items()}

    def listed(self, parts: dict[str, list[str]]) -> Iterator[Listed]:
        """Every row in the order of the source; one part of each run lies in memory."""
        return heapq.merge(*map(self._of_run, parts.values()), key=lambda listed: listed.order)

    def failed(self, parts: dict[str, list[str]]) -> Iterator[tuple[str, list[Photo]]]:
        """Each part that has failed photos, with these."""
        for part in (each for run in parts.values() for each in run):
            rows = self._columns(part, ["name", "name_base64", "address", "position", "done"])
            if photos := [photo_of(row) for row in rows if not row["done"]]:
                yield part, photos

    def shards(self, part: str) -> set[str]:
        """The shards that a part lists."""
        return {row["shard"] for row in self._columns(part, ["shard"]) if row["shard"]}

    def _of_run(self, parts: Iterable[str]) -> Iterator[Listed]:
        for part in parts:
            columns = ["name", "name_base64", "address", "position", "done"]
            for row in self._columns(part, columns):
                yield Listed(photo_of(row).order, row["address"], row["done"])

    def _columns(self, part: str, columns: list[str]) -> list[Row]:
        table = self._table(part, columns)
        if table is None:
            raise OutputError(f"{FOLDER}/{part}{_END} was there and is gone", "run it again")
        return list(table.to_pylist())

    def _table(self, part: str, columns: list[str] | None) -> pa.Table | None:
        path = f"{FOLDER}/{part}{_END}"
        data = self._store.read(path)
        if data is None:
            return None
        try:
            return parquet.read_table(io.BytesIO(data), columns=columns)
        except (pa.ArrowInvalid, OSError) as error:
            raise OutputError(
                f"{path} is no part of an index: {error}",
                "remove it; its photos will be worked on again",
            ) from error
