"""Crops and fruit at arm's length: what is near is as often above as below."""

from __future__ import annotations

import numpy as np

from depthd.training.scenes import materials, meshes, models
from depthd.training.scenes.light import light_outside
from depthd.training.scenes.plants import bush, foliage, tree
from depthd.training.scenes.stage import Frame, Stage
from depthd.training.scenes.view import View, ViewMaker


def orchard(stage: Stage) -> ViewMaker:
    """A wall of leaves with fruit and branches, the next row behind it, sky or ground between."""
    light_outside(stage)
    stage.plane(materials.soil(stage), Frame(), (0, 0, 0), (300, 300))
    leaf, bark = materials.green(stage), materials.soil(stage)
    red = materials.plain(stage, materials.hue(stage, (0.5, 1), (0.2, 0.9)), stage.between(0.2, 1))
    size = stage.between(0.03, 0.1)
    for row in range(stage.count(1, 3)):
        back = stage.between(0.9, 1.6) + row * stage.between(2, 4)
        for _ in range(stage.count(2, 5)):  # trunks and branches
            x, lean = stage.between(-2, 2), stage.between(-0.3, 0.3)
            trunk = np.array([(x, 0, 0), (x + lean, 0, 1.0), (x + 2 * lean, 0.1, 2.6)])
            stage.put(meshes.tube(trunk, stage.between(0.02, 0.09)), bark, Frame((0, back, 0)))
            for _ in range(stage.count(1, 5)):
                start = np.array([x + lean, 0, stage.between(0.5, 2.0)])
                reach = np.array(
                    [stage.between(-1, 1), stage.between(-0.7, 0.3), stage.between(-0.3, 0.6)]
                )
                branch = start + np.linspace(0, 1, 4)[:, None] * reach
                stage.put(
                    meshes.tube(branch, stage.between(0.005, 0.02)), bark, Frame((0, back, 0))
                )
        count = stage.count(300, 2500)
        middles = stage.random.normal(size=(count, 3)) * (1.3, stage.between(0.15, 0.4), 0.6)
        middles[:, 2] += stage.between(1.1, 1.7)
        middles = middles[middles[:, 2] > 0.2]
        pointing = stage.random.normal(size=middles.shape)
        long = stage.between(0.05, 0.16)
        mesh = meshes.leaves(middles, pointing, long, long * stage.between(0.3, 0.8), stage.random)
        stage.put(mesh, leaf, Frame((0, back, 0)))
        for _ in range(stage.count(0, 40)):
            place = (
                stage.between(-1.3, 1.3),
                back + float(stage.random.normal()) * 0.3 - 0.1,
                stage.between(0.6, 2.3),
            )
            stage.ball(red, Frame(), place, (size, size, size * stage.between(0.8, 1.2)))

    def view() -> View:
        place = (stage.between(-0.8, 0.8), stage.between(-0.5, 0.3), stage.between(0.7, 2.0))
        turn, slope = stage.between(-0.8, 0.8), stage.between(-0.4, 0.7)
        aim = (place[0] + float(np.sin(turn)), place[1] + float(np.cos(turn)), place[2] + slope)
        return View(place, aim, stage.between(30, 75), 0.15)

    return view


def gutters(stage: Stage) -> ViewMaker:
    """Rows of troughs on posts, plants above them, fruit hanging over their edges."""
    light_outside(stage)
    stage.plane(stage.pick(materials.soil, materials.film)(stage), Frame(), (0, 0, 0), (200, 200))
    high, apart = stage.between(0.5, 1.6), stage.between(0.9, 2.0)
    trough, post = materials.paint(stage), materials.metal(stage)
    leaf = materials.green(stage)
    red = materials.plain(stage, materials.hue(stage, (0.6, 1), (0.2, 0.9)), stage.between(0.2, 1))
    plants = [
        foliage(stage, stage.between(0.15, 0.4), stage.between(0.25, 0.5), stage.count(15, 45))
        for _ in range(4)
    ]
    long = stage.between(6, 20)
    for number in range(-2, 3):
        x = (number + 0.5) * apart
        stage.box(trough, Frame(), (x, long / 2 - 1, high), (0.22, long, 0.12))
        for y in np.arange(0, long, 2.0):
            stage.cylinder(post, Frame(), (x, float(y), high / 2), (0.04, 0.04, high))
        for y in np.arange(-0.9, long - 1, stage.between(0.18, 0.4)):
            spot = Frame((x, float(y), high + 0.05), stage.between(0, 6), stage.between(0.7, 1.3))
            stage.put(stage.pick(*plants), leaf, spot)
            if y < 4:
                for _ in range(stage.count(0, 3)):
                    side = stage.pick(-1, 1) * stage.between(0.11, 0.2)
                    place = (x + side, float(y) + stage.between(-0.1, 0.1), high)
                    drop = stage.between(-0.22, 0.05)
                    stage.ball(red, Frame(), (place[0], place[1], high + drop), (0.03, 0.03, 0.04))
    if stage.chance(0.5):  # a tunnel's or greenhouse's roof
        roof = materials.plain(stage, (0.9, 0.9, 0.9), 0.6)
        for y in np.arange(0, long, 1.5):
            stage.box(roof, Frame(), (0, float(y), high + 2), (8, 0.06, 0.06))

    def view() -> View:
        place = (stage.between(-0.3, 0.3) * apart, stage.between(-0.5, 1.5), high)
        place = (place[0], place[1], high + stage.between(-0.4, 0.7))
        turn = stage.pick(stage.between(-0.25, 0.25), stage.between(-1.6, 1.6))
        slope = stage.between(-0.6, 0.25)
        aim = (place[0] + float(np.sin(turn)), place[1] + float(np.cos(turn)), place[2] + slope)
        return View(place, aim, stage.between(40, 85), 0.15)

    return view


def patch(stage: Stage) -> ViewMaker:
    """A garden bed or crop patch of modelled plants, from standing height down to the leaves."""
    light_outside(stage)
    stage.plane(materials.soil(stage), Frame(), (0, 0, 0), (300, 300))
    crops = models.of_kind(stage, "crops_pack")
    kinds = stage.count(1, 4)
    chosen = tuple(stage.pick(*crops) for _ in range(kinds)) if crops else ()
    tall, step = stage.between(0.15, 1.6), stage.between(0.25, 0.9)
    for row in range(-5, 6):
        for k in range(stage.count(6, 14)):
            spot = Frame(
                (row * step + stage.between(-0.05, 0.05), k * step * stage.between(0.9, 1.0), 0),
                stage.between(0, 6),
            )
            if chosen and stage.chance(0.85):
                size = tall * stage.between(0.7, 1.2)
                models.stand(stage, chosen, spot, size, dyed=0.25)
    for _ in range(stage.count(0, 14)):
        y = stage.between(5, 40)
        spot = Frame((stage.between(-0.8, 0.8) * y, y, 0), stage.between(0, 6))
        stage.pick(tree, bush, bush)(stage, spot)

    def view() -> View:
        lift = tall * stage.between(0.3, 1.2) + stage.between(0.1, 1.2)
        place = (stage.between(-1, 1) * step, stage.between(-1.5, 1.5), lift)
        turn, slope = stage.between(-0.7, 0.7), stage.between(-1.2, 0.15)
        aim = (place[0] + float(np.sin(turn)), place[1] + float(np.cos(turn)), lift + slope)
        return View(place, aim, stage.between(35, 80), 0.12)

    return view
