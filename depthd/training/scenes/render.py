"""Scenes to files: NAME.jpg with NAME.inverse.png.

Run as a child process, `python -m depthd.training.scenes.render`, so that Blender's memory goes
back to the system and one process can work on each core. Scene number N is the same on every run.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import bpy
import cv2
import numpy as np
import OpenEXR
from numpy.typing import NDArray

from depthd.training import pairs
from depthd.training.scenes import places
from depthd.training.scenes.stage import HORIZON, Stage
from depthd.training.scenes.view import View, ViewMaker

SHAPES = ((272, 208), (272, 208), (272, 208), (272, 160), (240, 240), (208, 272))
VIEWS = 4
SAMPLES = 4
LEAST = 0.004
"""A view whose inverse depth varies by a smaller share shows one wall: it teaches nothing."""


def set_up(scene: Any) -> None:
    """Cycles on one core with few samples, denoised; colour as linear light, depth in metres."""
    scene.render.engine = "CYCLES"
    scene.render.threads_mode, scene.render.threads = "FIXED", 1
    scene.render.use_persistent_data = True
    scene.cycles.samples = SAMPLES
    scene.cycles.use_adaptive_sampling = False
    scene.cycles.use_denoising = True
    # The fast denoiser with colour and albedo only: a third of the time, textures stay sharp.
    scene.cycles.denoising_quality, scene.cycles.denoising_prefilter = "FAST", "NONE"
    scene.cycles.denoising_input_passes = "RGB_ALBEDO"
    scene.cycles.use_light_tree = False
    scene.cycles.max_bounces, scene.cycles.diffuse_bounces = 2, 1
    scene.cycles.glossy_bounces, scene.cycles.transmission_bounces = 1, 0
    scene.cycles.caustics_reflective = scene.cycles.caustics_refractive = False
    scene.cycles.sample_clamp_indirect = 4.0
    scene.view_layers[0].use_pass_z = True
    scene.render.image_settings.file_format = "OPEN_EXR_MULTILAYER"
    scene.render.image_settings.color_depth = "32"


def free_view(stage: Stage, draw: ViewMaker) -> View | None:
    """A view with nothing right in front of the camera, or none after many tries."""
    bpy.context.view_layer.update()
    for _ in range(40):
        view = draw()
        if stage.clearance(view.place, view.aim, np.radians(view.field_of_view)) > view.nearest:
            return view
    return None


def shoot(
    stage: Stage, view: View, folder: Path
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Render a view: linear colour (H, W, 3), depth (H, W) in metres, inf where there is none."""
    scene = bpy.context.scene
    width, height = stage.pick(*SHAPES)
    scene.render.resolution_x, scene.render.resolution_y = width, height
    roll = stage.random.normal() * (0.15 if stage.chance(0.2) else 0.025)
    stage.camera(view.place, view.aim, np.radians(view.field_of_view), float(roll))
    path = folder / "view.exr"
    scene.render.filepath = str(path)
    bpy.ops.render.render(write_still=True)
    with OpenEXR.File(str(path), separate_channels=True) as file:
        found = {name.split(".", 1)[1]: part.pixels for name, part in file.channels().items()}
    colour = np.stack([found[f"Combined.{c}"] for c in "RGB"], axis=-1).astype(np.float32)
    depth = found["Depth.Z"].astype(np.float32)
    depth[depth > HORIZON * 0.99] = np.inf
    return colour, depth


def develop(stage: Stage, colour: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Linear light to a photo, BGR 8 bit: exposure, tone curve, white balance, sometimes poor."""
    light = colour.mean(axis=2)
    key = float(np.exp(np.log(light + 1e-3).mean()))
    key = max(key, float(np.percentile(light, 90)) / 6)
    exposed = colour * (stage.between(0.1, 0.32) / key)
    exposed = exposed * np.array([stage.between(0.9, 1.1), 1.0, stage.between(0.9, 1.1)])
    shoulder = stage.between(0.9, 1.6)
    toned = np.clip(exposed * (1 + exposed / shoulder**2) / (1 + exposed), 0, 1)
    photo = (np.power(toned, 1 / 2.2) * 255).astype(np.uint8)
    return np.ascontiguousarray(photo[..., ::-1])


def make(stage: Stage, number: int, out: Path, folder: Path) -> int:
    """Build scene `number` and write its views; returns how many were written."""
    names = list(places.PLACES)
    weights = np.array([places.PLACES[name][1] for name in names])
    stage.clear()
    set_up(bpy.context.scene)
    bpy.context.scene.cycles.seed = number
    kind = names[int(stage.random.choice(len(names), p=weights / weights.sum()))]
    draw = places.PLACES[kind][0](stage)
    written = 0
    for k in range(VIEWS):
        view = free_view(stage, draw)
        if view is None:
            break
        colour, depth = shoot(stage, view, folder)
        beyond = np.nan if stage.painted else 0.0
        known = np.isfinite(depth)
        inverse = np.where(known, 1 / np.maximum(depth, 1e-3), beyond).astype(np.float32)
        photo = develop(stage, colour)
        # Darkness teaches nothing either.
        if known.mean() < 0.1 or photo.std() < 4:
            continue
        if np.ptp(np.nanpercentile(inverse, [2, 98])) < LEAST * np.nanmax(inverse):
            continue
        stem = f"{kind.replace(' ', '-')}-{number:06d}-{k}"
        pairs.write(out / stem, photo, inverse)
        written += 1
    (out / f"{number:06d}.made").touch()
    return written


def main(arguments: Sequence[str] | None = None) -> None:
    """Make every scene of a share that is not there yet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument(
        "--assets",
        type=Path,
        required=True,
        help="textures/, pictures/, and if there are any hdri/ and models/",
    )
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--step", type=int, default=1)
    parser.add_argument("--until", type=float, default=float("inf"), help="stop at this Unix time")
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    textures = tuple(sorted((options.assets / "textures").glob("*.png")))
    pictures = tuple(sorted((options.assets / "pictures").glob("*.png")))
    surroundings = tuple(sorted((options.assets / "hdri").glob("*.hdr")))
    found = tuple(sorted((options.assets / "models").rglob("*.gl*")))
    last = options.first + options.count * options.step
    with tempfile.TemporaryDirectory() as scratch:
        for number in range(options.first, last, options.step):
            if time.time() > options.until:
                break
            if (options.out / f"{number:06d}.made").exists():
                continue
            random = np.random.default_rng(number)
            stage = Stage(random, textures, pictures, surroundings, found)
            started = time.monotonic()
            written = make(stage, number, options.out, Path(scratch))
            took = time.monotonic() - started
            sys.stdout.write(f"scene {number}: {written} views in {took:.1f} s\n")
            sys.stdout.flush()
    os._exit(0)  # Blender's own clean-up at exit takes seconds and may crash


if __name__ == "__main__":
    cv2.setNumThreads(1)
    main()
