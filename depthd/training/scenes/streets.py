"""Streets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from depthd.training.scenes import materials
from depthd.training.scenes.light import light_outside, warm
from depthd.training.scenes.people import person
from depthd.training.scenes.plants import bush, tree
from depthd.training.scenes.roadside import bin_or_box, building, car, fence, pole
from depthd.training.scenes.stage import Frame, Stage
from depthd.training.scenes.view import View, ViewMaker


@dataclass(frozen=True)
class Road:
    """Widths of carriageway and pavement, the kerb's height, how far the street goes; metres."""

    width: float
    walk: float
    kerb: float
    reach: float
    built: str

    @property
    def edge(self) -> float:
        """Where the pavement ends, from the middle of the road."""
        return self.width / 2 + self.walk


def street(stage: Stage) -> ViewMaker:
    """A street with lanes, pavements, facades or gardens, parked and moving cars, trees, people."""
    night = light_outside(stage)
    road = Road(
        width=stage.between(5, 16),
        walk=stage.between(0.8, 5),
        kerb=stage.between(0.02, 0.16),
        reach=stage.between(60, 200),
        built=stage.pick("town", "town", "suburb", "country"),
    )
    carriageway(stage, road)
    for side in (-1, 1):
        street_front(stage, road, side)
        pavement_things(stage, road, side)
        if stage.chance(0.65):
            parked_cars(stage, road, side)
    for _ in range(stage.count(0, 5)):
        lane = stage.pick(-1, 1) * road.width * stage.between(0.08, 0.28)
        turn = -np.pi / 2 if lane > 0 else np.pi / 2
        spot = Frame((lane, stage.between(7, 70), 0), turn + stage.between(-0.05, 0.05))
        car(stage, spot)
    if stage.chance(0.25):
        for _ in range(stage.count(1, 5)):
            x, y = stage.between(-0.5, 0.5) * road.width, stage.between(3, 20)
            person(stage, Frame((x, y, 0), stage.between(0, 6)))
    if night:
        for k in range(8):
            place = (stage.pick(-1, 1) * road.width / 2, k * 12.0, 6.0)
            stage.bulb(Frame(), place, stage.between(100, 900), warm(stage))
    return lambda: street_view(stage, road)


def carriageway(stage: Stage, road: Road) -> None:
    """Ground, road, pavements and what is painted on the road."""
    stage.plane(materials.soil(stage), Frame(), (0, 0, -0.05), (800, 800))
    stage.plane(materials.asphalt(stage), Frame(), (0, 90, 0), (road.width, 260))
    pave = stage.pick(materials.asphalt, materials.floor, materials.soil)(stage)
    for side in (-1, 1):
        place = (side * (road.width + road.walk) / 2, 90.0, road.kerb / 2)
        stage.box(pave, Frame(), place, (road.walk, 260, road.kerb))
    paint = materials.plain(stage, materials.hue(stage, (0, 0.1), (0.7, 1)), 0.8)
    if stage.chance(0.7):
        for k in range(50):
            stage.plane(paint, Frame(), (0, -10 + k * 5, 0.01), (0.14, 2.5))
    if stage.chance(0.5):
        for side in (-1, 1):
            stage.plane(paint, Frame(), (side * (road.width / 2 - 0.35), 90, 0.01), (0.14, 260))
    if stage.chance(0.3):
        y = stage.between(2, 25)
        for k in range(int(road.width / 0.9)):
            place = (k * 0.9 - road.width / 2 + 0.45, y, 0.012)
            stage.plane(paint, Frame(), place, (0.45, 3))


def street_front(stage: Stage, road: Road, side: int) -> None:
    """Houses, or trees and fences, along one side."""
    y = -15.0
    while y < road.reach:
        width = stage.between(7, 25)
        back = 0.1 if road.built == "town" else stage.between(3, 14)
        front = Frame((side * (road.edge + back), y + width / 2, 0), side * -np.pi / 2)
        if road.built == "town" or (road.built == "suburb" and stage.chance(0.7)):
            building(stage, front, width * 0.97, stage.between(6, 14))
        y += width * (1.0 if road.built == "town" else 1.5)
    if road.built == "town":
        return
    for _ in range(stage.count(4, 16)):
        x, y = side * (road.edge + stage.between(1, 25)), stage.between(2, road.reach)
        spot = Frame((x, y, 0), stage.between(0, 6))
        stage.pick(tree, tree, bush)(stage, spot)
    if stage.chance(0.5):
        fence(stage, Frame((side * (road.edge + 0.3), 20, 0), np.pi / 2), 50)


def pavement_things(stage: Stage, road: Road, side: int) -> None:
    """A row of trees, poles, bins, people; now and then the kind changes."""
    kinds = (
        tree,
        pole,
        pole,
        bin_or_box,
        person,
        person,
    )
    row, kind = stage.between(5, 12), stage.pick(*kinds)
    for k in range(int(road.reach / row)):
        if stage.chance(0.4):
            continue
        if stage.chance(0.4):
            kind = stage.pick(*kinds)
        x = side * (road.width / 2 + stage.between(0.3, max(road.walk - 0.3, 0.4)))
        place = (x, k * row + stage.between(-2, 2), road.kerb)
        kind(stage, Frame(place, side * -np.pi / 2))


def parked_cars(stage: Stage, road: Road, side: int) -> None:
    """A row of cars at the kerb."""
    y = stage.between(-6, 8)
    while y < road.reach * 0.6:
        if stage.chance(0.7):
            car(stage, Frame((side * (road.width / 2 - 1.1), y, 0), np.pi / 2 * side))
        y += stage.between(5.2, 8)


def street_view(stage: Stage, road: Road) -> View:
    """From a car, from the pavement, or from a window or mast."""
    kind = stage.pick("car", "car", "car", "walker", "high")
    if kind == "car":
        x, y, z = stage.between(-0.3, 0.3) * road.width, stage.between(-4, 10), stage.between(1, 2)
        turn, slope = stage.between(-0.15, 0.15), stage.between(-0.1, 0.06)
        if stage.chance(0.2):
            turn = stage.between(-1.2, 1.2)
        field_of_view = stage.between(45, 100)
    elif kind == "walker":
        x = stage.pick(-1, 1) * (road.width / 2 + road.walk / 2)
        y, z = stage.between(-4, 15), stage.between(0.7, 2.1)
        turn, slope = stage.between(-1.3, 1.3), stage.between(-0.3, 0.3)
        field_of_view = stage.between(40, 80)
    else:
        x = stage.between(-0.6, 0.6) * road.width
        y, z = stage.between(-5, 10), stage.between(2.5, 12)
        turn, slope = stage.between(-0.6, 0.6), stage.between(-0.7, 0)
        field_of_view = stage.between(40, 80)
    aim = (x + float(np.sin(turn)), y + float(np.cos(turn)), z + float(np.tan(slope)))
    return View((x, y, z), aim, field_of_view, 0.8)
