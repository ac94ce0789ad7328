"""Where a camera stands and looks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from depthd.training.scenes.stage import Vector


@dataclass(frozen=True)
class View:
    """A camera: its place and aim in metres, its field of view along the long side in degrees."""

    place: Vector
    aim: Vector
    field_of_view: float
    nearest: float = 0.25  # metres that must be free in front of it


ViewMaker = Callable[[], View]
