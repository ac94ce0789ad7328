"""Seen from above, straight or nearly so: crates of parts, laid tables, what lies flat."""

from __future__ import annotations

from typing import Any

import numpy as np

from depthd.training.scenes import materials, meshes
from depthd.training.scenes.desks import keyboard, laptop
from depthd.training.scenes.light import around, warm
from depthd.training.scenes.near import thing
from depthd.training.scenes.parts import coin, heap, part
from depthd.training.scenes.stage import Frame, Stage
from depthd.training.scenes.things import books, small_thing
from depthd.training.scenes.view import View, ViewMaker


def light_from_above(stage: Stage, high: float) -> None:
    """Even or one-sided light over a surface; shadows fall to any side."""
    around(stage, 0.4, panorama=(0.4, 1.2), plain=(0.2, 1.2))
    for _ in range(stage.count(0, 2)):
        place = (stage.between(-2, 2) * high, stage.between(-2, 2) * high, high * 1.5)
        watt = stage.between(15, 120) * high**2
        stage.lamp(Frame(), place, watt, warm(stage), stage.between(0.1, 1.2) * high)


def downwards(stage: Stage, across: float, level: float = 0.0) -> ViewMaker:
    """Views of a square of `across` metres at a height: most straight down, some at a lean."""

    def view() -> View:
        angle = stage.between(35, 75)
        fill = across * stage.between(0.4, 1.25)
        far = fill / 2 / float(np.tan(np.radians(angle / 2)))
        lean = stage.pick(0.02, 0.04, 0.06, 0.12, 0.4) * far
        x, y = (stage.random.normal() * 0.12 * across for _ in range(2))
        aim = (float(x), float(y), level)
        along, aside = float(stage.random.normal()) * lean, float(stage.random.normal()) * lean
        if stage.chance(0.5):  # the picture's edges along the table's
            aside = 0.02 * along
        if stage.chance(0.5):
            along, aside = aside, along
        place = (aim[0] + along, aim[1] + aside, level + far)
        return View(place, aim, angle, min(0.1, far * 0.2))

    return view


def box_open(stage: Stage, spot: Frame, look: Any, wide: float, deep: float, high: float) -> None:
    """A crate, tray, carton or drawer without a lid: walls that may slope, a rim, ribs, grips."""
    wall = stage.between(0.008, 0.03) * wide
    slope = stage.pick(0.0, stage.between(0, 0.25))
    stage.box(look, spot, (0, 0, wall / 2), (wide, deep, wall))
    shift = np.sin(slope) * high / 2
    for side in (-1, 1):
        at, tilt = side * (wide / 2 + shift), (0.0, side * slope, 0.0)
        stage.box(look, spot, (at, 0, high / 2), (wall, deep + 4 * shift, high), tilt)
        at, tilt = side * (deep / 2 + shift), (-side * slope, 0.0, 0.0)
        stage.box(look, spot, (0, at, high / 2), (wide + 4 * shift, wall, high), tilt)
    if stage.chance(0.7):
        rim = stage.between(0.015, 0.09) * wide
        for side in (-1, 1):
            x, y = side * (wide / 2 + 2 * shift + rim / 3), side * (deep / 2 + 2 * shift + rim / 3)
            stage.box(look, spot, (x, 0, high), (rim, deep + 4 * shift + rim, wall))
            stage.box(look, spot, (0, y, high), (wide + 4 * shift + rim, rim, wall))
    if stage.chance(0.4):
        other = materials.paint(stage)
        for k in range(stage.count(2, 7)):
            x = wide * (k / 7 - 0.45)
            stage.box(other, spot, (x, deep / 2 + shift, high * 0.55), (wall, wall * 2.5, high))
            stage.box(other, spot, (x, -deep / 2 - shift, high * 0.55), (wall, wall * 2.5, high))
    if stage.chance(0.25):
        for k in range(1, stage.count(2, 4)):
            x = wide * (k / 4 - 0.5)
            stage.box(look, spot, (x, 0, high * 0.4), (wall, deep, high * 0.8))


