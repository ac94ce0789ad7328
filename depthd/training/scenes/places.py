"""The places that are built, and how often."""

from __future__ import annotations

from collections.abc import Callable

from depthd.training.scenes.above import crate, laid, lying
from depthd.training.scenes.close import desk_close, table_top, things_close
from depthd.training.scenes.growing import gutters, orchard, patch
from depthd.training.scenes.indoors import corridor, crowd, kitchen, room
from depthd.training.scenes.nature import beds, field, garden
from depthd.training.scenes.near import alongside, flat, floating, shelves, worktop
from depthd.training.scenes.stage import Stage
from depthd.training.scenes.streets import street
from depthd.training.scenes.view import ViewMaker
from depthd.training.scenes.wild import animals, drive, upwards, water

PLACES: dict[str, tuple[Callable[[Stage], ViewMaker], float]] = {
    "room": (room, 0.16),
    "kitchen": (kitchen, 0.13),
    "corridor": (corridor, 0.05),
    "table top": (table_top, 0.15),
    "desk": (desk_close, 0.11),
    "things": (things_close, 0.1),
    "street": (street, 0.18),
    "field": (field, 0.06),
    "beds": (beds, 0.08),
    "garden": (garden, 0.06),
    "crowd": (crowd, 0.03),
    # Where lower is not nearer: what the ramp gets wrong.
    "animals": (animals, 0.08),
    "water": (water, 0.03),
    "upwards": (upwards, 0.05),
    "drive": (drive, 0.14),
    "orchard": (orchard, 0.08),
    "gutters": (gutters, 0.07),
    "patch": (patch, 0.06),
    "shelves": (shelves, 0.07),
    "worktop": (worktop, 0.1),
    "alongside": (alongside, 0.06),
    "flat": (flat, 0.04),
    "floating": (floating, 0.06),
    "crate": (crate, 0.3),
    "laid": (laid, 0.25),
    "lying": (lying, 0.12),
}
"""What is built and how often."""
