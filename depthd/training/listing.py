"""Sets of photos with depth as a table lists them, each made into a folder of pairs.

The table is a CSV file with the columns photo, depth (PNG, one channel), set, kind (`metric`,
`affine_disparity` or `unscaled`), div (parts of a metre), max_m (beyond it unknown), label (who
made the depth: sensor, stereo, simulator, predicted) and use (`train`, or measured only).
"""

from __future__ import annotations

import csv
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from depthd.training import pairs
from depthd.training.depths import disparity, metric, unscaled

DOUBT = {"sensor": 0.2, "stereo": 0.1, "simulator": 0.0, "predicted": 0.2}
"""Share of the largest errors that is left out in training, by who made the depth."""
PREDICTED_WEIGHT = 0.5
"""How often a photo with predicted depth is drawn, against one with measured depth."""


@dataclass(frozen=True)
class Listed:
    """A set: its folder of pairs, whether it may be trained on, and how far its depth is right."""

    name: str
    folder: Path
    train: bool
    label: str


def read(table: Path, out: Path) -> list[Listed]:
    """The sets of a table, as folders of pairs below `out`; pairs that are there are kept.

    Raises:
        ValueError: a file is missing or damaged, or the table says something unknown, or two things
            of one set or photo.
    """
    rows = list(csv.DictReader(table.read_text(encoding="utf-8").splitlines()))
    found: dict[str, Listed] = {}
    stems: dict[Path, str] = {}
    for row in rows:
        name, label = row["set"], row["label"]
        if label not in DOUBT:
            raise ValueError(f"{table}: {row['photo']}: label {label} is not known")
        folder = out / name
        part = Listed(name, folder, row["use"] == "train", label)
        if found.setdefault(name, part) != part:
            raise ValueError(f"{table}: {row['photo']}: set {name} has another use or label above")
        stem = folder / Path(row["photo"]).stem
        if stems.setdefault(stem, row["photo"]) != row["photo"]:
            raise ValueError(f"{table}: {row['photo']}: set {name} has {stems[stem]} as well")
        if not Path(f"{stem}{pairs.SUFFIX}").exists():
            folder.mkdir(parents=True, exist_ok=True)
            _copy(table.parent, row, stem)
    return list(found.values())


def _copy(home: Path, row: Mapping[str, str], stem: Path) -> None:
    photo = cv2.imread(str(home / row["photo"]), cv2.IMREAD_COLOR)
    stored = cv2.imread(str(home / row["depth"]), cv2.IMREAD_UNCHANGED)
    if photo is None or stored is None or photo.shape[:2] != stored.shape:
        raise ValueError(f"{home / row['depth']}: photo or depth is missing or of another size")
    pairs.write(stem, photo.astype(np.uint8), inverse(stored.astype(np.float32), row))
    if row["photo"].endswith(".jpg"):  # as it was, not coded anew
        shutil.copyfile(home / row["photo"], f"{stem}.jpg")


def inverse(stored: NDArray[np.float32], row: Mapping[str, str]) -> NDArray[np.float32]:
    """Inverse depth (H, W) from stored numbers, NaN where it is unknown."""
    if row["kind"] == "metric":
        return metric.inverse(stored, float(row["div"]), float(row["max_m"] or "inf"))
    if row["kind"] == "affine_disparity":
        return disparity.inverse(stored)
    if row["kind"] == "unscaled":
        return unscaled.inverse(stored)
    raise ValueError(f"{row['depth']}: kind {row['kind']} is not known")
