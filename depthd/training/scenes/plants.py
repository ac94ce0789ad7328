"""Plants: leaves, pots, bushes, trees."""

from __future__ import annotations

import numpy as np

from depthd.training.scenes import materials, meshes
from depthd.training.scenes.meshes import Mesh
from depthd.training.scenes.stage import Frame, Stage


def pot_plant(stage: Stage, frame: Frame, height: float) -> None:
    """A pot with leaves on stems; from a hand's height to a small tree."""
    pot = height * stage.between(0.15, 0.4)
    width = pot * stage.between(0.7, 1.3)
    outline = np.array(
        [(1e-4, 0), (width * 0.38, 0), (width * 0.5, pot), (width * 0.45, pot), (1e-4, pot * 0.9)]
    )
    stage.put(meshes.lathe(outline, 20), materials.anything(stage), frame)
    stage.put(
        foliage(stage, height - pot, stage.between(0.5, 1.1) * height, stage.count(15, 160)),
        materials.green(stage),
        frame,
        (0, 0, pot * 0.9),
    )
    stems = materials.green(stage)
    for _ in range(stage.count(0, 6)):
        lean = np.array([stage.between(-0.2, 0.2), stage.between(-0.2, 0.2), 1.0])
        path = np.linspace(0, 1, 5)[:, None] * lean * (height - pot) * stage.between(0.5, 1)
        stage.put(meshes.tube(path, 0.012 * height), stems, frame, (0, 0, pot * 0.8))


def foliage(stage: Stage, height: float, width: float, count: int) -> Mesh:
    """Leaves in a crown `height` tall and `width` wide whose foot is at the origin, in metres."""
    random = stage.random
    long = stage.between(0.1, 0.45) * max(height, width)
    if stage.chance(0.45):  # from one foot outwards: grass, aloe, palm, lettuce
        centres = random.normal(0, 0.03 * width, (count, 3))
        centres[:, 2] = np.abs(centres[:, 2])
        directions = random.normal(size=(count, 3))
        directions[:, 2] = np.abs(directions[:, 2]) + stage.between(0.1, 2)
        return meshes.leaves(centres, directions, max(height, width) * 0.6, long * 0.3, random)
    centres = random.normal(size=(count, 3))
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    centres *= random.uniform(0.3, 1.0, (count, 1)) * np.array([width / 2, width / 2, height / 2])
    directions = centres * np.array([1, 1, 0.5]) + random.normal(size=(count, 3)) * 0.3 * width
    centres[:, 2] += height / 2
    return meshes.leaves(centres, directions, long * 0.6, long * 0.35, random)


def tall_plant(stage: Stage, frame: Frame) -> None:
    """A plant that stands on the floor."""
    pot_plant(stage, frame, stage.between(0.5, 1.9))


def tree(stage: Stage, frame: Frame) -> None:
    """A trunk with branches and a crown of leaves or lumps, or a conifer, or bare."""
    tall = stage.between(2.5, 14)
    bark = materials.soil(stage)
    trunk = tall * stage.between(0.3, 0.6)
    thick = tall * stage.between(0.02, 0.05)
    path = np.array(
        [
            (0, 0, 0),
            (stage.between(-0.2, 0.2), 0, trunk / 2),
            (0, stage.between(-0.3, 0.3), trunk * 1.4),
        ]
    )
    stage.put(meshes.tube(path.astype(np.float64), thick / 2), bark, frame)
    for _ in range(stage.count(2, 9)):
        foot = trunk * stage.between(0.6, 1.2)
        reach = tall * 0.25
        tip = np.array(
            [
                stage.between(-reach, reach),
                stage.between(-reach, reach),
                stage.between(0.3, 1) * reach,
            ]
        )
        branch = np.linspace(0, 1, 4)[:, None] * tip
        stage.put(meshes.tube(branch, thick / 5), bark, frame, (0, 0, foot))
    kind = stage.pick("leaves", "leaves", "lumps", "conifer", "bare")
    leaf = materials.green(stage)
    crown = tall - trunk * 0.8
    if kind == "leaves":
        width = tall * stage.between(0.3, 0.8)
        count = stage.count(400, 1200)
        centres = (
            stage.random.normal(size=(count, 3)) * 0.33 * np.array([width, width, crown]) / 1.6
        )
        centres[:, 2] += trunk * 0.8 + crown / 2
        directions = stage.random.normal(size=(count, 3))
        stage.put(
            meshes.leaves(centres, directions, tall * 0.07, tall * 0.05, stage.random), leaf, frame
        )
    elif kind == "lumps":
        for _ in range(stage.count(2, 7)):
            size = crown * stage.between(0.4, 0.8)
            place = (
                stage.between(-size, size) / 2,
                stage.between(-size, size) / 2,
                trunk + stage.between(0.2, 0.7) * crown,
            )
            stage.put(meshes.blob(stage.random, 0.25), leaf, frame, place, (size, size, size))
    elif kind == "conifer":
        for k in range(5):
            size = tall * 0.5 * (1 - k / 6)
            place = (0.0, 0.0, tall * (0.3 + 0.15 * k))
            stage.put(meshes.cylinder(12, 0.05), leaf, frame, place, (size, size, tall * 0.28))


def bush(stage: Stage, frame: Frame) -> None:
    """A bush or a piece of hedge."""
    size = stage.between(0.4, 2.0)
    if stage.chance(0.5):
        stage.put(foliage(stage, size, size, stage.count(80, 300)), materials.green(stage), frame)
        return
    shape = (size * stage.between(0.8, 2.5), size, size)
    stage.put(
        meshes.blob(stage.random, 0.2), materials.green(stage), frame, (0, 0, size * 0.4), shape
    )
