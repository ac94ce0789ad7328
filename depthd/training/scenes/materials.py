"""Surfaces: a random look for walls, wood, metal, cloth, soil, leaves, paint."""

from __future__ import annotations

import colorsys
from typing import Any

import bpy

from depthd.training.scenes.stage import Colour, Stage


def hue(stage: Stage, saturation: tuple[float, float], value: tuple[float, float]) -> Colour:
    """A random colour within bounds of saturation and brightness, all from 0 to 1."""
    rgb = colorsys.hsv_to_rgb(
        stage.between(0, 1), stage.between(*saturation), stage.between(*value)
    )
    return (rgb[0] ** 2.2, rgb[1] ** 2.2, rgb[2] ** 2.2)  # Blender wants linear light


def shade(colour: Colour, factor: float) -> Colour:
    """A darker or brighter version."""
    return (
        min(colour[0] * factor, 1.0),
        min(colour[1] * factor, 1.0),
        min(colour[2] * factor, 1.0),
    )


def _new(roughness: float, metallic: float = 0.0) -> tuple[Any, Any, Any]:
    material = bpy.data.materials.new("surface")
    material.use_nodes = True
    shader = material.node_tree.nodes["Principled BSDF"]
    shader.inputs["Roughness"].default_value = roughness
    shader.inputs["Metallic"].default_value = metallic
    return material, material.node_tree, shader


def plain(
    stage: Stage, colour: Colour, roughness: float | None = None, metallic: float = 0.0
) -> Any:
    """One colour, without texture."""
    rough = stage.between(0.2, 1.0) if roughness is None else roughness
    material, _, shader = _new(rough, metallic)
    shader.inputs["Base Color"].default_value = (*colour, 1)
    return material


def glow(stage: Stage, colour: Colour, strength: float) -> Any:
    """A surface that shines: screens, lamps, windows at night or against the light."""
    del stage
    material, _, shader = _new(0.5)
    shader.inputs["Base Color"].default_value = (*colour, 1)
    shader.inputs["Emission Color"].default_value = (*colour, 1)
    shader.inputs["Emission Strength"].default_value = strength
    return material


def glass(stage: Stage) -> Any:
    """Dark and mirroring, as windows look from outside."""
    return plain(stage, hue(stage, (0, 0.4), (0.02, 0.4)), stage.between(0.02, 0.2))


def pattern(stage: Stage, first: Colour, second: Colour, kind: str, scale: float) -> Any:
    """Two colours mixed by a procedural pattern; `scale` is about repeats a metre."""
    material, tree, shader = _new(stage.between(0.3, 1.0))
    nodes, links = tree.nodes, tree.links
    geometry = nodes.new("ShaderNodeNewGeometry")
    mapping = nodes.new("ShaderNodeMapping")
    mapping.inputs["Rotation"].default_value = (0, 0, stage.pick(0, 1.5708, stage.between(0, 3)))
    mapping.inputs["Location"].default_value = (stage.between(0, 9), stage.between(0, 9), 0)
    links.new(geometry.outputs["Position"], mapping.inputs["Vector"])
    node = nodes.new(
        {
            "noise": "ShaderNodeTexNoise",
            "wood": "ShaderNodeTexWave",
            "tiles": "ShaderNodeTexBrick",
            "checks": "ShaderNodeTexChecker",
            "stones": "ShaderNodeTexVoronoi",
        }[kind]
    )
    links.new(mapping.outputs[0], node.inputs["Vector"])
    node.inputs["Scale"].default_value = scale
    output = node.outputs["Distance"] if kind == "stones" else node.outputs[0]
    if kind == "tiles":
        node.offset = stage.pick(0.0, 0.5)
        node.inputs["Color1"].default_value = (*first, 1)
        node.inputs["Color2"].default_value = (*shade(first, stage.between(0.7, 1.1)), 1)
        node.inputs["Mortar"].default_value = (*second, 1)
        node.inputs["Mortar Size"].default_value = stage.between(0.005, 0.03)
        links.new(output, shader.inputs["Base Color"])
        return material
    if kind == "checks":
        node.inputs["Color1"].default_value = (*first, 1)
        node.inputs["Color2"].default_value = (*second, 1)
        links.new(output, shader.inputs["Base Color"])
        return material
    if kind == "noise":
        node.inputs["Detail"].default_value = stage.between(2, 10)
        node.inputs["Roughness"].default_value = stage.between(0.4, 0.8)
    if kind == "wood":
        node.inputs["Distortion"].default_value = stage.between(2, 12)
        node.inputs["Detail"].default_value = 4
        node.inputs["Detail Scale"].default_value = stage.between(0.3, 1.5)
    ramp = nodes.new("ShaderNodeValToRGB")
    spread = stage.between(0.1, 0.5)
    ramp.color_ramp.elements[0].position = 0.5 - spread
    ramp.color_ramp.elements[1].position = 0.5 + spread
    ramp.color_ramp.elements[0].color = (*first, 1)
    ramp.color_ramp.elements[1].color = (*second, 1)
    links.new(output, ramp.inputs[0])
    links.new(ramp.outputs[0], shader.inputs["Base Color"])
    return material


