"""Many of a kind: stamped and moulded parts, bolts, rings, coins, alone or heaped in a crate.

A kind is a function that puts one more of it down, and how thick it is where it lies, in metres.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from depthd.training.scenes import materials, meshes
from depthd.training.scenes.meshes import Mesh, Points
from depthd.training.scenes.stage import Frame, Stage, Vector
from depthd.training.scenes.things import small_thing

Put = Callable[[Frame, Vector], object]
"""Puts one more of the same thing at a frame, tilted."""


def outline(stage: Stage) -> Points:
    """The edge of a stamped or moulded part: bracket, hook, wheel, plate; within a unit square."""
    kind = stage.pick("bracket", "wheel", "any", "arch", "cross")
    if kind == "bracket":
        a, b = stage.between(0.2, 0.5), stage.between(0.2, 0.6)
        corners = [(0, 0), (1, 0), (1, a), (b + 0.1, a), (b, a + 0.1), (b, 1), (0, 1)]
        return np.array(corners, dtype=np.float64) - 0.5
    if kind == "cross":
        a, b = stage.between(0.2, 0.4), stage.between(0.2, 0.4)
        half = [(a, 0), (1 - a, 0), (1 - a, b), (1, b), (1, 1 - b), (1 - a, 1 - b)]
        whole = [*half, (1 - a, 1), (a, 1), (a, 1 - b), (0, 1 - b), (0, b), (a, b)]
        return np.array(whole, dtype=np.float64) - 0.5
    if kind == "wheel":
        teeth = stage.count(5, 16)
        angle = np.linspace(0, 2 * np.pi, 4 * teeth, endpoint=False)
        radius = np.where(np.arange(4 * teeth) % 4 < 2, 0.5, stage.between(0.3, 0.47))
        return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    if kind == "arch":
        angle = np.linspace(0, stage.between(2.2, 5), 14)
        inner = stage.between(0.2, 0.4)
        both = np.concatenate([np.full(14, 0.5), np.full(14, inner)])
        turn = np.concatenate([angle, angle[::-1]])
        return np.stack([both * np.cos(turn), both * np.sin(turn)], axis=1)
    angles = np.sort(stage.random.uniform(0, 2 * np.pi, stage.count(3, 8)))
    radius = stage.random.uniform(0.25, 0.5, len(angles))
    return np.stack([radius * np.cos(angles), radius * np.sin(angles)], axis=1)


def part(stage: Stage, size: float) -> tuple[Put, float]:
    """One kind of part, about `size` metres long, and how thick it is where it lies."""
    look = stage.pick(materials.paint, materials.paint, materials.metal, materials.anything)(stage)
    kind = stage.pick("plate", "plate", "plate", "bolt", "ring", "pipe", "block", "thing")
    if kind == "plate":
        thick = stage.between(0.04, 0.35)
        body: Mesh = meshes.extrude(outline(stage), thick)
        rib = stage.chance(0.5)
        edge = meshes.extrude(outline(stage) * stage.between(0.3, 0.7), thick * 1.6)

        def plate(spot: Frame, tilt: Vector) -> None:
            flat = (tilt[0] + np.pi / 2, tilt[1], tilt[2])
            middle = (0.0, 0.0, thick * size / 2)
            stage.put(body, look, spot, middle, (size,) * 3, flat)
            if rib:
                stage.put(edge, look, spot, middle, (size,) * 3, flat)

        return plate, thick * size
    if kind == "thing":
        return (lambda spot, _: small_thing(stage, spot, size)), size * 0.5
    bodies, thick = _solid(stage, kind)

    def solid(spot: Frame, tilt: Vector) -> None:
        for body in bodies:
            stage.put(body, look, spot, (0, 0, thick * size / 2), (size,) * 3, tilt)

    return solid, thick * size


def _solid(stage: Stage, kind: str) -> tuple[list[Mesh], float]:
    """Meshes of a bolt, ring, bent pipe or studded block of unit length, lying; its thickness."""
    thick = stage.between(0.05, 0.3)
    if kind == "bolt":
        head = stage.between(0.08, 0.3)
        rod = np.array([(1e-4, -0.5), (thick / 2, -0.5), (thick / 2, 0.5), (1e-4, 0.5)])
        cap = np.array([(1e-4, 0.5), (thick, 0.5), (thick, 0.5 + head), (1e-4, 0.5 + head)])
        round_ = stage.pick(6, 20)
        found = [meshes.lathe(rod, 20), meshes.lathe(cap, round_, smooth=False)]
        return [Mesh(m.points[:, [2, 0, 1]], m.faces, m.smooth) for m in found], thick
    if kind == "block":
        box = meshes.box()
        body = Mesh(box.points * (1.0, stage.between(0.3, 1), thick), box.faces)
        stud = meshes.cylinder(12)
        studs = [
            Mesh(stud.points * (0.14, 0.14, 0.1) + (x, 0, thick / 2), stud.faces)
            for x in np.linspace(-0.38, 0.38, stage.count(2, 4))
        ]
        return [body, *(studs if stage.chance(0.6) else [])], thick
    turn = 2 * np.pi if kind == "ring" else stage.between(1.0, 4.0)
    angle = np.linspace(0, turn, 26)
    path = np.stack([np.cos(angle), np.sin(angle), np.zeros(26)], axis=1) * (1 - thick) / 2
    return [meshes.tube(path, thick / 2, 10)], thick


def heap(stage: Stage, spot: Frame, wide: float, deep: float, high: float) -> None:
    """Parts of one to three kinds over a floor of `wide` x `deep` metres, in layers."""
    size = min(wide, deep) * stage.between(0.12, 0.5)
    kinds = [part(stage, size * stage.between(0.7, 1.1)) for _ in range(stage.pick(1, 1, 2, 3))]
    most = stage.between(0.1, 1.6) * wide * deep / size**2
    room = (max(wide - size, 0.01), max(deep - size, 0.01))
    lying = stage.between(0, 0.5)
    for k in range(int(np.clip(most, 1, 70))):
        put, thick = stage.pick(*kinds)
        layer = min(int(k * size**2 / (wide * deep)) * thick * 0.8, max(high - thick, 0))
        x, y = stage.between(-0.5, 0.5) * room[0], stage.between(-0.5, 0.5) * room[1]
        lean = lying if layer else lying * 0.3
        tilt = (stage.between(-lean, lean), stage.between(-lean, lean), 0.0)
        put(spot.at(x, y, layer, stage.between(0, 6.3)), tilt)


def coin(stage: Stage, size: float) -> tuple[Put, float]:
    """Round flat things of one kind: coins, buttons, lids, washers."""
    look = stage.pick(materials.metal, materials.metal, materials.paint)(stage)
    thick = stage.between(0.05, 0.35)
    rim, face = stage.between(0.75, 0.95), stage.between(0.6, 1.0)
    profile = np.array([(1e-4, face), (rim, face), (rim, 1.0), (1.0, 1.0), (1.0, 0.0)])
    body = meshes.lathe(profile[::-1] * (0.5, thick), 28, smooth=False)

    def put(spot: Frame, tilt: Vector) -> None:
        stage.put(body, look, spot, (0, 0, 0), (size,) * 3, tilt)

    return put, thick * size
