"""Outdoors where lower is not nearer: animals close by, water, things seen from below."""

from __future__ import annotations

import numpy as np

from depthd.training.scenes import materials, meshes, models
from depthd.training.scenes.light import light_outside
from depthd.training.scenes.people import person
from depthd.training.scenes.plants import bush, tree
from depthd.training.scenes.roadside import building, fence, pole
from depthd.training.scenes.stage import Frame, Stage
from depthd.training.scenes.streets import Road, carriageway, street_front
from depthd.training.scenes.view import View, ViewMaker


def outside(stage: Stage) -> None:
    """Sky and sun, or one of the surroundings as light and background."""
    if stage.surroundings and stage.chance(0.6):
        stage.panorama(stage.pick(*stage.surroundings), stage.between(0.5, 1.3))
    else:
        light_outside(stage)


def animals(stage: Stage) -> ViewMaker:
    """Animals and people on open ground: one close to the camera, others far off."""
    outside(stage)
    cells, extent = 60, 60.0
    axis = np.linspace(-extent / 2, extent / 2, cells + 1)
    wave = np.sin(axis * stage.between(0.05, 0.4)) * stage.between(0, 1.0)
    swell = wave[None, :] + wave[:, None] * stage.between(0, 0.5)
    soil = materials.soil(stage)
    stage.put(meshes.ground(extent, extent, (cells, cells), swell), soil, Frame())
    stage.plane(soil, Frame(), (0, 0, -1.6), (900, 900))

    def level(x: float, y: float) -> float:
        column, line = (int((value / extent + 0.5) * cells) for value in (x, y))
        return float(swell[min(max(line, 0), cells), min(max(column, 0), cells)])

    beasts = models.of_kind(stage, "animals_pack")
    folk = models.of_kind(stage, "modular_men", "modular_women", "characters")
    near = stage.between(0.8, 4)
    for k in range(stage.count(1, 9)):
        y = near if k == 0 else stage.between(2, 28)
        x = stage.between(-0.35, 0.35) * y
        spot = Frame((x, y, level(x, y)), stage.between(0, 6))
        if stage.chance(0.65):
            models.stand(stage, beasts, spot, stage.between(0.4, 1.9))
        elif stage.chance(0.6):
            models.stand(stage, folk, spot, stage.between(1.2, 1.9))
        else:
            person(stage, spot)
    green = models.of_kind(stage, "nature_pack", "simple_nature_pack")
    for _ in range(stage.count(0, 18)):
        y = stage.between(2, 29)
        x = stage.between(-0.9, 0.9) * y
        spot = Frame((x, y, level(x, y) - 0.05), stage.between(0, 6))
        if stage.chance(0.6):
            models.stand(stage, green, spot, stage.between(0.2, 9))
        else:
            stage.pick(tree, bush)(stage, spot)
    if stage.chance(0.25):
        fence(stage, Frame((0, stage.between(2, 12), 0), stage.between(-0.4, 0.4)), 20)

    def view() -> View:
        x, y = stage.between(-0.4, 0.4), stage.between(-0.5, 0.5)
        lift = level(x, y) + stage.between(0.25, 1.9)
        slope = stage.between(-0.5, 0.2)
        aim = (x + stage.between(-0.3, 0.3), y + 1.0, lift + slope)
        return View((x, y, lift), aim, stage.between(28, 80), 0.25)

    return view


def water(stage: Stage) -> ViewMaker:
    """Water that mirrors the sky, ships, a shore, perhaps rocks or a pier before it."""
    outside(stage)
    axis = np.linspace(0, 1, 161)
    waves = sum(
        np.sin(axis * stage.between(20, 200) + stage.between(0, 6))[:, None]
        * np.sin(axis * stage.between(5, 90) + stage.between(0, 6))[None, :]
        for _ in range(3)
    ) * stage.between(0.002, 0.05)
    tone = materials.hue(stage, (0.1, 0.8), (0.02, 0.4))
    sea = materials.plain(stage, tone, stage.between(0.02, 0.35))
    stage.put(meshes.ground(60.0, 60.0, (160, 160), np.asarray(waves)), sea, Frame((0, 29, 0)))
    stage.plane(sea, Frame(), (0, 0, -0.12), (6000, 6000))
    ships = models.of_kind(stage, "ships_pack", "boat", "ship")
    for _ in range(stage.count(0, 6)):
        y = stage.between(3, 120)
        spot = Frame((stage.between(-0.6, 0.6) * y, y, -0.1), stage.between(0, 6))
        models.stand(stage, ships, spot, stage.between(1, 14), by="length")
    rocks = models.of_kind(stage, "rock", "formation")
    for _ in range(stage.count(0, 8)):
        y = stage.between(1, 25)
        spot = Frame((stage.between(-0.8, 0.8) * y, y, -0.2), stage.between(0, 6))
        models.stand(stage, rocks, spot, stage.between(0.2, 2.5), dyed=0.6)
    if stage.chance(0.6):
        shore = Frame((0, stage.between(60, 300), 0))
        for _ in range(stage.count(3, 20)):
            spot = shore.at(stage.between(-150, 150), stage.between(0, 60))
            stage.pick(tree, tree, house)(stage, spot)
        hill = (stage.between(200, 500), stage.between(40, 120), stage.between(8, 90))
        stage.put(meshes.blob(stage.random, 0.3), materials.soil(stage), shore, (0, 120, -4), hill)
    if stage.chance(0.4):
        deck = stage.pick(materials.wood, materials.floor)(stage)
        stage.box(deck, Frame(), (stage.between(-2, 2), 2, 0.35), (stage.between(1, 3), 9, 0.1))

    def view() -> View:
        place = (stage.between(-1, 1), stage.between(-2, 1), stage.between(0.8, 4))
        slope = stage.between(-0.35, 0.2)
        aim = (place[0] + stage.between(-0.4, 0.4), place[1] + 1, place[2] + slope)
        return View(place, aim, stage.between(35, 85), 0.3)

    return view


