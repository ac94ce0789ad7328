"""A photo with its inverse depth on disk: NAME.jpg and NAME.inverse.png.

The PNG has 16 bits: 0 = not measured, 1 = infinitely far, 65535 = the nearest point of the photo.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

SUFFIX = ".inverse.png"
_SUFFIXES = (SUFFIX, ".depth.png", ".inverse-depth.png")


def files(folder: Path) -> list[Path]:
    """The depth files of a folder, of all kinds that `read` knows, sorted."""
    return sorted(p for p in folder.iterdir() if p.name.endswith(_SUFFIXES))


def write(stem: Path, photo: NDArray[np.uint8], inverse: NDArray[np.float32]) -> None:
    """Write a photo, BGR (H, W, 3), and its inverse depth (H, W), NaN where it was not measured.

    The depth goes last: where it is, the pair is whole.
    """
    top = float(np.nanmax(inverse)) or 1.0
    steps = np.where(np.isnan(inverse), 0, 1 + np.round(np.nan_to_num(inverse) / top * 65534))
    cv2.imwrite(f"{stem}.jpg", photo, [cv2.IMWRITE_JPEG_QUALITY, 94])
    partial = f"{stem}.part.png"
    cv2.imwrite(partial, steps.astype(np.uint16))
    Path(partial).rename(f"{stem}{SUFFIX}")


def read(depth: Path) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """A photo, RGB (H, W, 3), and its inverse depth (H, W), NaN where it was not measured.

    `depth` ends in `.inverse.png` (this module's own), `.depth.png` (16 bits, millimetres, 0 =
    none) or `.inverse-depth.png` (8 bits, relative, 0 = none). The photo is NAME.jpg beside it.

    Raises:
        ValueError: one of the two files is missing, damaged or of another kind.
    """
    for suffix in _SUFFIXES:
        if depth.name.endswith(suffix):
            stem = depth.name.removesuffix(suffix)
            break
    else:
        raise ValueError(f"{depth}: not a depth file that is known here")
    photo = cv2.imread(str(depth.with_name(f"{stem}.jpg")), cv2.IMREAD_COLOR)
    stored = cv2.imread(str(depth), cv2.IMREAD_UNCHANGED)
    if photo is None or stored is None or photo.shape[:2] != stored.shape[:2]:
        raise ValueError(f"{depth}: photo or depth is missing, damaged or of another size")
    raw = stored.astype(np.float32)
    with np.errstate(divide="ignore"):
        inverse = np.float32(1000) / raw if suffix == ".depth.png" else raw
    if suffix == SUFFIX:
        inverse = inverse - np.float32(1)
    inverse[raw == 0] = np.nan
    return cv2.cvtColor(photo, cv2.COLOR_BGR2RGB).astype(np.uint8), inverse.astype(np.float32)
