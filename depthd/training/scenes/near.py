"""Indoors where lower is not nearer: shelves, walls from the side, hanging and flat things."""

from __future__ import annotations

import numpy as np

from depthd.training.scenes import materials, models
from depthd.training.scenes.desks import desk_things
from depthd.training.scenes.light import around, warm
from depthd.training.scenes.rooms import poster, shell
from depthd.training.scenes.stage import Frame, Stage
from depthd.training.scenes.things import scatter, small_thing
from depthd.training.scenes.view import View, ViewMaker

FOOD = ("food", "bottle", "crate", "barrel", "bag", "houseplant", "plate")


def lamps(stage: Stage, high: float) -> None:
    """One or two lamps above and some light from everywhere."""
    around(stage, 0.5, panorama=(0.3, 1.0), plain=(0.1, 1.0))
    for _ in range(stage.count(1, 2)):
        place = (stage.between(-1, 1), stage.between(-1.5, 0.5), high)
        stage.lamp(Frame(), place, stage.between(20, 150), warm(stage), stage.between(0.1, 1.2))


def thing(stage: Stage, spot: Frame, size: float) -> None:
    """A modelled or built small thing."""
    files = models.of_kind(stage, *FOOD)
    if files and stage.chance(0.6):
        models.stand(stage, files, spot, size, by="length")
    else:
        small_thing(stage, spot, size)


def shelves(stage: Stage) -> ViewMaker:
    """Shelves full of things, seen from the front or along them, close up or across an aisle."""
    lamps(stage, stage.between(2.2, 3.5))
    stage.plane(materials.floor(stage), Frame(), (0, 0, 0), (30, 30))
    look = stage.pick(materials.wood, materials.paint, materials.metal)(stage)
    wide, deep, high = stage.between(1, 5), stage.between(0.25, 0.6), stage.between(1.5, 2.6)
    floors = stage.count(3, 6)
    for row in (1, -1) if stage.chance(0.4) else (1,):
        front = Frame((0, row * stage.between(0.9, 1.8), 0), 0 if row > 0 else np.pi)
        stage.box(look, front, (0, deep / 2, high / 2), (wide, 0.02, high))
        for side in np.linspace(-wide / 2, wide / 2, stage.count(2, 4)):
            stage.box(look, front, (float(side), 0, high / 2), (0.03, deep, high))
        for k in range(floors):
            z = 0.05 + k * high / floors
            stage.box(look, front, (0, 0, z), (wide, deep, 0.025))
            size, x = stage.between(0.08, 0.3), -wide / 2 + 0.1
            while x < wide / 2 - 0.1:
                if stage.chance(0.85):
                    y = stage.between(-0.4, 0.3) * deep
                    thing(stage, front.at(x, y, z + 0.013, stage.between(0, 6)), size)
                x += size * stage.between(0.6, 1.6)

    def view() -> View:
        place = (stage.between(-0.4, 0.4) * wide, stage.between(-0.6, 0.4), stage.between(0.4, 2))
        turn = stage.pick(stage.between(-0.3, 0.3), stage.between(-1.3, 1.3))
        slope = stage.between(-0.4, 0.4)
        aim = (place[0] + float(np.sin(turn)), place[1] + float(np.cos(turn)), place[2] + slope)
        return View(place, aim, stage.between(40, 85), 0.2)

    return view


def worktop(stage: Stage) -> ViewMaker:
    """A counter or bench against a wall with dishes, food, tools, perhaps an arm of a robot."""
    wide, deep = stage.between(3, 6), stage.between(3, 5)
    shell(stage, wide, deep)
    high = stage.between(0.7, 1.0)
    top = stage.pick(materials.wood, materials.paint, materials.metal)(stage)
    back = deep / 2 - 0.35
    stage.box(top, Frame(), (0, back, high - 0.02), (wide * 0.9, 0.66, 0.04))
    stage.box(materials.paint(stage), Frame(), (0, back, high / 2), (wide * 0.88, 0.6, high - 0.05))
    bench = Frame((0, back, high))
    for _ in range(stage.count(3, 18)):
        spot = bench.at(stage.between(-1, 1), stage.between(-0.27, 0.25), 0, stage.between(0, 6))
        thing(stage, spot, stage.between(0.06, 0.4))
    if stage.chance(0.3):
        desk_things(stage, bench, 1.6, 0.5)
    if stage.chance(0.35):
        arm(stage, bench.at(stage.between(-0.6, 0.6), stage.between(-0.1, 0.15)))
    for _ in range(stage.count(0, 3)):
        poster(stage, Frame((stage.between(-1.5, 1.5), deep / 2 - 0.02, 1.7), 0), 0.5)
    for _ in range(stage.count(0, 3)):  # what hangs from above: lamps, pans, hoods
        size = stage.between(0.1, 0.5)
        spot = Frame((stage.between(-1, 1), back - stage.between(-0.1, 0.5), stage.between(1.4, 2)))
        thing(stage, spot, size)

    def view() -> View:
        away = stage.between(0.5, 2.0)
        place = (stage.between(-1, 1), back - away, high + stage.between(0.1, 0.9))
        aim = (stage.between(-0.6, 0.6), back - 0.1, high + stage.between(-0.1, 0.35))
        return View(place, aim, stage.between(35, 80), 0.2)

    return view


