"""Places seen from an arm's length: table tops, desks, things and plants."""

from __future__ import annotations

import numpy as np

from depthd.training.scenes import materials
from depthd.training.scenes.desks import desk_things
from depthd.training.scenes.furniture import FURNITURE, chair
from depthd.training.scenes.light import daylight, warm
from depthd.training.scenes.plants import bush, pot_plant, tree
from depthd.training.scenes.roadside import building
from depthd.training.scenes.rooms import along_wall, shell
from depthd.training.scenes.stage import Frame, Stage
from depthd.training.scenes.things import scatter, small_thing
from depthd.training.scenes.view import View, ViewMaker


def table_top(stage: Stage) -> ViewMaker:
    """A table seen from above at a slant: often almost bare, in even or vignetted light."""
    wide = stage.between(1.0, 4.0)
    colour = materials.hue(stage, (0, 0.12), (0.1, 1.0))
    look = stage.pick(
        lambda: materials.plain(stage, colour, stage.between(0.1, 1)),
        lambda: materials.plain(stage, colour, stage.between(0.1, 1)),
        lambda: materials.wood(stage),
        lambda: materials.floor(stage),
        lambda: materials.cloth(stage),
    )()
    stage.plane(look, Frame(), (0, 0, 0), (wide * 3, wide * 3))
    size = stage.between(0.06, 0.3)
    things = stage.pick(1, 1, 2, stage.count(2, 10))
    spread = 0.3 if things == 1 else stage.between(0.4, 1.2)
    scatter(stage, Frame(), spread, spread * 0.7, things, size)
    dim = stage.between(0.1, 1.5)
    stage.world(warm(stage), dim * stage.between(0.1, 1))
    lift = stage.between(0.5, 2.0)
    stage.lamp(
        Frame(),
        (stage.between(-0.6, 0.6), stage.between(-0.6, 0.6), lift),
        20 * dim * lift,
        warm(stage),
        stage.between(0.1, 1.5),
    )

    def view() -> View:
        slant = np.radians(stage.between(20, 85))
        distance = stage.between(0.4, 1.6)
        turn = stage.between(0, 2 * np.pi)
        aim = (stage.between(-0.15, 0.15), stage.between(-0.15, 0.15), 0.0)
        place = (
            aim[0] + float(np.cos(slant) * np.cos(turn)) * distance,
            aim[1] + float(np.cos(slant) * np.sin(turn)) * distance,
            float(np.sin(slant)) * distance,
        )
        # A slant without the horizon: the table fills the picture.
        return View(place, aim, min(stage.between(30, 80), float(np.degrees(slant)) * 1.9), 0.15)

    return view


def desk_close(stage: Stage) -> ViewMaker:
    """A desk with its things from an arm's length, a room behind it."""
    wide, deep = stage.between(2.5, 6), stage.between(2.5, 6)
    shell(stage, wide, deep)
    width, top = stage.between(1.0, 2.0), stage.between(0.55, 0.8)
    y = deep / 2 - top / 2 if stage.chance(0.7) else 0.0
    place = Frame((stage.between(-0.3, 0.3), y, 0.0), 0.0)
    look = stage.pick(materials.wood, materials.paint, materials.cloth)(stage)
    stage.box(look, place, (0, 0, 0.725), (width, top, 0.03))
    for side in (-1, 1):
        stage.box(
            materials.anything(stage),
            place,
            (side * width * 0.46, 0, 0.36),
            (0.05, top * 0.9, 0.71),
        )
    desk_things(stage, place.at(0, 0, 0.74), width, top)
    if stage.chance(0.5):
        scatter(stage, place.at(0, 0, 0.74), width * 0.8, top * 0.8, stage.count(1, 8), 0.16)
    chair(
        stage,
        place.at(stage.between(-0.4, 0.4), -top / 2 - 0.4, 0, np.pi + stage.between(-0.8, 0.8)),
    )
    for _ in range(stage.count(1, 5)):
        along_wall(stage, wide, deep, stage.pick(*FURNITURE))

    def view() -> View:
        aim = place.at(
            stage.between(-0.4, 0.4) * width,
            stage.between(-0.3, 0.3) * top,
            0.74 + stage.between(0, 0.3),
        ).place
        slant, turn = np.radians(stage.between(2, 80)), stage.between(np.pi, 2 * np.pi)
        distance = stage.between(0.3, 1.4)
        at = (
            aim[0] + float(np.cos(slant) * np.cos(turn)) * distance,
            aim[1] + float(np.cos(slant) * np.sin(turn)) * distance,
            aim[2] + float(np.sin(slant)) * distance,
        )
        return View(at, aim, stage.between(35, 80), 0.12)

    return view


def things_close(stage: Stage) -> ViewMaker:
    """A few things or plants close up before a far or blurred background, indoors or out."""
    outside = stage.chance(0.5)
    look = materials.soil(stage) if outside else materials.floor(stage)
    stage.plane(look, Frame(), (0, 0, 0), (60, 60))
    if outside:
        daylight(stage)
        for _ in range(stage.count(2, 12)):
            spot = Frame((stage.between(-12, 12), stage.between(3, 20), 0), stage.between(0, 6))
            stage.pick(tree, bush, bush)(stage, spot)
        if stage.chance(0.5):
            building(
                stage,
                Frame((stage.between(-5, 5), stage.between(6, 25), 0)),
                stage.between(6, 20),
                8,
            )
    else:
        far = stage.between(0.5, 4)
        stage.plane(materials.wall(stage), Frame(), (0, far, 1.5), (12, 3.5), (np.pi / 2, 0, 0))
        stage.world(warm(stage), stage.between(0.2, 1))
        stage.lamp(
            Frame(),
            (stage.between(-2, 2), stage.between(-2, 0), 2.5),
            stage.between(20, 120),
            warm(stage),
            0.7,
        )
    size = stage.between(0.1, 0.8)
    plants = stage.chance(0.55)
    for _ in range(stage.count(1, 7)):
        spot = Frame(
            (stage.between(-1, 1) * size * 1.5, stage.between(-0.7, 1.2) * size, 0),
            stage.between(0, 6),
        )
        if plants:
            pot_plant(stage, spot, size * stage.between(0.6, 1.6))
        else:
            small_thing(stage, spot, size)

    def view() -> View:
        turn = stage.between(-0.9, 0.9) - np.pi / 2
        slant = np.radians(stage.pick(stage.between(-3, 25), stage.between(5, 75)))
        distance = size * stage.between(1.2, 4)
        aim = (stage.between(-0.5, 0.5) * size, 0.0, size * stage.between(0.2, 0.8))
        place = (
            aim[0] + float(np.cos(slant) * np.cos(turn)) * distance,
            float(np.cos(slant) * np.sin(turn)) * distance,
            max(aim[2] + float(np.sin(slant)) * distance, 0.04),
        )
        return View(place, aim, stage.between(30, 75), size * 0.3)

    return view