def photographic(stage: Stage, tint: Colour, scale: float) -> Any:
    """A photo of a surface laid on from all sides, tinted."""
    if not stage.textures:
        return pattern(stage, tint, shade(tint, 0.5), "noise", scale * 6)
    material, tree, shader = _new(stage.between(0.5, 1.0))
    nodes, links = tree.nodes, tree.links
    geometry = nodes.new("ShaderNodeNewGeometry")
    mapping = nodes.new("ShaderNodeMapping")
    mapping.inputs["Scale"].default_value = (scale, scale, scale)
    image = nodes.new("ShaderNodeTexImage")
    image.projection, image.projection_blend = "BOX", 0.2
    image.image = bpy.data.images.load(str(stage.pick(*stage.textures)), check_existing=True)
    mix = nodes.new("ShaderNodeMixRGB")
    mix.blend_type = "MULTIPLY"
    mix.inputs[0].default_value = 1.0
    mix.inputs[2].default_value = (*shade(tint, 2.0), 1)
    links.new(geometry.outputs["Position"], mapping.inputs["Vector"])
    links.new(mapping.outputs[0], image.inputs[0])
    links.new(image.outputs[0], mix.inputs[1])
    links.new(mix.outputs[0], shader.inputs["Base Color"])
    return material


def picture(stage: Stage, glowing: float = 0.0) -> Any:
    """A picture stretched over the object's own x and y: posters, screens, labels, covers."""
    if not stage.pictures:
        return plain(stage, hue(stage, (0, 1), (0.1, 0.9)))
    material, tree, shader = _new(stage.between(0.2, 0.9))
    nodes, links = tree.nodes, tree.links
    coordinates = nodes.new("ShaderNodeTexCoord")
    mapping = nodes.new("ShaderNodeMapping")
    zoom = stage.between(0.15, 1.0)
    mapping.inputs["Scale"].default_value = (zoom, zoom, 1)
    mapping.inputs["Location"].default_value = (stage.between(0, 1), stage.between(0, 1), 0)
    image = nodes.new("ShaderNodeTexImage")
    image.image = bpy.data.images.load(str(stage.pick(*stage.pictures)), check_existing=True)
    links.new(coordinates.outputs["Generated"], mapping.inputs["Vector"])
    links.new(mapping.outputs[0], image.inputs[0])
    links.new(image.outputs[0], shader.inputs["Base Color"])
    if glowing:
        links.new(image.outputs[0], shader.inputs["Emission Color"])
        shader.inputs["Emission Strength"].default_value = glowing
    return material


def wall(stage: Stage) -> Any:
    """Painted, papered, tiled or bare."""
    colour = hue(stage, (0, stage.pick(0.05, 0.15, 0.6)), (0.3, 1.0))
    return stage.pick(
        lambda: plain(stage, colour, stage.between(0.5, 1)),
        lambda: plain(stage, colour, stage.between(0.5, 1)),
        lambda: pattern(stage, colour, shade(colour, 0.9), "noise", stage.between(2, 30)),
        lambda: pattern(stage, colour, shade(colour, 0.6), "tiles", stage.between(1, 6)),
        lambda: photographic(stage, colour, stage.between(0.4, 1.5)),
    )()


def floor(stage: Stage) -> Any:
    """Boards, tiles, carpet, concrete."""
    colour = hue(stage, (0, 0.5), (0.15, 0.9))
    return stage.pick(
        lambda: wood(stage),
        lambda: pattern(stage, colour, shade(colour, 0.6), "tiles", stage.between(0.8, 4)),
        lambda: pattern(stage, colour, shade(colour, 0.7), "noise", stage.between(3, 60)),
        lambda: plain(stage, colour, stage.between(0.1, 0.9)),
        lambda: photographic(stage, colour, stage.between(0.5, 2)),
        lambda: pattern(stage, colour, shade(colour, 0.4), "checks", stage.between(0.7, 3)),
    )()


def wood(stage: Stage) -> Any:
    """Light to dark wood with grain."""
    tone = stage.between(0.15, 1.0)
    colour = (0.55 * tone, stage.between(0.25, 0.38) * tone, stage.between(0.1, 0.2) * tone)
    return pattern(
        stage, colour, shade(colour, stage.between(0.5, 0.85)), "wood", stage.between(1, 6)
    )


