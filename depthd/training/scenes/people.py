"""Figures of people."""

from __future__ import annotations

import numpy as np

from depthd.training.scenes import materials
from depthd.training.scenes.stage import Frame, Stage


def person(stage: Stage, frame: Frame) -> None:
    """A person-like figure, standing, walking or with arms stretched out."""
    tall = stage.between(1.1, 1.95)
    top, trousers = materials.cloth(stage), materials.cloth(stage)
    tone = stage.between(0.1, 0.9)
    skin = materials.plain(stage, (0.75 * tone, 0.5 * tone, 0.36 * tone), 0.6)
    hair = materials.plain(stage, materials.hue(stage, (0.1, 0.6), (0.02, 0.5)), 0.8)
    shoes = materials.paint(stage)
    stride = stage.between(-0.5, 0.5)
    for side in (-1, 1):
        swing = stride * side
        foot = (side * 0.06 * tall, -np.sin(swing) * 0.24 * tall, 0.26 * tall)
        stage.ball(trousers, frame, foot, (0.095 * tall, 0.1 * tall, 0.52 * tall), (swing, 0, 0))
        sole = (foot[0], -np.sin(swing) * 0.48 * tall - 0.02 * tall, 0.02 * tall)
        stage.ball(shoes, frame, sole, (0.06 * tall, 0.15 * tall, 0.05 * tall))
        lift = stage.pick(0.15, 0.15, 0.4, stage.between(0, 1.5)) * side
        arm = np.array([np.sin(lift) * 0.18, np.sin(swing) * 0.1, -abs(np.cos(lift)) * 0.18]) * tall
        joint = (side * 0.115 * tall + arm[0], arm[1], 0.8 * tall + arm[2])
        stage.ball(top, frame, joint, (0.065 * tall, 0.07 * tall, 0.38 * tall), (-swing, -lift, 0))
        hand = (side * 0.115 * tall + 2 * arm[0], 2 * arm[1], 0.8 * tall + 2 * arm[2])
        stage.ball(skin, frame, hand, (0.055 * tall,) * 3)
    stage.ball(top, frame, (0, 0, 0.67 * tall), (0.25 * tall, 0.16 * tall, 0.4 * tall))
    stage.cylinder(skin, frame, (0, 0, 0.86 * tall), (0.06 * tall, 0.06 * tall, 0.1 * tall))
    stage.ball(skin, frame, (0, 0, 0.935 * tall), (0.09 * tall, 0.11 * tall, 0.13 * tall))
    stage.ball(
        hair, frame, (0, 0.012 * tall, 0.955 * tall), (0.1 * tall, 0.115 * tall, 0.115 * tall)
    )
