"""Models from glTF files, put into a scene at the size that is asked for.

The files lie in `models/KIND/.../NAME.glb` or `.gltf` of the assets; the kind is any folder's name
on the way. Where there are none, nothing is put down: the scenes are poorer, not broken.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from depthd.training.scenes import materials
from depthd.training.scenes.stage import Frame, Stage, Vector


@dataclass(frozen=True)
class Model:
    """Meshes with their places, and the box around all of them: its middle foot and its sides."""

    parts: tuple[tuple[Any, Any], ...]
    foot: Vector
    sides: Vector


def of_kind(stage: Stage, *kinds: str) -> tuple[Path, ...]:
    """The files below a folder of one of these names, or whose own name begins with one."""
    wanted = {kind.lower() for kind in kinds}
    return tuple(
        file
        for file in stage.models
        if wanted & {part.lower() for part in file.parts}
        or file.stem.lower().startswith(tuple(wanted))
    )


def stand(
    stage: Stage,
    files: tuple[Path, ...],
    frame: Frame,
    size: float,
    *,
    by: str = "height",
    tilt: Vector = (0.0, 0.0, 0.0),
    dyed: float = 0.3,
) -> Vector | None:
    """Put one of the files down, `size` metres tall or long; returns its sides, None without any.

    With chance `dyed` it gets a textured look instead of its own flat colours.
    """
    if not files:
        return None
    model = _load(stage, stage.pick(*files))
    measure = model.sides[2] if by == "height" else max(model.sides)
    scale = size / max(measure, 1e-6)
    look = stage.pick(materials.anything, materials.paint, materials.cloth)
    material = look(stage) if stage.chance(dyed) else None
    holder = bpy.data.objects.new("model", None)
    holder.location, holder.scale = frame.place, (scale * frame.size,) * 3
    holder.rotation_mode, holder.rotation_euler = "XYZ", (tilt[0], tilt[1], tilt[2] + frame.turn)
    bpy.context.scene.collection.objects.link(holder)
    for mesh, matrix in model.parts:
        thing = bpy.data.objects.new("part", mesh)
        bpy.context.scene.collection.objects.link(thing)
        thing.parent = holder
        thing.matrix_basis = matrix
        thing.location = thing.location - type(thing.location)(model.foot)
        if material is not None and mesh.materials:
            for slot in thing.material_slots:
                slot.link, slot.material = "OBJECT", material
    return (model.sides[0] * scale, model.sides[1] * scale, model.sides[2] * scale)


def _load(stage: Stage, file: Path) -> Model:
    if file in stage.loaded:
        found: Model = stage.loaded[file]
        return found
    before = set(bpy.data.objects)
    bpy.ops.import_scene.gltf(filepath=str(file))
    bpy.context.view_layer.update()
    graph = bpy.context.evaluated_depsgraph_get()
    new = [thing for thing in bpy.data.objects if thing not in before]
    parts, corners = [], []
    for thing in new:
        if thing.type == "MESH":
            seen = thing.evaluated_get(graph)
            mesh = bpy.data.meshes.new_from_object(seen)
            matrix = seen.matrix_world.copy()
            parts.append((mesh, matrix))
            points = np.empty(len(mesh.vertices) * 3)
            mesh.vertices.foreach_get("co", points)
            turned = points.reshape(-1, 3) @ np.array(matrix)[:3, :3].T + np.array(matrix)[:3, 3]
            corners.append((turned.min(axis=0), turned.max(axis=0)))
    for thing in new:
        bpy.data.objects.remove(thing)
    low = np.min([corner[0] for corner in corners], axis=0)
    high = np.max([corner[1] for corner in corners], axis=0)
    middle, sides = (low + high) / 2, high - low
    model = Model(
        tuple(parts),
        (float(middle[0]), float(middle[1]), float(low[2])),
        (float(sides[0]), float(sides[1]), float(sides[2])),
    )
    stage.loaded[file] = model
    return model
