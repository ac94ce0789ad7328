"""Places with walls: rooms, kitchens, corridors, people in them."""

from __future__ import annotations

import numpy as np

from depthd.training.scenes import materials
from depthd.training.scenes.furniture import FURNITURE, cabinet, chair, shelf, table
from depthd.training.scenes.kitchens import fridge, kitchen_row
from depthd.training.scenes.light import light_outside, warm
from depthd.training.scenes.people import person
from depthd.training.scenes.plants import bush, tall_plant, tree
from depthd.training.scenes.roadside import building, car, pole
from depthd.training.scenes.rooms import along_wall, floor_clutter, inside, partition, poster, shell
from depthd.training.scenes.stage import Frame, Stage
from depthd.training.scenes.view import View, ViewMaker


def room(stage: Stage) -> ViewMaker:
    """A furnished room of any size, seen from anywhere inside."""
    wide, deep = stage.between(2.5, 9), stage.between(2.5, 9)
    tall = shell(stage, wide, deep)
    for _ in range(int(stage.between(0.25, 0.7) * wide * deep) + 2):
        along_wall(stage, wide, deep, stage.pick(*FURNITURE))
    floor_clutter(stage, wide, deep, stage.count(0, 8))
    for _ in range(stage.pick(0, 0, 1, 2)):
        place = (stage.between(-0.4, 0.4) * wide, stage.between(-0.4, 0.4) * deep, 0)
        partition(stage, Frame(place, stage.between(0, 6.3)))
    return lambda: inside(stage, wide, deep, tall)


def kitchen(stage: Stage) -> ViewMaker:
    """Rows of cupboards with worktops along one to three walls, perhaps a table or an island."""
    wide, deep = stage.between(2.2, 5.5), stage.between(2.2, 6)
    tall = shell(stage, wide, deep)
    sides = [(0.0, deep / 2 - 0.31, 0.0, wide), (wide / 2 - 0.31, 0.0, -np.pi / 2, deep)]
    sides.append((-wide / 2 + 0.31, 0.0, np.pi / 2, deep))
    first = stage.count(0, 2)
    for k in range(stage.count(1, 2)):
        x, y, turn, length = sides[(first + k) % 3]
        kitchen_row(stage, Frame((x, y, 0), turn), length * stage.between(0.6, 0.9))
    if stage.chance(0.7):
        fridge(stage, Frame((stage.pick(-1, 1) * (wide / 2 - 0.35), -deep / 4, 0), 0))
    if stage.chance(0.6):
        place = Frame((stage.between(-0.5, 0.5), -deep / 5, 0), stage.pick(0, np.pi / 2))
        table(stage, place)
        for _ in range(stage.count(0, 4)):
            spot = place.at(
                stage.between(-1, 1),
                stage.pick(-1, 1) * stage.between(0.5, 0.8),
                0,
                stage.between(0, 6),
            )
            chair(stage, spot)
    if stage.chance(0.3):
        person(
            stage, Frame((stage.between(-0.5, 0.5), stage.between(-1, 1), 0), stage.between(0, 6))
        )
    floor_clutter(stage, wide, deep, stage.count(0, 3))
    return lambda: inside(stage, wide, deep, tall, worktop=0.5)


def corridor(stage: Stage) -> ViewMaker:
    """Long and narrow with doors, radiators, lamps; or a hall with columns."""
    wide, deep = stage.between(1.2, 5), stage.between(8, 35)
    tall = shell(stage, wide, deep, windows=False)
    door, frame_look = materials.paint(stage), materials.wood(stage)
    step = stage.between(2, 5)
    for k in range(int(deep / step)):
        y = (k + 0.5) * step - deep / 2
        for side in (-1, 1):
            if stage.chance(0.6):
                stage.box(frame_look, Frame(), (side * wide / 2, y, 1.05), (0.1, 1.05, 2.15))
                stage.box(door, Frame(), (side * (wide / 2 - 0.02), y, 1.0), (0.1, 0.9, 2.0))
            elif stage.chance(0.3):
                poster(stage, Frame((side * (wide / 2 - 0.01), y, 1.5), side * -np.pi / 2), 0.8)
        if stage.chance(0.7):
            stage.lamp(Frame(), (0, y, tall - 0.05), stage.between(20, 90), warm(stage), 0.6)
            shine = materials.glow(stage, (1, 1, 1), 4)
            stage.box(shine, Frame(), (0, y, tall - 0.02), (0.2, 1.2, 0.04))
    for _ in range(stage.count(0, 6)):
        kind = stage.pick(
            chair,
            cabinet,
            tall_plant,
            person,
            shelf,
        )
        along_wall(stage, wide, deep, kind)

    def view() -> View:
        if stage.chance(0.3):
            return inside(stage, wide, deep, tall)
        y = stage.between(-0.45, 0.1) * deep
        place = (stage.between(-0.35, 0.35) * wide, y, stage.between(0.3, 2.0))
        aim = (stage.between(-0.6, 0.6) * wide, y + stage.between(2, 12), stage.between(0.2, 2.0))
        return View(place, aim, stage.between(45, 95))

    return view


def crowd(stage: Stage) -> ViewMaker:
    """People near the camera, in a room or outside."""
    if stage.chance(0.5):
        wide, deep = stage.between(3.5, 9), stage.between(4, 10)
        shell(stage, wide, deep)
        for _ in range(stage.count(2, 8)):
            along_wall(stage, wide, deep, stage.pick(*FURNITURE))
    else:
        wide, deep = 8.0, 12.0
        light_outside(stage)
        stage.plane(
            stage.pick(materials.asphalt, materials.soil)(stage), Frame(), (0, 0, 0), (300, 300)
        )
        for _ in range(stage.count(0, 8)):
            spot = Frame((stage.between(-15, 15), stage.between(8, 40), 0), stage.between(0, 6))
            stage.pick(tree, bush, pole, car)(stage, spot)
        if stage.chance(0.6):
            building(
                stage,
                Frame((stage.between(-4, 4), stage.between(9, 30), 0)),
                stage.between(8, 30),
                10,
            )
    for _ in range(stage.count(1, 6)):
        spot = Frame(
            (stage.between(-0.3, 0.3) * wide, stage.between(-0.3, 0.4) * deep, 0),
            stage.between(0, 6),
        )
        person(stage, spot)

    def view() -> View:
        place = (
            stage.between(-0.3, 0.3) * wide,
            -deep * stage.between(0.3, 0.48),
            stage.between(0.5, 2.1),
        )
        aim = (stage.between(-0.2, 0.2) * wide, 0.0, stage.between(0.7, 1.6))
        return View(place, aim, stage.between(30, 75), 0.35)

    return view
