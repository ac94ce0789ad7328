"""One Blender scene being built: objects, materials, lights, camera."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from depthd.training.scenes import meshes
from depthd.training.scenes.meshes import Mesh

Vector = tuple[float, float, float]
Colour = tuple[float, float, float]
HORIZON = 10_000.0  # metres; the camera's end, anything beyond counts as infinitely far


@dataclass(frozen=True)
class Frame:
    """Where a compound stands: a place in metres, a turn about z in radians, a size factor."""

    place: Vector = (0.0, 0.0, 0.0)
    turn: float = 0.0
    size: float = 1.0

    def at(self, x: float, y: float, z: float = 0.0, turn: float = 0.0, size: float = 1.0) -> Frame:
        """A frame inside this one."""
        c, s = np.cos(self.turn), np.sin(self.turn)
        place = (
            self.place[0] + self.size * float(c * x - s * y),
            self.place[1] + self.size * float(s * x + c * y),
            self.place[2] + self.size * z,
        )
        return Frame(place, self.turn + turn, self.size * size)


@dataclass
class Stage:
    """Everything that a place is built with.

    `pictures` are image files usable as textures, `surroundings` panoramas with high dynamic range,
    `models` glTF files; `loaded` keeps what `models.py` has read of them in this scene. `painted`
    says that the background is a photo: how far it is, nobody knows.
    """

    random: np.random.Generator
    textures: tuple[Path, ...] = ()
    pictures: tuple[Path, ...] = ()
    surroundings: tuple[Path, ...] = ()
    models: tuple[Path, ...] = ()
    loaded: dict[Path, Any] = field(default_factory=dict)
    painted: bool = False
    _units: dict[str, Any] = field(default_factory=dict)

    def clear(self) -> None:
        """Start from an empty file, so that nothing of the scene before stays in memory."""
        bpy.ops.wm.read_factory_settings(use_empty=True)
        self._units.clear()
        self.loaded.clear()
        self.painted = False

    # -- chance ---------------------------------------------------------------------------------

    def between(self, low: float, high: float) -> float:
        """A number drawn evenly from low to high."""
        return float(self.random.uniform(low, high))

    def chance(self, probability: float) -> bool:
        """True in `probability` of the calls."""
        return bool(self.random.random() < probability)

    def count(self, low: int, high: int) -> int:
        """A whole number from low to high, both possible."""
        return int(self.random.integers(low, high + 1))

    def pick(self, *options: Any) -> Any:
        """One of the options."""
        return options[int(self.random.integers(len(options)))]

    # -- things ---------------------------------------------------------------------------------

    def put(
        self,
        mesh: Mesh,
        material: Any,
        frame: Frame,
        offset: Vector = (0.0, 0.0, 0.0),
        size: Vector = (1.0, 1.0, 1.0),
        tilt: Vector = (0.0, 0.0, 0.0),
    ) -> Any:
        """Place a mesh: `offset` in the frame's metres, `size` in metres, `tilt` in radians."""
        return self._place(self._blender_mesh(mesh), material, frame, offset, size, tilt)

    def box(
        self,
        material: Any,
        frame: Frame,
        offset: Vector,
        size: Vector,
        tilt: Vector = (0.0, 0.0, 0.0),
    ) -> Any:
        """A cuboid whose middle is at `offset`."""
        return self._place(self._unit("box", meshes.box), material, frame, offset, size, tilt)

    def plane(
        self,
        material: Any,
        frame: Frame,
        offset: Vector,
        size: tuple[float, float],
        tilt: Vector = (0.0, 0.0, 0.0),
    ) -> Any:
        """A flat rectangle that faces up before it is tilted."""
        shape = (size[0], size[1], 1.0)
        return self._place(self._unit("plane", meshes.plane), material, frame, offset, shape, tilt)

    def cylinder(
        self,
        material: Any,
        frame: Frame,
        offset: Vector,
        size: Vector,
        tilt: Vector = (0.0, 0.0, 0.0),
    ) -> Any:
        """A round post whose middle is at `offset`; `size` is both diameters and the height."""
        unit = self._unit("cylinder", meshes.cylinder)
        return self._place(unit, material, frame, offset, size, tilt)

    def ball(
        self,
        material: Any,
        frame: Frame,
        offset: Vector,
        size: Vector,
        tilt: Vector = (0.0, 0.0, 0.0),
    ) -> Any:
        """An ellipsoid."""
        return self._place(self._unit("ball", meshes.ball), material, frame, offset, size, tilt)

    def _unit(self, name: str, make: Callable[[], Mesh]) -> Any:
        if name not in self._units:
            self._units[name] = self._blender_mesh(make())
        return self._units[name]

    def _blender_mesh(self, mesh: Mesh) -> Any:
        data = bpy.data.meshes.new("mesh")
        data.from_pydata(mesh.points.tolist(), [], [list(face) for face in mesh.faces])
        if mesh.smooth:
            data.polygons.foreach_set("use_smooth", [True] * len(mesh.faces))
        data.materials.append(None)  # the slot that each object fills with its own material
        return data

    def _place(
        self, data: Any, material: Any, frame: Frame, offset: Vector, size: Vector, tilt: Vector
    ) -> Any:
        thing = bpy.data.objects.new("thing", data)
        thing.rotation_mode = "XYZ"
        inner = frame.at(*offset)
        thing.location = inner.place
        thing.rotation_euler = (tilt[0], tilt[1], tilt[2] + frame.turn)
        thing.scale = tuple(frame.size * max(s, 1e-4) for s in size)
        bpy.context.scene.collection.objects.link(thing)
        thing.material_slots[0].link = "OBJECT"
        thing.material_slots[0].material = material
        return thing

    # -- light ----------------------------------------------------------------------------------

    def lamp(
        self, frame: Frame, offset: Vector, watt: float, colour: Colour, size: float = 0.3
    ) -> None:
        """A lamp that shines down, a disc of `size` metres."""
        data = bpy.data.lights.new("lamp", "AREA")
        data.energy, data.color, data.size, data.shape = watt, colour, size, "DISK"
        thing = bpy.data.objects.new("lamp", data)
        thing.location = frame.at(*offset).place
        bpy.context.scene.collection.objects.link(thing)

    def bulb(self, frame: Frame, offset: Vector, watt: float, colour: Colour) -> None:
        """A lamp that shines to all sides."""
        data = bpy.data.lights.new("bulb", "POINT")
        data.energy, data.color, data.shadow_soft_size = watt, colour, 0.1
        thing = bpy.data.objects.new("bulb", data)
        thing.location = frame.at(*offset).place
        bpy.context.scene.collection.objects.link(thing)

    def sun(self, strength: float, height: float, turn: float, colour: Colour) -> None:
        """Parallel light from `height` radians above the horizon."""
        data = bpy.data.lights.new("sun", "SUN")
        data.energy, data.color, data.angle = strength, colour, self.between(0.005, 0.2)
        thing = bpy.data.objects.new("sun", data)
        thing.rotation_euler = (np.pi / 2 - height, 0, turn)
        bpy.context.scene.collection.objects.link(thing)

    def world(self, colour: Colour, strength: float) -> None:
        """The same light from everywhere."""
        nodes = self._world_nodes()
        nodes["Background"].inputs[0].default_value = (*colour, 1)
        nodes["Background"].inputs[1].default_value = strength

    def sky(self, strength: float) -> None:
        """A sky with a gradient from horizon to zenith and soft clouds, both at random."""
        nodes = self._world_nodes()
        links = bpy.context.scene.world.node_tree.links
        coordinates = nodes.new("ShaderNodeTexCoord")
        split = nodes.new("ShaderNodeSeparateXYZ")
        gradient = nodes.new("ShaderNodeValToRGB")
        zenith = self.pick((0.1, 0.25, 0.7), (0.2, 0.4, 0.9), (0.6, 0.65, 0.7), (0.35, 0.4, 0.5))
        low = self.pick((0.7, 0.8, 0.95), (0.9, 0.9, 0.9), (0.95, 0.75, 0.5), (0.6, 0.65, 0.7))
        gradient.color_ramp.elements[0].color = (*low, 1)
        gradient.color_ramp.elements[1].color = (*zenith, 1)
        gradient.color_ramp.elements[1].position = self.between(0.2, 0.9)
        noise = nodes.new("ShaderNodeTexNoise")
        noise.inputs["Scale"].default_value = self.between(2, 6)
        noise.inputs["Detail"].default_value = 6
        cover = nodes.new("ShaderNodeValToRGB")
        cover.color_ramp.elements[0].position = self.between(0.3, 0.7)
        cover.color_ramp.elements[1].position = self.between(0.72, 1.0)
        mix = nodes.new("ShaderNodeMixRGB")
        mix.inputs[2].default_value = (*([self.between(0.6, 1.0)] * 3), 1)
        links.new(coordinates.outputs["Generated"], split.inputs[0])
        links.new(split.outputs["Z"], gradient.inputs[0])
        links.new(coordinates.outputs["Generated"], noise.inputs["Vector"])
        links.new(noise.outputs[0], cover.inputs[0])
        links.new(cover.outputs[0], mix.inputs[0])
        links.new(gradient.outputs[0], mix.inputs[1])
        links.new(mix.outputs[0], nodes["Background"].inputs[0])
        nodes["Background"].inputs[1].default_value = strength

    def panorama(self, path: Path, strength: float) -> None:
        """Light and background from a panorama with high dynamic range."""
        self.painted = True
        nodes = self._world_nodes()
        links = bpy.context.scene.world.node_tree.links
        image = nodes.new("ShaderNodeTexEnvironment")
        image.image = bpy.data.images.load(str(path), check_existing=True)
        turn = nodes.new("ShaderNodeMapping")
        turn.inputs["Rotation"].default_value[2] = self.between(0, 2 * np.pi)
        coordinates = nodes.new("ShaderNodeTexCoord")
        links.new(coordinates.outputs["Generated"], turn.inputs["Vector"])
        links.new(turn.outputs[0], image.inputs[0])
        links.new(image.outputs[0], nodes["Background"].inputs[0])
        nodes["Background"].inputs[1].default_value = strength

    def _world_nodes(self) -> Any:
        world = bpy.data.worlds.new("world")
        bpy.context.scene.world = world
        world.use_nodes = True
        return world.node_tree.nodes

    # -- camera ---------------------------------------------------------------------------------

    def clearance(self, place: Vector, aim: Vector, field_of_view: float) -> float:
        """How far the nearest of a few rays gets, in metres; HORIZON without a hit."""
        graph = bpy.context.evaluated_depsgraph_get()
        start, ahead = np.array(place), np.array(aim) - np.array(place)
        ahead /= np.linalg.norm(ahead) + 1e-9
        right = np.cross(ahead, (0, 0, 1))
        right /= np.linalg.norm(right) + 1e-9
        up = np.cross(right, ahead)
        reach = np.tan(field_of_view / 2)
        nearest = HORIZON
        for u in (-0.9, -0.5, 0.0, 0.5, 0.9):
            for v in (-0.6, -0.2, 0.2, 0.6):
                ray = ahead + reach * (u * right + v * up)
                hit = bpy.context.scene.ray_cast(graph, tuple(start), tuple(ray), distance=HORIZON)
                if hit[0]:
                    nearest = min(nearest, float(np.linalg.norm(np.array(hit[1]) - start)))
        return nearest

    def camera(self, place: Vector, aim: Vector, field_of_view: float, roll: float) -> None:
        """Look from `place` at `aim`; angles in radians, the field of view along the long side."""
        scene = bpy.context.scene
        if scene.camera is None:
            scene.camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
            scene.collection.objects.link(scene.camera)
        camera = scene.camera
        camera.data.angle = field_of_view
        camera.data.clip_start, camera.data.clip_end = 0.01, HORIZON
        ahead = np.array(aim) - np.array(place)
        pitch = np.arctan2(ahead[2], np.hypot(ahead[0], ahead[1]))
        yaw = np.arctan2(-ahead[0], ahead[1])
        camera.location = place
        camera.rotation_mode = "XYZ"
        camera.rotation_euler = (np.pi / 2 + pitch, 0, yaw)
        # The camera rolls about its own axis, which comes last; matrices keep that simple.
        bpy.context.view_layer.update()
        matrix = camera.matrix_world.to_3x3()
        turn = type(matrix).Rotation(roll, 3, "Z")
        camera.rotation_euler = (matrix @ turn).to_euler()