def paint(stage: Stage) -> Any:
    """Furniture, appliances, cars, plastic."""
    colour = stage.pick(
        hue(stage, (0, 0.1), (0.02, 1.0)),
        hue(stage, (0, 0.1), (0.6, 1.0)),
        hue(stage, (0.2, 0.9), (0.1, 0.9)),
    )
    return plain(stage, colour, stage.between(0.1, 0.9))


def metal(stage: Stage) -> Any:
    """Steel, chrome, brass, black iron."""
    return plain(stage, hue(stage, (0, 0.3), (0.2, 0.95)), stage.between(0.1, 0.5), 1.0)


def cloth(stage: Stage) -> Any:
    """One colour, woven, striped or printed."""
    colour = hue(stage, (0, 0.8), (0.08, 0.9))
    other = hue(stage, (0, 0.8), (0.08, 0.9))
    return stage.pick(
        lambda: plain(stage, colour, 0.95),
        lambda: pattern(stage, colour, shade(colour, 0.7), "noise", stage.between(10, 80)),
        lambda: pattern(stage, colour, other, stage.pick("checks", "stones"), stage.between(4, 30)),
        lambda: photographic(stage, colour, stage.between(2, 5)),
    )()


def anything(stage: Stage) -> Any:
    """Any of the looks, for small things."""
    return stage.pick(paint, paint, paint, cloth, wood, metal, picture)(stage)


def green(stage: Stage) -> Any:
    """Leaves and grass."""
    colour = (
        stage.between(0.02, 0.25),
        stage.between(0.1, 0.4),
        stage.between(0.005, 0.08),
    )
    if stage.chance(0.1):
        colour = hue(stage, (0.3, 0.9), (0.2, 0.8))
    return pattern(
        stage, colour, shade(colour, stage.between(0.3, 0.7)), "noise", stage.between(4, 40)
    )


def soil(stage: Stage) -> Any:
    """Earth, gravel, grass, sand, asphalt."""
    tone = stage.between(0.1, 0.6)
    colour = (tone, tone * stage.between(0.6, 1.0), tone * stage.between(0.35, 0.9))
    return stage.pick(
        lambda: pattern(stage, colour, shade(colour, 0.4), "noise", stage.between(1, 25)),
        lambda: photographic(stage, colour, stage.between(0.2, 1.2)),
        lambda: green(stage),
        lambda: pattern(stage, colour, shade(colour, 0.5), "stones", stage.between(3, 20)),
    )()


def earth(stage: Stage) -> Any:
    """Dry bare earth, bright in the sun."""
    tone = stage.between(0.35, 0.9)
    colour = (tone, tone * stage.between(0.75, 0.95), tone * stage.between(0.45, 0.8))
    if stage.chance(0.4):
        return photographic(stage, colour, stage.between(0.4, 1.5))
    kind = stage.pick("noise", "stones")
    return pattern(
        stage, colour, shade(colour, stage.between(0.4, 0.8)), kind, stage.between(5, 40)
    )


def film(stage: Stage) -> Any:
    """Plastic sheet over soil: black, silver, white or tinted, shining, dusted with earth."""
    colour = stage.pick(
        hue(stage, (0, 0.3), (0.02, 0.3)),
        hue(stage, (0, 0.3), (0.02, 0.3)),
        hue(stage, (0, 0.15), (0.3, 1.0)),
        hue(stage, (0.1, 0.7), (0.1, 0.7)),
    )
    if stage.chance(0.3):
        return plain(stage, colour, stage.between(0.15, 0.6))
    dust = shade((0.6, 0.5, 0.38), stage.between(0.5, 1.4))
    much = stage.between(0.1, 0.8)
    dust = tuple(much * d + (1 - much) * c for d, c in zip(dust, colour, strict=True))
    material = pattern(stage, colour, dust, "noise", stage.between(2, 40))
    nodes = material.node_tree.nodes
    ramp = nodes["Color Ramp"].color_ramp
    ramp.elements[0].position, ramp.elements[1].position = stage.between(0.4, 0.55), 0.75
    shine = nodes["Principled BSDF"].inputs["Roughness"]
    shine.default_value = stage.between(0.15, 0.6)
    return material


def asphalt(stage: Stage) -> Any:
    """Road surface."""
    colour = hue(stage, (0, 0.08), (0.15, 0.6))
    if stage.chance(0.4):
        return photographic(stage, colour, stage.between(0.2, 0.8))
    return pattern(stage, colour, shade(colour, 0.75), "noise", stage.between(0.5, 40))


def pick_paper(stage: Stage) -> Any:
    """A sheet of paper, blank or printed."""
    if stage.chance(0.5):
        return plain(stage, hue(stage, (0, 0.2), (0.7, 1.0)), 0.9)
    return picture(stage)
