"""Furniture of a few parts each.

Each function takes the stage and a frame whose origin is the middle of the thing's foot, its front
towards negative y.
"""

from __future__ import annotations

from depthd.training.scenes import materials, meshes
from depthd.training.scenes.desks import desk
from depthd.training.scenes.people import person
from depthd.training.scenes.plants import tall_plant
from depthd.training.scenes.stage import Frame, Stage
from depthd.training.scenes.things import books, scatter, small_thing


def table(stage: Stage, frame: Frame) -> None:
    """A table with four legs or one, bare or laid."""
    width, deep = stage.between(0.6, 2.2), stage.between(0.5, 1.1)
    height, thick = stage.between(0.4, 0.95), stage.between(0.02, 0.06)
    top, leg = (
        stage.pick(materials.wood, materials.paint, materials.wall)(stage),
        materials.anything(stage),
    )
    if stage.chance(0.25):
        stage.cylinder(top, frame, (0, 0, height - thick / 2), (width, width, thick))
        stage.cylinder(leg, frame, (0, 0, height / 2), (0.08, 0.08, height))
        stage.cylinder(leg, frame, (0, 0, 0.02), (width * 0.5, width * 0.5, 0.04))
        deep = width = width * 0.7
    else:
        stage.box(top, frame, (0, 0, height - thick / 2), (width, deep, thick))
        slim = stage.between(0.03, 0.09)
        for x in (-1, 1):
            for y in (-1, 1):
                place = (x * (width / 2 - slim), y * (deep / 2 - slim), (height - thick) / 2)
                stage.box(leg, frame, place, (slim, slim, height - thick))
    scatter(stage, frame.at(0, 0, height), width * 0.85, deep * 0.8, stage.count(0, 9), 0.25)


def chair(stage: Stage, frame: Frame) -> None:
    """A chair with a back; legs, a post with a star foot, or a bent frame."""
    seat, back = stage.between(0.42, 0.5), stage.between(0.35, 0.6)
    width = stage.between(0.38, 0.52)
    look, leg = (
        stage.pick(materials.cloth, materials.wood, materials.paint)(stage),
        materials.anything(stage),
    )
    stage.box(look, frame, (0, 0, seat), (width, width, stage.between(0.02, 0.1)))
    lean = (stage.between(-0.25, 0), 0.0, 0.0)
    if stage.chance(0.5):
        stage.box(look, frame, (0, width / 2, seat + back / 2 + 0.05), (width, 0.04, back), lean)
    else:
        for k in range(stage.count(2, 5)):
            stage.box(
                look, frame, (0, width / 2, seat + 0.12 + 0.11 * k), (width, 0.03, 0.05), lean
            )
        for x in (-1, 1):
            stage.box(
                leg, frame, (x * width / 2, width / 2, seat + back / 2), (0.03, 0.03, back), lean
            )
    if stage.chance(0.3):
        stage.cylinder(leg, frame, (0, 0, seat / 2), (0.06, 0.06, seat))
        for k in range(5):
            spin = frame.at(0, 0, 0, k * 1.2566)
            stage.box(leg, spin, (0.14, 0, 0.06), (0.28, 0.04, 0.03))
            stage.ball(leg, spin, (0.28, 0, 0.03), (0.05, 0.05, 0.06))
    else:
        slim = stage.between(0.02, 0.05)
        for x in (-1, 1):
            for y in (-1, 1):
                place = (x * (width / 2 - slim), y * (width / 2 - slim), seat / 2)
                stage.box(leg, frame, place, (slim, slim, seat))


def sofa(stage: Stage, frame: Frame) -> None:
    """A sofa or an armchair with cushions."""
    width, look = stage.between(0.8, 2.4), materials.cloth(stage)
    stage.box(look, frame, (0, 0, 0.22), (width, 0.85, 0.35))
    stage.box(look, frame, (0, 0.36, 0.55), (width, 0.2, stage.between(0.4, 0.7)), (-0.15, 0, 0))
    for side in (-1, 1):
        stage.box(look, frame, (side * width / 2, 0, 0.35), (0.18, 0.85, 0.5))
    for _ in range(stage.count(0, 4)):
        place = (stage.between(-width / 2.5, width / 2.5), 0.15, 0.5)
        shape = meshes.blob(stage.random, 0.1)
        turn = (1.2, 0.0, stage.between(-0.5, 0.5))
        stage.put(shape, materials.cloth(stage), frame, place, (0.45, 0.45, 0.18), turn)


def bed(stage: Stage, frame: Frame) -> None:
    """A bed with pillows and a cover."""
    width = stage.between(0.9, 1.8)
    stage.box(materials.wood(stage), frame, (0, 0, 0.2), (width, 2.0, 0.25))
    stage.box(materials.cloth(stage), frame, (0, 0, 0.42), (width * 0.97, 1.95, 0.22))
    stage.box(materials.wood(stage), frame, (0, 1.02, 0.5), (width, 0.06, 1.0))
    for _ in range(stage.count(1, 3)):
        place = (stage.between(-width / 3, width / 3), 0.75, 0.58)
        stage.put(
            meshes.blob(stage.random, 0.1), materials.cloth(stage), frame, place, (0.6, 0.4, 0.18)
        )


def shelf(stage: Stage, frame: Frame) -> None:
    """An open shelf with things on its boards."""
    width, height, deep = stage.between(0.5, 1.8), stage.between(0.7, 2.2), stage.between(0.25, 0.5)
    look = stage.pick(materials.wood, materials.paint, materials.metal)(stage)
    for side in (-1, 1):
        stage.box(look, frame, (side * width / 2, 0, height / 2), (0.03, deep, height))
    if stage.chance(0.6):
        stage.box(look, frame, (0, deep / 2, height / 2), (width, 0.02, height))
    boards = stage.count(2, 6)
    for k in range(boards + 1):
        z = 0.05 + k * (height - 0.08) / boards
        stage.box(look, frame, (0, 0, z), (width, deep, 0.025))
        if k < boards:
            for _ in range(stage.count(0, 4)):
                place = frame.at(stage.between(-width / 2.3, width / 2.3), -0.02, z + 0.0125)
                if stage.chance(0.5):
                    books(stage, place, min(0.3, width * 0.6))
                else:
                    small_thing(stage, place, 0.2)


def cabinet(stage: Stage, frame: Frame) -> None:
    """A closed cupboard with doors or drawers and handles."""
    width, height, deep = stage.between(0.4, 1.8), stage.between(0.5, 2.2), stage.between(0.35, 0.6)
    look, front, grip = materials.paint(stage), materials.paint(stage), materials.metal(stage)
    if stage.chance(0.4):
        look = front = materials.wood(stage)
    stage.box(look, frame, (0, 0, height / 2), (width, deep, height))
    columns, rows = stage.count(1, 3), stage.count(1, 4)
    for column in range(columns):
        for row in range(rows):
            w, h = width / columns, height / rows
            place = ((column + 0.5) * w - width / 2, -deep / 2 - 0.008, (row + 0.5) * h)
            stage.box(front, frame, place, (w - 0.015, 0.016, h - 0.015))
            stage.box(
                grip,
                frame,
                (place[0], place[1] - 0.02, place[2] + h * 0.3),
                (w * 0.3, 0.015, 0.015),
            )
    if height < 1.4:
        scatter(stage, frame.at(0, 0, height), width * 0.8, deep * 0.7, stage.count(0, 6), 0.25)


FURNITURE = (
    table,
    table,
    chair,
    chair,
    chair,
    sofa,
    bed,
    shelf,
    shelf,
    cabinet,
    cabinet,
    desk,
    tall_plant,
    person,
)
