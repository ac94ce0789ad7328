"""What stands on desks: screens, keyboards, lamps, paper."""

from __future__ import annotations

import numpy as np

from depthd.training.scenes import materials, meshes
from depthd.training.scenes.stage import Frame, Stage
from depthd.training.scenes.things import books, scatter


def laptop(stage: Stage, frame: Frame, _: float = 0.0) -> None:
    """A laptop, open or closed."""
    body, width, deep = materials.paint(stage), stage.between(0.26, 0.38), stage.between(0.18, 0.26)
    stage.box(body, frame, (0, 0, 0.009), (width, deep, 0.018))
    keys = materials.paint(stage)
    for row in range(5):
        for column in range(11):
            place = ((column - 5) * width / 12, deep * (0.35 - row * 0.11), 0.019)
            stage.box(keys, frame, place, (width / 14, deep * 0.085, 0.004))
    if stage.chance(0.8):
        lean = stage.between(-0.6, 0.1)
        tall = deep
        place = (0.0, deep / 2 - np.sin(lean) * tall / 2, 0.018 + np.cos(lean) * tall / 2)
        stage.box(body, frame, place, (width, 0.008, tall), (lean, 0, 0))
        screen = materials.picture(stage, stage.pick(0.0, 0.5, 2.0))
        front = (place[0], place[1] - 0.006, place[2])
        stage.plane(screen, frame, front, (width * 0.94, tall * 0.9), (1.5708 + lean, 0, 0))


def monitor(stage: Stage, frame: Frame, _: float = 0.0) -> None:
    """A screen on a foot."""
    width = stage.between(0.4, 0.8)
    tall, lift = width * stage.between(0.5, 0.65), stage.between(0.08, 0.2)
    body = materials.paint(stage)
    stage.box(body, frame, (0, 0.03, lift + tall / 2), (width, 0.04, tall))
    look = materials.picture(stage, stage.pick(0.0, 1.0, 2.0))
    stage.plane(
        look, frame, (0, 0.008, lift + tall / 2), (width * 0.95, tall * 0.92), (1.5708, 0, 0)
    )
    stage.box(body, frame, (0, 0.06, lift / 2 + 0.05), (0.06, 0.03, lift + 0.1))
    stage.box(body, frame, (0, 0.05, 0.008), (0.24, 0.18, 0.016))


def keyboard(stage: Stage, frame: Frame, _: float = 0.0) -> None:
    """A keyboard with a mouse beside it."""
    body, keys = materials.paint(stage), materials.paint(stage)
    stage.box(body, frame, (0, 0, 0.01), (0.44, 0.14, 0.02))
    for row in range(5):
        for column in range(15):
            stage.box(
                keys, frame, ((column - 7) * 0.028, (row - 2) * 0.026, 0.023), (0.023, 0.021, 0.008)
            )
    stage.ball(body, frame, (0.32, 0, 0.012), (0.06, 0.11, 0.035))


def desk_lamp(stage: Stage, frame: Frame, _: float = 0.0) -> None:
    """A lamp with two arms and a shade that may be lit."""
    look = materials.paint(stage)
    stage.cylinder(look, frame, (0, 0, 0.01), (0.16, 0.16, 0.02))
    joint = (stage.between(-0.15, 0.15), stage.between(0, 0.1), stage.between(0.25, 0.4))
    head = (
        joint[0] + stage.between(-0.25, 0.25),
        joint[1] - 0.15,
        joint[2] + stage.between(-0.1, 0.2),
    )
    path = np.array([(0, 0, 0.02), joint, head], dtype=np.float64)
    stage.put(meshes.tube(path, 0.008), look, frame)
    stage.put(meshes.cylinder(16, 0.2), look, frame, head, (0.16, 0.16, 0.12))
    if stage.chance(0.5):
        stage.lamp(
            frame, (head[0], head[1], head[2] - 0.07), stage.between(2, 12), (1, 0.85, 0.6), 0.1
        )


def desk(stage: Stage, frame: Frame) -> None:
    """A desk with what people have on it."""
    width, deep, height = stage.between(1.0, 1.9), stage.between(0.55, 0.9), 0.74
    top = stage.pick(materials.wood, materials.paint, materials.wood)(stage)
    leg = materials.anything(stage)
    stage.box(top, frame, (0, 0, height - 0.015), (width, deep, 0.03))
    for side in (-1, 1):
        stage.box(
            leg,
            frame,
            (side * (width / 2 - 0.04), 0, height / 2),
            (0.05, deep * 0.9, height - 0.03),
        )
    desk_things(stage, frame.at(0, 0, height), width, deep)


def desk_things(stage: Stage, frame: Frame, width: float, deep: float) -> None:
    """Screens, keyboard, paper, cups, cables on a surface of `width` x `deep` metres."""
    for _ in range(stage.count(0, 2)):
        place = frame.at(
            stage.between(-width / 3, width / 3), deep * 0.25, 0, stage.between(-0.3, 0.3)
        )
        stage.pick(monitor, monitor, laptop)(stage, place)
    if stage.chance(0.6):
        keyboard(
            stage,
            frame.at(
                stage.between(-width / 4, width / 4), -deep * 0.25, 0, stage.between(-0.2, 0.2)
            ),
        )
    if stage.chance(0.4):
        desk_lamp(
            stage, frame.at(stage.pick(-1, 1) * width * 0.4, deep * 0.3, 0, stage.between(-1, 1))
        )
    for _ in range(stage.count(0, 5)):
        paper = materials.pick_paper(stage)
        spot = (
            stage.between(-width / 2.5, width / 2.5),
            stage.between(-deep / 3, deep / 3),
            0.002,
        )
        stage.plane(paper, frame, spot, (0.21, 0.29), (0, 0, stage.between(0, 6.3)))
    if stage.chance(0.5):
        books(
            stage,
            frame.at(stage.between(-width / 2.5, width / 2.5), deep * 0.2, 0, stage.between(0, 6)),
        )
    scatter(stage, frame, width * 0.85, deep * 0.8, stage.count(1, 8), 0.18)
