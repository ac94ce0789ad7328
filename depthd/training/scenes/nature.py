"""Fields, beds under film, gardens, woods."""

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
    """Crop rows on flat or ridged soil up to the horizon."""
    light_outside(stage)
    cells, extent = 200, stage.between(8, 30)
    across = np.linspace(-extent / 2, extent / 2, cells + 1)
    spacing, ridge = stage.between(0.4, 1.6), stage.pick(0.02, stage.between(0.05, 0.35))
    profile = ridge * np.clip(stage.between(0.6, 2.0) * np.cos(2 * np.pi * across / spacing), -1, 1)
    rough = stage.random.normal(size=(cells + 1, cells + 1)) * stage.between(0.002, 0.02)
    swell = np.sin(across * stage.between(0.1, 0.5) + 2)[:, None] * stage.between(0, 0.3)
    height = profile[None, :] + rough + swell
    soil = materials.soil(stage)
    stage.put(meshes.ground(extent, extent, (cells, cells), height), soil, Frame())
    stage.plane(soil, Frame(), (0, 0, -ridge * 1.1), (600, 600))
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


def beds(stage: Stage) -> ViewMaker:
    """Raised beds under film with bare furrows between them, mostly looked down upon.

    What is dark here is not nearer than what is bright, nor the other way round: the film is a
    sheet of any shade over the same ground.
    """
    light_outside(stage)
    width, furrow = stage.between(0.4, 1.5), stage.between(0.12, 0.6)
    rise, length = stage.between(0.06, 0.45), stage.between(3, 25)
    spacing, wide = width + furrow, 7.0
    lines, columns = 160, 220
    x, y = np.meshgrid(
        np.linspace(-wide / 2, wide / 2, columns + 1), np.linspace(0, length, lines + 1)
    )
    wander = stage.between(0, 0.06) * np.sin(y * stage.between(0.5, 3) + stage.between(0, 6))
    off = np.abs((x + wander + spacing / 2) % spacing - spacing / 2)  # metres from a bed's middle
    shoulder = stage.between(0.1, 0.45) * width
    side = np.clip((width / 2 + furrow * 0.2 - off) / shoulder, 0, 1)
    end = np.clip(np.minimum(y, length - y) / stage.between(0.2, 0.9), 0, 1)
    swell = np.sin(y * stage.between(0.1, 0.8)) * stage.between(0, 0.1)
    bed = rise * np.sqrt(np.sin(side * np.pi / 2) * np.sin(end * np.pi / 2))
    creases = stage.random.normal(size=bed.shape) * stage.between(0.001, 0.008)
    stage.put(
        meshes.ground(wide, length, (columns, lines), bed + swell + creases),
        materials.film(stage),
        Frame((0, length / 2, 0)),
    )
    # Earth that was thrown on the film's edges: it cuts the film off in a ragged line.
    cover = rise * stage.between(0.1, 0.5)
    clods = stage.random.normal(size=bed.shape) * stage.between(0.005, 0.03)
    soil = stage.pick(materials.soil, materials.earth)(stage)
    stage.put(
        meshes.ground(wide, length, (columns, lines), swell + cover + clods),
        soil,
        Frame((0, length / 2, 0)),
    )
    stage.plane(soil, Frame(), (0, length / 2, cover - 0.02), (600, 600))
    leaf, size = materials.green(stage), stage.between(0.1, 0.45)
    plants = [foliage(stage, size, size * 0.8, stage.count(6, 16)) for _ in range(4)]
    heap = meshes.blob(stage.random, 0.3, 10)
    apart = stage.between(0.25, 0.8) if stage.chance(0.85) else length
    lanes = stage.pick((0.0,), (-0.25, 0.25))
    for number in range(-3, 4):
        for lane in lanes:
            for at in np.arange(0.3, length - 0.3, apart):
                if stage.chance(0.1):
                    continue
                foot = (number + lane * width / spacing) * spacing, float(at)
                place = Frame((*foot, rise * 0.95), stage.between(0, 6), stage.between(0.5, 1.3))
                if stage.chance(0.5):  # earth around the hole in the film
                    reach = size * stage.between(0.4, 1.5)
                    stage.put(heap, soil, place, (0, 0, 0), (reach, reach, reach * 0.25))
                stage.put(stage.pick(*plants), leaf, place)
    for _ in range(stage.count(0, 8)):
        spot = Frame(
            (stage.between(-40, 40), length + stage.between(3, 50), 0), stage.between(0, 6)
        )
        stage.pick(tree, bush, pole)(stage, spot)

    def view() -> View:
        lift = rise + stage.between(0.35, 1.8)
        x = stage.pick(0.5, 0.5, 0.0, stage.between(-1, 1)) * spacing + stage.between(-0.1, 0.1)
        y = stage.between(-0.2, 0.8) * min(length, 6)
        slope = np.radians(stage.pick(stage.between(-65, -20), stage.between(-35, 2)))
        turn = stage.pick(stage.between(-0.15, 0.15), stage.between(-0.9, 0.9))
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
    stage.put(meshes.ground(extent, extent, (cells, cells), height), materials.soil(stage), Frame())
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
