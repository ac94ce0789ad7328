"""What stands along streets: cars, houses, poles, fences, benches."""

from __future__ import annotations

from typing import Any

import numpy as np

from depthd.training.scenes import materials, meshes
from depthd.training.scenes.stage import Frame, Stage


def car(stage: Stage, frame: Frame) -> None:
    """A car, van or lorry from its side outline, with windows, wheels and lights."""
    body, dark = materials.paint(stage), materials.glass(stage)
    tyre = materials.plain(stage, (0.02, 0.02, 0.02), 0.9)
    width = stage.between(1.65, 1.95)
    if stage.chance(0.7):
        long, tall = stage.between(3.6, 5.0), stage.between(1.35, 1.8)
        hood, boot = stage.between(0.15, 0.3), stage.between(0.75, 0.98)
        belt = stage.between(0.5, 0.62)
        side = [
            (0.0, 0.2),
            (0.02, belt * 0.9),
            (hood, belt),
            (hood + 0.12, 1.0),
            (boot - 0.1, 1.0),
            (boot, belt + 0.05),
            (0.99, belt * 0.95),
            (1.0, 0.2),
        ]
        window = [
            (hood + 0.04, belt + 0.02),
            (hood + 0.14, 0.93),
            (boot - 0.12, 0.93),
            (boot - 0.03, belt + 0.06),
        ]
    else:
        long, tall, width = stage.between(4.8, 9), stage.between(1.9, 3.4), stage.between(1.9, 2.4)
        side = [(0.0, 0.12), (0.0, 0.5), (0.06, 0.95), (0.1, 1.0), (1.0, 1.0), (1.0, 0.12)]
        window = [(0.03, 0.55), (0.07, 0.9), (0.2, 0.9), (0.2, 0.55)]
    scale = np.array([long, tall])
    shift = np.array([-long / 2, 0.0])
    stage.put(meshes.extrude(np.array(side) * scale + shift, width), body, frame)
    stage.put(meshes.extrude(np.array(window) * scale + shift, width + 0.02), dark, frame)
    # Windscreen and rear window: thin dark sheets on the slanted edges of the outline.
    outline = np.array(side) * scale + shift
    for first, second in ((2, 3), (4, 5)):
        low, high = outline[first], outline[second]
        middle, edge = (low + high) / 2, high - low
        lean = -float(np.arctan2(edge[1], edge[0]))
        place = (float(middle[0]), 0.0, float(middle[1]))
        stage.box(
            dark, frame, place, (float(np.hypot(*edge)) * 0.85, width * 0.85, 0.03), (0, lean, 0)
        )
    for x in (-0.31, 0.31):
        for y in (-1, 1):
            place = (x * long, y * (width / 2 - 0.08), 0.32)
            stage.cylinder(tyre, frame, place, (0.64, 0.64, 0.2), (1.5708, 0, 0))
            stage.cylinder(
                materials.metal(stage),
                frame,
                (x * long, y * (width / 2 + 0.01), 0.32),
                (0.4, 0.4, 0.03),
                (1.5708, 0, 0),
            )
    for y in (-1, 1):
        front = (-long / 2, y * width * 0.36, tall * 0.4)
        rear = (long / 2, y * width * 0.4, tall * 0.45)
        stage.box(
            materials.glow(stage, (1, 1, 0.9), stage.pick(0.5, 1, 8)),
            frame,
            front,
            (0.05, 0.35, 0.13),
        )
        stage.box(
            materials.glow(stage, (0.8, 0.02, 0.01), stage.pick(0.2, 0.5, 3)),
            frame,
            rear,
            (0.05, 0.2, 0.2),
        )
    stage.box(materials.paint(stage), frame, (long / 2 + 0.01, 0, tall * 0.35), (0.03, 0.5, 0.12))


def pole(stage: Stage, frame: Frame) -> None:
    """A lamp post, sign, signal, or mast with wires."""
    tall, look = (
        stage.between(2.2, 9),
        stage.pick(materials.metal, materials.paint, materials.wood)(stage),
    )
    thick = stage.between(0.05, 0.3)
    stage.cylinder(look, frame, (0, 0, tall / 2), (thick, thick, tall))
    kind = stage.pick("lamp", "sign", "signal", "mast", "bare")
    if kind == "lamp":
        stage.box(look, frame, (0, -0.6, tall), (0.08, 1.3, 0.08))
        shine = materials.glow(stage, (1, 0.85, 0.6), stage.pick(0.5, 10))
        stage.box(shine, frame, (0, -1.2, tall - 0.06), (0.2, 0.5, 0.1))
    elif kind == "sign":
        board = materials.paint(stage)
        if stage.chance(0.5):
            stage.cylinder(
                board, frame, (0, -thick / 2 - 0.02, 2.3), (0.65, 0.65, 0.03), (1.5708, 0, 0)
            )
        else:
            stage.box(
                board,
                frame,
                (0, -thick / 2 - 0.02, 2.4),
                (stage.between(0.4, 1.5), 0.03, stage.between(0.3, 0.9)),
            )
    elif kind == "signal":
        stage.box(
            materials.plain(stage, (0.02, 0.02, 0.02)), frame, (0, -0.2, 2.7), (0.3, 0.2, 0.85)
        )
        for k, colour in enumerate(((0.02, 0.6, 0.1), (0.8, 0.4, 0.02), (0.8, 0.02, 0.02))):
            shine = materials.glow(stage, colour, stage.pick(0.1, 3))
            stage.ball(shine, frame, (0, -0.3, 2.44 + 0.26 * k), (0.2, 0.1, 0.2))
    elif kind == "mast":
        stage.box(look, frame, (0, 0, tall * 0.92), (1.6, 0.1, 0.1))
        t = np.linspace(0, 1, 16)
        for x in (-0.7, 0.0, 0.7):
            wire = np.stack(
                [np.full(16, x), 40 * (t - 0.5), tall * 0.95 - 1.2 + 1.2 * (2 * t - 1) ** 2], axis=1
            )
            stage.put(meshes.tube(wire, 0.02, 5), look, frame)


