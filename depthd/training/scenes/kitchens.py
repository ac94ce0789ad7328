"""Kitchen rows: cupboards, worktops, appliances."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from depthd.training.scenes import materials, meshes
from depthd.training.scenes.stage import Frame, Stage
from depthd.training.scenes.things import scatter, vessel


@dataclass(frozen=True)
class Kitchen:
    """What the parts of one kitchen row share: surfaces, and sizes in metres."""

    front: Any
    top: Any
    grip: Any
    width: float
    height: float
    step: float
    units: int
    deep: float = 0.6


def kitchen_row(stage: Stage, frame: Frame, width: float) -> None:
    """Lower cupboards with a worktop, appliances, upper cupboards, and clutter."""
    front = stage.pick(materials.paint, materials.paint, materials.wood)(stage)
    units = max(int(width / 0.6), 1)
    row = Kitchen(
        front,
        materials.floor(stage),
        materials.metal(stage),
        width,
        stage.between(0.85, 0.95),
        width / units,
        units,
    )
    height, deep = row.height, row.deep
    stage.box(front, frame, (0, 0.03, height / 2), (width, deep - 0.06, height - 0.04))
    stage.box(row.top, frame, (0, 0, height), (width, deep + 0.02, 0.04))
    for k in range(units):
        part = stage.pick(_door, _door, _drawers, _oven, _washer)
        part(stage, frame.at((k + 0.5) * row.step - width / 2, 0), row)
    if stage.chance(0.6):
        _sink(stage, frame.at(stage.between(-width / 3, width / 3), 0, height))
    if stage.chance(0.7):
        _upper_cupboards(stage, frame, row)
    scatter(stage, frame.at(0, 0.03, height + 0.02), width * 0.9, 0.4, stage.count(2, 12), 0.25)
    if stage.chance(0.6):
        appliance(stage, frame.at(stage.between(-width / 3, width / 3), 0.1, height + 0.02))


def _door(stage: Stage, frame: Frame, row: Kitchen) -> None:
    size = (row.step - 0.01, 0.02, row.height - 0.15)
    stage.box(row.front, frame, (0, -row.deep / 2 + 0.01, row.height / 2), size)
    place = (row.step * 0.35, -row.deep / 2 - 0.02, row.height * 0.7)
    stage.box(row.grip, frame, place, (0.012, 0.02, 0.15))


def _drawers(stage: Stage, frame: Frame, row: Kitchen) -> None:
    for k in range(3):
        z = 0.1 + (k + 0.5) * (row.height - 0.14) / 3
        size = (row.step - 0.01, 0.02, (row.height - 0.2) / 3)
        stage.box(row.front, frame, (0, -row.deep / 2 + 0.01, z), size)
        grip = (row.step * 0.4, 0.02, 0.012)
        stage.box(row.grip, frame, (0, -row.deep / 2 - 0.02, z + 0.05), grip)


def _machine(stage: Stage, frame: Frame, row: Kitchen) -> Any:
    body = stage.pick(materials.metal, materials.paint)(stage)
    size = (row.step - 0.01, 0.03, row.height - 0.12)
    stage.box(body, frame, (0, -row.deep / 2, row.height / 2), size)
    return materials.glass(stage)


def _oven(stage: Stage, frame: Frame, row: Kitchen) -> None:
    hole, face = _machine(stage, frame, row), -row.deep / 2
    pane = (row.step * 0.75, 0.35)
    stage.plane(hole, frame, (0, face - 0.017, row.height * 0.4), pane, (np.pi / 2, 0, 0))
    rail = (row.step * 0.8, 0.02, 0.02)
    stage.box(row.grip, frame, (0, face - 0.04, row.height * 0.65), rail)
    for knob in range(4):
        place = ((knob - 1.5) * 0.1, face - 0.02, row.height * 0.8)
        stage.cylinder(row.grip, frame, place, (0.035, 0.035, 0.03), (np.pi / 2, 0, 0))
    for x in (-0.13, 0.13):
        for y in (-0.12, 0.12):
            stage.cylinder(hole, frame, (x, y, row.height + 0.022), (0.18, 0.18, 0.006))
    if stage.chance(0.7):
        vessel(stage, frame.at(-0.13, 0.12, row.height + 0.025), stage.between(0.1, 0.2))


def _washer(stage: Stage, frame: Frame, row: Kitchen) -> None:
    hole = _machine(stage, frame, row)
    place = (0.0, -row.deep / 2 - 0.017, row.height * 0.45)
    stage.cylinder(hole, frame, place, (0.34, 0.34, 0.02), (np.pi / 2, 0, 0))


def _sink(stage: Stage, frame: Frame) -> None:
    stage.box(materials.metal(stage), frame, (0, 0, 0.012), (0.5, 0.4, 0.02))
    angle = np.linspace(0, np.pi, 8)
    bend = np.stack(
        [np.zeros(8), -0.08 + 0.08 * np.cos(angle), 0.25 + 0.08 * np.sin(angle)], axis=1
    )
    path = np.concatenate([[(0.0, 0.0, 0.0)], bend])
    stage.put(meshes.tube(path, 0.012), materials.metal(stage), frame, (0, 0.2, 0.02))


def _upper_cupboards(stage: Stage, frame: Frame, row: Kitchen) -> None:
    lift = row.height + stage.between(0.45, 0.65)
    tall, slim = stage.between(0.5, 0.9), stage.between(0.3, 0.38)
    hood = stage.count(0, row.units)  # one more than there are: some rows have no hood
    for k in range(row.units):
        unit = frame.at((k + 0.5) * row.step - row.width / 2, 0, lift)
        if k == hood:
            look = materials.metal(stage)
            stage.box(look, unit, (0, 0.08, 0.05), (row.step, 0.45, 0.1))
            stage.box(look, unit, (0, 0.18, tall / 2), (row.step / 2, 0.25, tall))
            continue
        size = (row.step - 0.008, slim, tall)
        stage.box(row.front, unit, (0, 0.3 - slim / 2, tall / 2), size)
        stage.box(row.grip, unit, (row.step * 0.35, 0.28 - slim, 0.1), (0.012, 0.02, 0.12))


def appliance(stage: Stage, frame: Frame) -> None:
    """Microwave, coffee machine, toaster: a box with a front."""
    width, deep, height = (
        stage.between(0.2, 0.5),
        stage.between(0.2, 0.35),
        stage.between(0.15, 0.4),
    )
    stage.box(
        stage.pick(materials.paint, materials.metal)(stage),
        frame,
        (0, 0, height / 2),
        (width, deep, height),
    )
    place = (-width * 0.1, -deep / 2 - 0.002, height / 2)
    stage.plane(materials.glass(stage), frame, place, (width * 0.65, height * 0.7), (1.5708, 0, 0))
    for k in range(3):
        knob = (width * 0.38, -deep / 2 - 0.01, height * (0.25 + 0.25 * k))
        stage.cylinder(materials.metal(stage), frame, knob, (0.03, 0.03, 0.02), (1.5708, 0, 0))


def fridge(stage: Stage, frame: Frame) -> None:
    """A tall fridge."""
    look, height = stage.pick(materials.paint, materials.metal)(stage), stage.between(1.4, 2.0)
    stage.box(look, frame, (0, 0, height / 2), (0.6, 0.6, height))
    split = height * stage.between(0.3, 0.7)
    for low, high in ((0.05, split), (split, height)):
        stage.box(look, frame, (0, -0.31, (low + high) / 2), (0.59, 0.05, high - low - 0.012))
        stage.box(
            materials.metal(stage), frame, (0.24, -0.36, (low + high) / 2), (0.02, 0.03, 0.35)
        )