def house(stage: Stage, spot: Frame) -> None:
    """A house of a usual size, for a thing that stands somewhere."""
    building(stage, spot, stage.between(5, 15), 8)


def upwards(stage: Stage) -> ViewMaker:
    """Trees, houses, poles, lamps and signs seen from their feet: higher is farther, or sky."""
    outside(stage)
    stage.plane(materials.soil(stage), Frame(), (0, 0, 0), (600, 600))
    high = models.of_kind(stage, "nature_pack", "buildings_pack_2", "buildings_pack_3", "tower")
    for k in range(stage.count(2, 9)):
        y = stage.between(2.5, 7) if k == 0 else stage.between(3, 30)
        spot = Frame((stage.between(-0.6, 0.6) * y, y, 0), stage.between(0, 6))
        kind = stage.pick("model", "tree", "pole", "house")
        if kind == "model":
            models.stand(stage, high, spot, stage.between(4, 22), dyed=0.2)
        elif kind == "house":
            building(stage, Frame((spot.place[0], y + 5, 0), stage.between(-1, 1)), 9, 8)
        else:
            (tree if kind == "tree" else pole)(stage, spot)
    for _ in range(stage.count(0, 4)):  # things that hang above: banners, lamps, cables
        y = stage.between(1, 8)
        look = stage.pick(materials.picture, materials.cloth, materials.metal)(stage)
        size = (stage.between(0.3, 2.5), 0.03, stage.between(0.3, 1.5))
        place = (stage.between(-0.5, 0.5) * y, y, stage.between(2.4, 6))
        stage.box(look, Frame((0, 0, 0)), place, size, (0, 0, stage.between(-1.2, 1.2)))

    def view() -> View:
        place = (stage.between(-1, 1), stage.between(-1, 1), stage.between(0.8, 1.8))
        aim = (place[0] + stage.between(-0.5, 0.5), place[1] + 1, place[2] + stage.between(0, 1.6))
        return View(place, aim, stage.between(35, 85), 0.3)

    return view


def drive(stage: Stage) -> ViewMaker:
    """What a car's camera sees: other cars ahead, oncoming and parked, signs, lights, houses."""
    outside(stage)
    road = Road(
        width=stage.between(5, 18),
        walk=stage.between(0.8, 5),
        kerb=stage.between(0.02, 0.16),
        reach=stage.between(60, 200),
        built=stage.pick("town", "suburb", "country"),
    )
    carriageway(stage, road)
    cars = models.of_kind(stage, "vehicles")
    cars = tuple(f for f in cars if not f.stem.startswith(("boat", "ship", "race")))
    signs = models.of_kind(stage, "sign_", "streetlight", "trafficlight")
    trees = models.of_kind(stage, "nature_pack", "simple_nature_pack")
    houses = models.of_kind(stage, "buildings_pack_2", "buildings_pack_3", "architecture")
    folk = models.of_kind(stage, "modular_men", "modular_women")
    for side in (-1, 1):
        if stage.chance(0.5):
            street_front(stage, road, side)
        else:
            y = stage.between(-5, 10)
            while y < road.reach * 0.7:
                deep = road.edge + stage.between(4, 9)
                spot = Frame((side * deep, y, 0), side * -np.pi / 2)
                models.stand(stage, houses, spot, stage.between(5, 18), dyed=0.5)
                y += stage.between(8, 22)
        for _ in range(stage.count(0, 10)):
            x = side * (road.width / 2 + stage.between(0.4, 4))
            spot = Frame((x, stage.between(3, 70), 0), stage.between(0, 6))
            files, size = stage.pick(
                (trees, stage.between(2, 10)), (signs, stage.between(2.2, 6)), (folk, 1.75)
            )
            models.stand(stage, files, spot, size, dyed=0.2)
        y = stage.between(-4, 12)
        while stage.chance(0.85) and y < 70:
            spot = Frame((side * (road.width / 2 - 1.2), y, 0), np.pi * stage.count(0, 1))
            models.stand(stage, cars, spot, stage.between(3.8, 5), by="length")
            y += stage.between(5.5, 14)
    for _ in range(stage.count(0, 6)):
        lane = stage.pick(-1, 1) * road.width * stage.between(0.1, 0.3)
        spot = Frame((lane, stage.between(6, 80), 0), 0.0 if lane > 0 else np.pi)
        long = stage.pick(4.4, 4.4, stage.between(6, 11))
        models.stand(stage, cars, spot, long, by="length")

    def view() -> View:
        place = (stage.between(-0.25, 0.3) * road.width, stage.between(-2, 4), 1.0)
        place = (place[0], place[1], stage.between(1.1, 2.3))
        turn = stage.pick(stage.between(-0.1, 0.1), stage.between(-0.1, 0.1), stage.between(-2, 2))
        slope = stage.between(-0.12, 0.06)
        aim = (
            place[0] + float(np.sin(turn)),
            place[1] + float(np.cos(turn)),
            place[2] + float(np.tan(slope)),
        )
        return View(place, aim, stage.between(55, 100), 0.8)

    return view
