"""Small things: what lies on tables, shelves and floors.

Each function takes the stage, a frame whose origin is the middle of the thing's foot and whose
front is towards negative y, and a size in metres.
"""

from __future__ import annotations

import numpy as np

from depthd.training.scenes import materials, meshes
from depthd.training.scenes.plants import pot_plant
from depthd.training.scenes.stage import Frame, Stage


def vessel(stage: Stage, frame: Frame, height: float) -> None:
    """A turned body: bottle, vase, cup, bowl, jar, lamp foot."""
    knots = stage.count(3, 6)
    radii = np.array([stage.between(0.1, 0.5) for _ in range(knots)]) * stage.between(0.5, 1.3)
    if stage.chance(0.4):
        radii[:] = radii[0] * np.linspace(1, stage.between(0.8, 1.5), knots)  # a cup or a can
    fine = np.linspace(0, knots - 1, 14)
    outline = np.stack([np.interp(fine, np.arange(knots), radii), np.linspace(0, 1, 14)], axis=1)
    inner = outline[::-1] * np.array([0.88, 1.0])
    inner[-1] = (1e-4, 0.04)
    profile = np.concatenate(
        [[[1e-4, 0.0]], outline, inner if stage.chance(0.5) else [[1e-4, 1.0]]]
    )
    body = meshes.lathe(profile * height, 24)
    stage.put(body, materials.anything(stage), frame)
    if stage.chance(0.3):  # a handle
        angle = np.linspace(-1.3, 1.3, 12)
        path = np.stack([np.cos(angle) * 0.3, np.zeros(12), np.sin(angle) * 0.3 + 0.5], axis=1)
        path[:, 0] += radii.mean() * 0.7
        stage.put(meshes.tube(path * height, 0.04 * height), materials.paint(stage), frame)


def books(stage: Stage, frame: Frame, width: float = 0.3) -> None:
    """A pile or a row of books."""
    if stage.chance(0.5):
        height = 0.0
        for _ in range(stage.count(1, 6)):
            thick = stage.between(0.01, 0.05)
            size = (width * stage.between(0.6, 1), width * stage.between(0.5, 0.8), thick)
            turn = (0.0, 0.0, stage.between(-0.4, 0.4))
            stage.box(materials.anything(stage), frame, (0, 0, height + thick / 2), size, turn)
            height += thick
        return
    place = -width / 2
    while place < width / 2:
        thick, tall = stage.between(0.01, 0.05), stage.between(0.15, 0.28)
        lean = (0.0, stage.between(-0.1, 0.1), 0.0)
        offset = (place, stage.between(-0.02, 0.02), tall / 2)
        stage.box(materials.anything(stage), frame, offset, (thick, 0.15, tall), lean)
        place += thick * 1.05


def carton(stage: Stage, frame: Frame, size: float) -> None:
    """A closed or open box, sometimes with a label."""
    x, y, z = (size * stage.between(0.3, 1.0) for _ in range(3))
    look = materials.anything(stage)
    if stage.chance(0.7):
        stage.box(look, frame, (0, 0, z / 2), (x, y, z))
        if stage.chance(0.5):
            label = materials.picture(stage)
            stage.plane(
                label, frame, (0, -y / 2 - 0.001, z / 2), (x * 0.8, z * 0.7), (1.5708, 0, 0)
            )
        return
    wall = 0.03 * size
    stage.box(look, frame, (0, 0, wall / 2), (x, y, wall))
    for side in (-1, 1):
        stage.box(look, frame, (side * x / 2, 0, z / 2), (wall, y, z))
        stage.box(look, frame, (0, side * y / 2, z / 2), (x, wall, z))
        if stage.chance(0.5):
            flap = (stage.between(-1, 1), 0.0, 0.0)
            stage.box(look, frame, (0, side * y * 0.7, z), (x, y * 0.4, wall), flap)


def cable(stage: Stage, frame: Frame, length: float) -> None:
    """A cable, hose or rope that lies about."""
    path = meshes.curl(stage.random, length, stage.between(0.3, 0.8) * min(length, 1.0))
    radius = stage.between(0.002, 0.008)
    path[:, 2] += radius
    stage.put(meshes.tube(path, radius), materials.paint(stage), frame)


def tool(stage: Stage, frame: Frame, length: float) -> None:
    """Long and thin with a head: hammer, brush, spoon, pen, screwdriver, scissors."""
    thick = stage.between(0.02, 0.12) * length
    turn = (0.0, 1.5708, stage.between(0, 6.3))
    spin = frame.at(0, 0, 0, stage.between(0, 6.3))
    stage.cylinder(
        materials.anything(stage), spin, (0, 0, thick / 2), (thick, thick, length), (0, turn[1], 0)
    )
    if stage.chance(0.7):
        head = (stage.between(0.1, 0.4) * length, stage.between(0.1, 0.5) * length, thick * 1.3)
        shape = stage.pick(stage.box, stage.ball, stage.cylinder)
        shape(materials.anything(stage), spin, (length / 2, 0, thick * 0.65), head)


def fruit(stage: Stage, frame: Frame, size: float) -> None:
    """Round things: fruit, balls, stones, buns."""
    size *= 0.4
    for _ in range(stage.count(1, 5)):
        place = (stage.between(-size, size), stage.between(-size, size), size / 2)
        look = materials.plain(stage, materials.hue(stage, (0.2, 1), (0.2, 0.95)))
        if stage.chance(0.5):
            stage.ball(look, frame, place, (size, size, size * stage.between(0.8, 1.1)))
        else:
            stage.put(meshes.blob(stage.random, 0.12), look, frame, place, (size, size, size))


def lump(stage: Stage, frame: Frame, size: float) -> None:
    """A soft or irregular thing: bag, cushion, cloth, toy, stone."""
    shape = meshes.blob(stage.random, stage.between(0.1, 0.4))
    x, y, z = (size * stage.between(0.4, 1.0) for _ in range(3))
    turn = (0.0, 0.0, stage.between(0, 6.3))
    stage.put(shape, materials.anything(stage), frame, (0, 0, z * 0.4), (x, y, z), turn)


SMALL = (vessel, vessel, vessel, carton, carton, cable, tool, tool, fruit, lump, pot_plant)


def small_thing(stage: Stage, frame: Frame, size: float) -> None:
    """One thing for a table, about `size` metres large."""
    kind = stage.pick(*SMALL)
    kind(stage, frame.at(0, 0, 0, stage.between(0, 6.3)), size * stage.between(0.5, 1.2))


def scatter(stage: Stage, frame: Frame, width: float, deep: float, count: int, size: float) -> None:
    """Small things at random over a surface."""
    for _ in range(count):
        place = frame.at(stage.between(-width / 2, width / 2), stage.between(-deep / 2, deep / 2))
        small_thing(stage, place, size)
