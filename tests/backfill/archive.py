"""An archive for the tests, and what a backfill has made of it."""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np

Row = dict[str, Any]


def photo(seed: int, marker: str = "") -> bytes:
    """A tiny JPEG; a marker behind its end makes a sabotaged worker do what it says."""
    coarse = np.random.default_rng(seed).integers(0, 255, (6, 8, 3), np.uint8)
    pixels = cv2.resize(coarse, (64, 48), interpolation=cv2.INTER_CUBIC)
    content = cv2.imencode(".jpg", pixels)[1].tobytes()
    return content + (f"SABOTAGE:{marker}".encode() if marker else b"")


def fill(folder: Path, count: int, first: int = 0) -> set[str]:
    """Photos in some folders; returns their names."""
    names = set()
    for seed in range(first, first + count):
        path = folder / f"day{seed % 3}" / f"p{seed:06d}.v1.jpg"  # a dot inside: see WebDataset
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(photo(seed))
        names.add(path.relative_to(folder).as_posix())
    return names


def rows(target: Path) -> list[Row]:
    """The whole index."""
    import duckdb  # noqa: PLC0415 - of the extra test

    found = duckdb.sql(f"select * from '{target}/index/*.parquet' order by name")
    return [dict(zip(found.columns, row, strict=True)) for row in found.fetchall()]


def shards(target: Path) -> set[str]:
    return {f"shards/{path.name}" for path in (target / "shards").iterdir()}


def in_shards(target: Path, found: list[Row], suffix: str) -> dict[str, bytes]:
    """By name, one file of each photo that is listed as done; every shard is read to its end."""
    held: dict[str, bytes] = {}
    for shard in {row["shard"] for row in found if row["done"]}:
        with tarfile.open(target / shard) as tar:
            for member in tar:
                file = tar.extractfile(member)
                assert file is not None
                held[f"{shard}:{member.name}"] = file.read()
    return {
        row["name"]: held[f"{row['shard']}:{row['key']}{suffix}"] for row in found if row["done"]
    }