def fence(stage: Stage, frame: Frame, length: float) -> None:
    """Posts with rails, or a low wall, along x."""
    tall, look = stage.between(0.5, 2.0), materials.anything(stage)
    if stage.chance(0.3):
        stage.box(materials.wall(stage), frame, (0, 0, tall / 2), (length, 0.2, tall))
        return
    step = stage.pick(0.15, 0.3, 1.5)
    for k in range(min(int(length / step), 160)):
        stage.box(look, frame, (k * step - length / 2, 0, tall / 2), (0.05, 0.05, tall))
    for z in (0.25, 0.6, 0.95):
        stage.box(look, frame, (0, 0, z * tall), (length, 0.03, 0.05))


def building(stage: Stage, frame: Frame, width: float, deep: float) -> None:
    """A house whose front, towards negative y, has rows of windows, a door, perhaps balconies."""
    storeys = stage.count(1, 7)
    storey = stage.between(2.7, 3.6)
    tall = storeys * storey
    walls, trim, panes = materials.wall(stage), materials.paint(stage), materials.glass(stage)
    lit = materials.glow(stage, (1, 0.8, 0.5), stage.between(0.5, 3))
    night = stage.chance(0.2)
    stage.box(walls, frame, (0, deep / 2, tall / 2), (width, deep, tall))
    columns = max(int(width / stage.between(1.8, 4)), 1)
    w, h = width / columns * stage.between(0.35, 0.75), storey * stage.between(0.4, 0.7)
    balcony = stage.chance(0.25)
    for row in range(storeys):
        for column in range(columns):
            x, z = (column + 0.5) * width / columns - width / 2, (row + 0.55) * storey
            look = lit if night and stage.chance(0.4) else panes
            stage.box(trim, frame, (x, -0.02, z), (w + 0.16, 0.08, h + 0.16))
            stage.box(look, frame, (x, -0.04, z), (w, 0.08, h))
            if balcony and row > 0 and column % 2:
                stage.box(trim, frame, (x, -0.6, z - h / 2 - 0.1), (w + 0.8, 1.2, 0.12))
                stage.box(trim, frame, (x, -1.15, z - h / 2 + 0.4), (w + 0.8, 0.05, 0.9))
    stage.box(
        materials.paint(stage),
        frame,
        (stage.between(-width / 3, width / 3), -0.05, 1.1),
        (1.1, 0.1, 2.2),
    )
    if stage.chance(0.3):  # a shop with its awning
        stage.box(panes, frame, (0, -0.06, 1.5), (width * 0.8, 0.1, 2.2))
        stage.box(
            materials.cloth(stage), frame, (0, -0.7, 2.9), (width * 0.85, 1.4, 0.06), (0.35, 0, 0)
        )
    if storeys <= 3 and stage.chance(0.7):
        rise = stage.between(1, 4)
        gable = np.array([(-width / 2 - 0.3, 0), (width / 2 + 0.3, 0), (0, rise)], dtype=np.float64)
        if stage.chance(0.5):
            stage.put(
                meshes.extrude(gable, deep + 0.6), materials.wall(stage), frame, (0, deep / 2, tall)
            )
        else:
            ridge = np.array(
                [(-deep / 2 - 0.4, 0), (deep / 2 + 0.4, 0), (0, rise)], dtype=np.float64
            )
            place = frame.at(0, deep / 2, tall, np.pi / 2)
            stage.put(meshes.extrude(ridge, width + 0.4), materials.wall(stage), place)


def bin_or_box(stage: Stage, frame: Frame) -> None:
    """Bins, letter boxes, bollards, benches."""
    kind: Any = stage.pick("bin", "bollard", "bench", "crate")
    look = materials.paint(stage)
    if kind == "bench":
        stage.box(materials.wood(stage), frame, (0, 0, 0.45), (1.6, 0.45, 0.06))
        stage.box(materials.wood(stage), frame, (0, 0.25, 0.75), (1.6, 0.05, 0.4), (-0.2, 0, 0))
        for x in (-0.7, 0.7):
            stage.box(look, frame, (x, 0, 0.22), (0.08, 0.4, 0.44))
        return
    size = (stage.between(0.4, 0.9), stage.between(0.4, 0.9), stage.between(0.6, 1.3))
    if kind == "crate":
        stage.box(look, frame, (0, 0, size[2] / 2), size)
    elif kind == "bin":
        stage.cylinder(look, frame, (0, 0, size[2] / 2), (size[0], size[0], size[2]))
    else:
        stage.cylinder(look, frame, (0, 0, 0.45), (0.15, 0.15, 0.9))