def crate(stage: Stage) -> ViewMaker:
    """A crate, tray or carton with parts or goods, alone or beside others, from above."""
    ground = stage.pick(materials.floor, materials.wood, materials.paint, materials.wall)(stage)
    wide = stage.between(0.25, 1.2)
    deep, high = wide * stage.between(0.45, 1.0), wide * stage.between(0.12, 0.7)
    stage.plane(ground, Frame(), (0, 0, 0), (wide * 12, wide * 12))
    light_from_above(stage, wide * 2)
    look = stage.pick(
        materials.paint, materials.paint, materials.paint, materials.wood, materials.cloth
    )(stage)
    gap = stage.between(1.15, 1.8)
    places = [(0.0, 0.0)]
    if stage.chance(0.35):
        places += [(x, y) for x in (-1, 0, 1) for y in (-1, 0, 1) if (x, y) != (0, 0)]
    for x, y in places:
        spot = Frame((x * wide * gap, y * deep * gap, 0.0), stage.between(-0.04, 0.04))
        if (x or y) and stage.chance(0.3):
            look = materials.paint(stage)
        box_open(stage, spot, look, wide, deep, high)
        inside = spot.at(0, 0, 0.02 * wide)
        if stage.chance(0.8):
            heap(stage, inside, wide * 0.92, deep * 0.92, high)
            continue
        for _ in range(stage.count(1, 9)):
            at = inside.at(
                stage.between(-0.35, 0.35) * wide,
                stage.between(-0.35, 0.35) * deep,
                stage.between(0, 0.3) * high,
                stage.between(0, 6),
            )
            thing(stage, at, wide * stage.between(0.12, 0.4))
    for _ in range(stage.count(0, 4)):
        angle, far = stage.between(0, 6.3), stage.between(0.8, 1.6) * wide
        at = Frame((float(np.cos(angle)) * far, float(np.sin(angle)) * far, 0.0))
        thing(stage, at, wide * stage.between(0.1, 0.5))
    return downwards(stage, wide * 1.35, high * stage.between(0, 1))


def laid(stage: Stage) -> ViewMaker:
    """A table, desk or bench from above: dishes and food, tools, books, paper, keyboard."""
    wide, high = stage.between(0.5, 2.2), stage.between(0.4, 1.0)
    deep = wide * stage.between(0.5, 1.0)
    stage.plane(materials.floor(stage), Frame(), (0, 0, -high), (12, 12))
    light_from_above(stage, stage.between(0.8, 2.0))
    look = stage.pick(materials.wood, materials.paint, materials.cloth, materials.wall)(stage)
    if stage.chance(0.25):
        stage.cylinder(look, Frame(), (0, 0, -0.02), (wide, wide, 0.04))
    else:
        stage.box(look, Frame(), (0, 0, -0.02), (wide, deep, 0.04))
    size = stage.between(0.06, 0.3)
    for _ in range(stage.count(1, 22)):
        x, y = stage.between(-0.45, 0.45) * wide, stage.between(-0.42, 0.42) * deep
        spot = Frame((x, y, 0), stage.between(0, 6.3))
        kind = stage.pick("thing", "thing", "thing", "paper", "books", "plate", "small")
        if kind == "thing":
            thing(stage, spot, size * stage.between(0.5, 1.5))
        elif kind == "paper":
            sheet = (stage.between(0.08, 0.3), stage.between(0.1, 0.42))
            stage.plane(materials.pick_paper(stage), spot, (0, 0, 0.002), sheet)
        elif kind == "books":
            books(stage, spot, stage.between(0.15, 0.35))
        elif kind == "plate":
            dish(stage, spot, stage.between(0.1, 0.32))
        else:
            put, _ = part(stage, size)
            put(spot, (0.0, 0.0, 0.0))
    if stage.chance(0.3):
        stage.pick(keyboard, laptop)(
            stage, Frame((stage.between(-0.2, 0.2) * wide, 0, 0), stage.between(0, 6.3))
        )
    for _ in range(stage.count(0, 3)):  # chairs, bags, boxes beside it on the floor
        angle = stage.between(0, 6.3)
        far = stage.between(0.7, 1.0) * wide
        at = Frame((float(np.cos(angle)) * far, float(np.sin(angle)) * far, -high))
        small_thing(stage, at, stage.between(0.3, 0.8))
    return downwards(stage, wide * stage.between(0.5, 1.3))


