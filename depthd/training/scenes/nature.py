"""Fields, gardens, woods."""

from __future__ import annotations

import numpy as np

from depthd.training.scenes import materials, meshes
from depthd.training.scenes.light import light_outside
from depthd.training.scenes.people import person
from depthd.training.scenes.plants import bush, foliage, tree
from depthd.training.scenes.roadside import bin_or_box, building, car, fence, pole
from depthd.training.scenes.stage import Frame, Stage
from depthd.training.scenes.view import View, ViewMaker


def field(stage: Stage) -> ViewMaker:
    """Crop rows on flat or ridged soil, with or without plastic cover, up to the horizon."""
    light_outside(stage)
    cells, extent = 200, stage.between(8, 30)
    across = np.linspace(-extent / 2, extent / 2, cells + 1)
    spacing, ridge = stage.between(0.4, 1.6), stage.pick(0.02, stage.between(0.05, 0.35))
    profile = ridge * np.clip(stage.between(0.6, 2.0) * np.cos(2 * np.pi * across / spacing), -1, 1)
    rough = stage.random.normal(size=(cells + 1, cells + 1)) * stage.between(0.002, 0.02)
    swell = np.sin(across * stage.between(0.1, 0.5) + 2)[:, None] * stage.between(0, 0.3)
    height = profile[None, :] + rough + swell
    covered = stage.chance(0.3)
    soil = materials.soil(stage)
    dark = materials.plain(
        stage, materials.hue(stage, (0, 0.3), (0.03, 0.9)), stage.between(0.1, 0.4)
    )
    stage.put(meshes.ground(extent, extent, cells, height), dark if covered else soil, Frame())
    stage.plane(soil, Frame(), (0, 0, -ridge * (0.6 if covered else 1.1)), (600, 600))
    leaf = materials.green(stage)
    size = stage.pick(stage.between(0.05, 0.25), stage.between(0.2, 1.5))
    kinds = [
        foliage(stage, size, size * stage.between(0.5, 1.2), stage.count(6, 40)) for _ in range(4)
    ]
    step = max(size * stage.between(0.6, 2.5), spacing * 0.25, extent / 60)
    for row in np.arange(-int(extent / 2 / spacing), int(extent / 2 / spacing) + 1) * spacing:
        if abs(row) > 6:
            continue
        for y in np.arange(-extent / 2, extent / 2, step):
            if stage.chance(0.9):
                spot = Frame(
                    (float(row) + stage.between(-0.04, 0.04), float(y), ridge * 0.9),
                    stage.between(0, 6),
                    stage.between(0.5, 1.3),
                )
                stage.put(stage.pick(*kinds), leaf, spot)
    for _ in range(stage.count(0, 12)):
        spot = Frame(
            (stage.between(-40, 40), extent / 2 + stage.between(2, 50), 0), stage.between(0, 6)
        )
        stage.pick(tree, bush, pole)(stage, spot)

    def view() -> View:
        lift = stage.between(0.4, 2.2) + ridge
        x, y = (
            stage.pick(0.5, 0.0, stage.between(-1, 1)) * spacing,
            -extent / 2 + stage.between(1, extent / 3),
        )
        slope = stage.pick(stage.between(-0.35, 0.05), stage.between(-1.1, -0.3))
        turn = stage.pick(stage.between(-0.2, 0.2), stage.between(-1.5, 1.5))
        aim = (x + float(np.sin(turn)), y + float(np.cos(turn)), lift + float(np.tan(slope)))
        return View((x, y, lift), aim, stage.between(45, 85), 0.2)

    return view


def garden(stage: Stage) -> ViewMaker:
    """Park, garden or wood: uneven ground, trees, bushes, grass, path, benches, people."""
    light_outside(stage)
    cells, extent = 90, 90.0
    axis = np.linspace(-extent / 2, extent / 2, cells + 1)
    waves = [
        stage.between(0, 1.2) * np.sin(axis * stage.between(0.05, 0.3) + stage.between(0, 6))
        for _ in range(4)
    ]
    height = waves[0][None, :] + waves[1][:, None] + 0.3 * waves[2][None, :] * waves[3][:, None]
    stage.put(meshes.ground(extent, extent, cells, height), materials.soil(stage), Frame())
    stage.plane(materials.soil(stage), Frame(), (0, 0, -1.5), (900, 900))

    def level(x: float, y: float) -> float:
        column = int((x / extent + 0.5) * cells)
        line = int((y / extent + 0.5) * cells)
        return float(height[min(max(line, 0), cells), min(max(column, 0), cells)])

    def spot(low: float, high: float) -> Frame:
        y = stage.between(low, high)
        x = stage.between(-0.8, 0.8) * (y + 6)
        return Frame((x, y, level(x, y) - 0.05), stage.between(0, 6))

    for _ in range(stage.count(3, 25)):
        stage.pick(tree, tree, bush)(stage, spot(2, 42))
    tuft = [foliage(stage, 0.3, 0.3, 14) for _ in range(3)]
    leaf = materials.green(stage)
    for _ in range(stage.count(0, 250)):
        stage.put(stage.pick(*tuft), leaf, spot(0.5, 14))
    for _ in range(stage.count(0, 6)):
        kind = stage.pick(person, bin_or_box, pole, car)
        kind(stage, spot(3, 25))
    if stage.chance(0.4):
        building(stage, spot(15, 40), stage.between(6, 20), 8)
    if stage.chance(0.3):
        place = spot(3, 15)
        fence(stage, Frame(place.place, stage.between(-0.5, 0.5)), stage.between(8, 40))

    def view() -> View:
        x, y = stage.between(-2, 2), stage.between(-3, 6)
        lift = level(x, y) + stage.between(0.3, 2.5)
        turn, slope = stage.between(-0.6, 0.6), stage.between(-0.5, 0.25)
        aim = (x + float(np.sin(turn)), y + float(np.cos(turn)), lift + float(np.tan(slope)))
        return View((x, y, lift), aim, stage.between(35, 85), 0.3)

    return view