def arm(stage: Stage, spot: Frame) -> None:
    """A jointed arm of three or four tubes with a gripper."""
    look, joint = materials.paint(stage), materials.metal(stage)
    at, bend = np.array([0.0, 0.0, 0.0]), 0.0
    turn = spot.at(0, 0, 0, stage.between(0, 6))
    for k in range(stage.count(3, 4)):
        long, thick = stage.between(0.15, 0.4), stage.between(0.05, 0.11) * (1 - 0.15 * k)
        step = np.array([np.sin(bend), 0, np.cos(bend)]) * long
        middle = at + step / 2
        size = (thick, thick, long)
        stage.cylinder(look, turn, tuple(float(v) for v in middle), size, (0, bend, 0))  # type: ignore[arg-type]
        at = at + step
        stage.ball(joint, turn, tuple(float(v) for v in at), (thick * 1.3,) * 3)  # type: ignore[arg-type]
        bend += stage.between(0.3, 1.2)


def alongside(stage: Stage) -> ViewMaker:
    """A wall, banner, fence or screen with pictures, seen from the side: near on one side."""
    lamps(stage, 3.0)
    stage.plane(materials.floor(stage), Frame(), (0, 0, 0), (60, 60))
    look = stage.pick(materials.wall, materials.picture, materials.cloth)(stage)
    long, high = stage.between(3, 14), stage.between(1.5, 4)
    stage.box(look, Frame(), (0.05, long / 2 - 1, high / 2), (0.06, long, high))
    for _ in range(stage.count(0, 7)):
        spot = Frame((0.0, stage.between(-0.5, long - 1.5), stage.between(0.5, 2.2)), -np.pi / 2)
        poster(stage, spot.at(0, -0.02), stage.between(0.3, 1.5))
    if stage.chance(0.4):
        stage.box(materials.wall(stage), Frame(), (-3, long - 1, 1.5), (8, 0.1, 3))
    scatter(stage, Frame((-1, 2, 0)), 2, 5, stage.count(0, 6), stage.between(0.1, 0.6))
    for _ in range(stage.count(0, 3)):
        size = stage.between(0.1, 0.6)
        thing(stage, Frame((-stage.between(0.2, 1.5), stage.between(0.8, 4), 1.2)), size)

    def view() -> View:
        off = stage.between(0.25, 2.0)
        place = (-off, stage.between(-0.8, 0.6), stage.between(0.6, 1.9))
        turn, slope = stage.between(-0.2, 1.2), stage.between(-0.25, 0.25)
        aim = (place[0] + float(np.sin(turn)), place[1] + float(np.cos(turn)), place[2] + slope)
        return View(place, aim, stage.between(40, 85), 0.12)

    return view


def flat(stage: Stage) -> ViewMaker:
    """A wall, floor or table seen straight on, with things on it or hanging before it."""
    look = stage.pick(materials.wall, materials.picture, materials.wood, materials.cloth)(stage)
    across = stage.between(0.8, 4)
    stage.plane(look, Frame(), (0, 0, 0), (across * 4, across * 4))
    lamps(stage, stage.between(0.8, 3))
    for _ in range(stage.count(0, 14)):
        x, y = stage.between(-0.5, 0.5) * across, stage.between(-0.5, 0.5) * across
        lift = stage.pick(0.0, 0.0, stage.between(0, 0.5))
        thing(stage, Frame((x, y, lift), stage.between(0, 6)), stage.between(0.05, 0.35) * across)
    for _ in range(stage.count(0, 4)):
        x, y = stage.between(-0.4, 0.4) * across, stage.between(-0.4, 0.4) * across
        size = (stage.between(0.1, 0.5), stage.between(0.1, 0.5))
        stage.plane(
            materials.picture(stage), Frame(), (x, y, 0.004), size, (0, 0, stage.between(0, 6))
        )

    def view() -> View:
        far = across * stage.between(0.6, 1.3)
        lean = 0.5 if stage.chance(0.4) else 0.08
        aim = (stage.between(-0.1, 0.1) * across, stage.between(-0.1, 0.1) * across, 0.0)
        place = (
            aim[0] + stage.between(-lean, lean) * far,
            aim[1] + stage.between(-lean, lean) * far,
            far,
        )
        return View(place, aim, stage.between(35, 75), 0.2)

    return view


def floating(stage: Stage) -> ViewMaker:
    """Things of every kind at any height and distance, with a backdrop or none: no floor helps."""
    lamps(stage, 3)
    if stage.chance(0.7):
        back = stage.between(3, 12)
        turn = (np.pi / 2 + stage.between(-0.5, 0.5), 0, stage.between(-0.8, 0.8))
        look = stage.pick(materials.wall, materials.picture, materials.soil, materials.green)(stage)
        stage.plane(look, Frame(), (0, back, 0), (40, 40), turn)
    kinds = stage.models
    for _ in range(stage.count(3, 22)):
        y = stage.between(0.6, 9)
        place = (stage.between(-0.6, 0.6) * y, y, stage.between(-0.5, 0.5) * y)
        tilt = (stage.between(-0.7, 0.7), stage.between(-0.7, 0.7), 0.0)
        spot = Frame(place, stage.between(0, 6))
        if kinds and stage.chance(0.7):
            size = y * stage.between(0.08, 0.6)
            models.stand(stage, kinds, spot, size, by="length", tilt=tilt, dyed=0.5)
        else:
            small_thing(stage, spot, y * stage.between(0.08, 0.5))

    def view() -> View:
        place = (stage.between(-0.2, 0.2), stage.between(-0.4, 0.2), stage.between(-0.2, 0.2))
        aim = (stage.between(-0.3, 0.3), 1.0, stage.between(-0.3, 0.3))
        return View(place, aim, stage.between(35, 80), 0.2)

    return view