def dish(stage: Stage, spot: Frame, width: float) -> None:
    """A plate, bowl or pan, perhaps with something in it."""
    tall = width * stage.between(0.05, 0.4)
    foot = stage.between(0.3, 0.8)
    profile = np.array([(1e-4, 0.0), (foot, 0.0), (1.0, 1.0), (0.95, 1.0), (foot * 0.9, 0.12)])
    profile = np.concatenate([profile, [(1e-4, 0.12)]]) * (width / 2, tall)
    stage.put(meshes.lathe(profile, 32), materials.paint(stage), spot)
    for _ in range(stage.count(0, 4)):
        at = spot.at(
            stage.between(-0.2, 0.2) * width,
            stage.between(-0.2, 0.2) * width,
            tall * 0.12,
            stage.between(0, 6),
        )
        thing(stage, at, width * stage.between(0.15, 0.5))


def lying(stage: Stage) -> ViewMaker:
    """Almost flat: coins, keys, leaves, screws, pages, cards; in rows or anyhow, from above."""
    across = stage.between(0.12, 1.0)
    ground = stage.pick(
        materials.wood, materials.paint, materials.cloth, materials.picture, materials.soil
    )(stage)
    if stage.chance(0.3):  # ground that is not even: gravel, cloth, bark
        cells = 70
        rough = stage.random.normal(size=(cells + 1, cells + 1)) * across * stage.between(0, 0.012)
        axis = np.linspace(0, stage.between(2, 12), cells + 1)
        waves = np.sin(axis)[:, None] * np.sin(axis * stage.between(0.5, 2))[None, :]
        lift = rough + waves * across * stage.between(0, 0.04)
        stage.put(meshes.ground(across * 4, across * 4, (cells, cells), lift), ground, Frame())
    else:
        stage.plane(ground, Frame(), (0, 0, 0), (across * 5, across * 5))
    light_from_above(stage, across * stage.between(1, 3))
    if stage.chance(0.5):
        size = across * stage.between(0.06, 0.22)
        kinds = [part(stage, size) for _ in range(stage.pick(1, 2, 3))]
        if stage.chance(0.5):
            kinds = [coin(stage, size * stage.between(0.6, 1.2)) for _ in range(stage.count(1, 4))]
        side = stage.count(2, 7)
        rows = stage.chance(0.4)
        for k in range(side * side):
            if stage.chance(0.25):
                continue
            x, y = ((k % side + 0.5) / side - 0.5), ((k // side + 0.5) / side - 0.5)
            if not rows:
                x, y = stage.between(-0.5, 0.5), stage.between(-0.5, 0.5)
            put, _ = stage.pick(*kinds)
            put(Frame((x * across, y * across, 0), stage.between(0, 6.3)), (0.0, 0.0, 0.0))
    for _ in range(stage.count(0, 5)):
        spot = Frame(
            (stage.between(-0.5, 0.5) * across, stage.between(-0.5, 0.5) * across, 0),
            stage.between(0, 6.3),
        )
        sheet = (across * stage.between(0.1, 0.7), across * stage.between(0.1, 0.7))
        thick = across * stage.pick(0.002, stage.between(0, 0.08))
        look = materials.pick_paper(stage)
        if thick > across * 0.004:
            stage.box(look, spot, (0, 0, thick / 2), (*sheet, thick))
        else:
            stage.plane(look, spot, (0, 0, thick), sheet)
    return downwards(stage, across)
