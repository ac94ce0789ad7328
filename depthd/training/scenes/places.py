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
    "room": (room, 0.9),
    "kitchen": (kitchen, 0.15),
    "corridor": (corridor, 0.15),
    "table top": (table_top, 0.13),
    "desk": (desk_close, 0.11),
    "things": (things_close, 0.14),
    "street": (street, 0.1),
    "field": (field, 0.04),
    "beds": (beds, 0.05),
    "garden": (garden, 0.05),
    "crowd": (crowd, 0.06),
    # Where lower is not nearer: what the ramp gets wrong.
    "animals": (animals, 0.05),
    "water": (water, 0.02),
    "upwards": (upwards, 0.03),
    "drive": (drive, 0.2),
    "orchard": (orchard, 0.04),
    "gutters": (gutters, 0.04),
    "patch": (patch, 0.04),
    "shelves": (shelves, 0.08),
    "worktop": (worktop, 0.08),
    "alongside": (alongside, 0.1),
    "flat": (flat, 0.02),
    "floating": (floating, 0.03),
    "crate": (crate, 0.25),
    "laid": (laid, 0.1),
    "lying": (lying, 0.06),
}
"""What is built and how often."""
