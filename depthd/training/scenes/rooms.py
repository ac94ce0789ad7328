"""Parts that all rooms share: walls, windows, pictures, and how to stand in them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from depthd.training.scenes import materials, meshes
from depthd.training.scenes.light import warm
from depthd.training.scenes.stage import Frame, Stage
from depthd.training.scenes.things import scatter
from depthd.training.scenes.view import View


def shell(stage: Stage, wide: float, deep: float, *, windows: bool = True) -> float:
    """Floor, walls, ceiling, lamps, windows, door, pictures, of a room around the origin."""
    tall = stage.between(2.2, 3.8)
    look = materials.wall(stage)
    stage.plane(materials.floor(stage), Frame(), (0, 0, 0), (wide, deep))
    stage.plane(
        materials.wall(stage) if stage.chance(0.2) else materials.plain(stage, (0.85, 0.85, 0.83)),
        Frame(),
        (0, 0, tall),
        (wide, deep),
    )
    sides = [
        Frame((0, deep / 2, 0), 0.0),
        Frame((0, -deep / 2, 0), np.pi),
        Frame((wide / 2, 0, 0), -np.pi / 2),
        Frame((-wide / 2, 0, 0), np.pi / 2),
    ]
    night = stage.chance(0.3)
    for k, side in enumerate(sides):
        length = wide if k < 2 else deep
        paint = look if stage.chance(0.8) else materials.wall(stage)
        stage.plane(paint, side, (0, 0, tall / 2), (length, tall), (np.pi / 2, 0, 0))
        if stage.chance(0.7):
            stage.box(materials.paint(stage), side, (0, -0.01, 0.05), (length, 0.02, 0.1))
        if windows and stage.chance(0.45):
            window(
                stage,
                side.at(stage.between(-0.25, 0.25) * length, 0),
                min(length * 0.7, 2.2),
                night,
            )
        elif stage.chance(0.4):
            x = stage.between(-0.3, 0.3) * length
            stage.box(materials.wood(stage), side, (x, -0.02, 1.03), (1.0, 0.06, 2.1))
            stage.box(materials.paint(stage), side, (x, -0.04, 1.0), (0.86, 0.06, 2.0))
            stage.ball(materials.metal(stage), side, (x + 0.35, -0.1, 1.0), (0.06, 0.06, 0.06))
        for _ in range(stage.pick(0, 0, 1, 2)):
            poster(
                stage,
                side.at(stage.between(-0.4, 0.4) * length, -0.015, stage.between(1.2, 1.9)),
                stage.between(0.3, 1.2),
            )
    for _ in range(stage.count(1, 3)):
        place = (stage.between(-0.3, 0.3) * wide, stage.between(-0.3, 0.3) * deep, tall - 0.05)
        stage.lamp(
            Frame(),
            place,
            stage.between(15, 60) * max(wide * deep / 12, 0.7),
            warm(stage),
            stage.between(0.1, 0.8),
        )
        if stage.chance(0.6):
            drop = stage.between(0.05, 1.0)
            shine = materials.glow(stage, warm(stage), stage.pick(1, 4, 10))
            stage.ball(shine, Frame(), (place[0], place[1], tall - drop), (0.3, 0.3, 0.2))
            stage.cylinder(
                shine, Frame(), (place[0], place[1], tall - drop / 2), (0.01, 0.01, drop)
            )
    if stage.chance(0.3):
        rug = (stage.between(1, wide * 0.8), stage.between(1, deep * 0.8))
        stage.box(
            materials.cloth(stage),
            Frame(),
            (stage.between(-0.5, 0.5), stage.between(-0.5, 0.5), 0.006),
            (*rug, 0.012),
        )
    stage.world(warm(stage), stage.between(0.01, 0.12) if night else stage.between(0.05, 0.5))
    return tall


def window(stage: Stage, side: Frame, width: float, night: bool) -> None:
    """A window in a wall: a bright or dark pane with bars, frame, sill, maybe curtains."""
    tall, low = stage.between(0.9, 1.6), stage.between(0.4, 1.0)
    width *= stage.between(0.5, 1)
    strength = stage.between(0.02, 0.1) if night else stage.between(1, 8)
    pane = (
        materials.picture(stage, strength)
        if stage.chance(0.5)
        else materials.glow(stage, (0.8, 0.9, 1), strength)
    )
    stage.plane(pane, side, (0, -0.01, low + tall / 2), (width, tall), (np.pi / 2, 0, 0))
    frame = materials.paint(stage)
    for k in range(stage.count(2, 4)):
        x = -width / 2 + k * width / 2
        if x <= width / 2 + 0.01:
            stage.box(frame, side, (x, -0.03, low + tall / 2), (0.06, 0.06, tall))
    for z in (low, low + tall):
        stage.box(frame, side, (0, -0.03, z), (width + 0.06, 0.06, 0.06))
    stage.box(frame, side, (0, -0.1, low - 0.03), (width + 0.2, 0.2, 0.03))
    if stage.chance(0.4):
        scatter(stage, side.at(0, -0.1, low), width * 0.8, 0.05, stage.count(1, 4), 0.2)
    if stage.chance(0.35):
        cloth = materials.cloth(stage)
        for end in (-1, 1):
            folds = np.linspace(0, 1, 24)
            path = np.stack(
                [end * (width / 2 + 0.15) + (folds - 0.5) * 0.5, -0.12 + 0.04 * np.sin(folds * 40)],
                axis=1,
            )
            bottom, top = (
                np.column_stack([path, np.full(24, z)]) for z in (0.05, low + tall + 0.2)
            )
            faces = tuple((i, i + 1, 24 + i + 1, 24 + i) for i in range(23))
            stage.put(meshes.Mesh(np.concatenate([bottom, top]), faces, True), cloth, side)
    if stage.chance(0.3):
        radiator = materials.paint(stage)
        for k in range(12):
            stage.box(radiator, side, ((k - 5.5) * 0.08, -0.08, low / 2), (0.06, 0.1, low * 0.8))


def poster(stage: Stage, side: Frame, size: float) -> None:
    """A picture on a wall, or a board, screen or mirror-like pane."""
    shape = (size * stage.between(0.6, 1.4), size)
    stage.box(materials.anything(stage), side, (0, 0, 0), (shape[0] * 1.05, 0.02, shape[1] * 1.05))
    look = stage.pick(materials.picture, materials.picture, materials.picture, materials.paint)(
        stage
    )
    stage.plane(look, side, (0, -0.012, 0), shape, (np.pi / 2, 0, 0))


def partition(stage: Stage, frame: Frame) -> None:
    """A board that stands in the room: a screen, a whiteboard, the side of a booth."""
    wide, tall = stage.between(0.8, 2.6), stage.between(0.9, 2.0)
    look = stage.pick(materials.paint, materials.wall, materials.cloth, materials.picture)(stage)
    low, thick = stage.pick(0.0, stage.between(0, 0.5)), stage.between(0.02, 0.12)
    stage.box(look, frame, (0, 0, low + tall / 2), (wide, thick, tall))
    if low:
        leg = materials.metal(stage)
        for side in (-1, 1):
            stage.box(leg, frame, (side * wide * 0.45, 0, low / 2), (0.04, 0.04, low))
            stage.box(leg, frame, (side * wide * 0.45, 0, 0.02), (0.06, 0.6, 0.04))
    if stage.chance(0.3):
        poster(stage, frame.at(0, -thick / 2 - 0.01, low + tall / 2), min(tall, wide) * 0.6)


def along_wall(
    stage: Stage, wide: float, deep: float, thing: Callable[[Stage, Frame], None]
) -> None:
    """Put furniture against a wall or, now and then, anywhere."""
    if stage.chance(0.3):
        place = Frame(
            (stage.between(-0.4, 0.4) * wide, stage.between(-0.4, 0.4) * deep, 0),
            stage.between(0, 6.3),
        )
    else:
        wall, slack = stage.count(0, 3), stage.between(0.3, 0.5)
        x, y = stage.between(-0.4, 0.4) * wide, stage.between(-0.4, 0.4) * deep
        place = (
            Frame((x, deep / 2 - slack, 0), 0.0),
            Frame((x, -deep / 2 + slack, 0), np.pi),
            Frame((wide / 2 - slack, y, 0), -np.pi / 2),
            Frame((-wide / 2 + slack, y, 0), np.pi / 2),
        )[wall]
    thing(stage, place)


def floor_clutter(stage: Stage, wide: float, deep: float, count: int) -> None:
    """Bags, boxes, cables, shoes on the floor."""
    scatter(stage, Frame(), wide * 0.8, deep * 0.8, count, stage.between(0.2, 0.6))


def inside(stage: Stage, wide: float, deep: float, tall: float, worktop: float = 0.0) -> View:
    """A camera anywhere in a room; `worktop` is the share that looks at what stands waist-high."""
    place = (
        stage.between(-0.45, 0.45) * wide,
        stage.between(-0.45, 0.45) * deep,
        min(
            stage.pick(stage.between(0.25, 1.0), stage.between(0.9, 2.0), stage.between(1.3, 1.8)),
            tall - 0.3,
        ),
    )
    turn, reach = stage.between(0, 2 * np.pi), stage.between(1.0, 4.0)
    lift = stage.between(0.0, min(2.0, tall))
    if stage.chance(worktop):
        lift = stage.between(0.7, 1.2)
    aim = (place[0] + float(np.cos(turn)) * reach, place[1] + float(np.sin(turn)) * reach, lift)
    # Looking towards the middle more often than not: a wall at arm's length teaches little.
    if stage.chance(0.6):
        aim = (stage.between(-0.3, 0.3) * wide, stage.between(-0.3, 0.3) * deep, lift)
    if stage.chance(0.25):  # a camera under the ceiling looks down
        place = (place[0], place[1], stage.between(1.7, tall - 0.2))
        aim = (aim[0], aim[1], stage.between(0.0, 0.9))
    return View(place, aim, stage.between(45, 95), 0.4)
