"""Photos with depth as training batches: which source, which cut, which disturbance.

Everything random in batch number N comes from a generator seeded with N, so that a training that
was interrupted sees the same batches as one that was not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from depthd.training import blur, pairs
from depthd.training.depths import lidar

MEAN = np.array([0.485, 0.456, 0.406], dtype=np.float32)
DEVIATION = np.array([0.229, 0.224, 0.225], dtype=np.float32)
SHAPES = ((192, 256), (192, 256), (192, 256), (160, 256), (224, 224), (256, 192), (96, 256))
SMALL_SHAPES = ((160, 192), (160, 192), (128, 192), (160, 160), (192, 160))
"""Heights and widths of batches: the network's own, and smaller ones to learn the rough first."""
BLURRED = 0.12
"""Share of the photos with exact depth that get a blurred background."""

Photo = NDArray[np.uint8]
Inverse = NDArray[np.float32]


@dataclass(frozen=True)
class Source:
    """A folder of pairs, how often a photo is drawn from it, the share of depth not to trust."""

    name: str
    folder: Path
    weight: float
    trim: float = 0.0

    def files(self) -> list[Path]:
        """The depth files, sorted."""
        return pairs.files(self.folder)


@dataclass(frozen=True)
class Batch:
    """Photos (N, 3, H, W) normalised, inverse depth (N, H, W), known (N, H, W), trim (N,)."""

    photos: Tensor
    inverse: Tensor
    known: Tensor
    trim: Tensor

    def split(self, parts: int) -> list[Batch]:
        """Up to `parts` batches of about the same size."""
        size = -(-len(self.photos) // parts)
        columns = (self.photos, self.inverse, self.known, self.trim)
        starts = range(0, len(self.photos), size)
        return [Batch(*(column[k : k + size] for column in columns)) for k in starts]


class Pool:
    """All pairs of some sources, kept in memory once read."""

    def __init__(self, sources: Sequence[Source], size: int) -> None:
        self._sources = tuple(sources)
        self._size = size
        self._files: list[list[Path]] = []
        self._read: dict[Path, tuple[Photo, Inverse]] = {}
        self.look_again()

    def look_again(self) -> None:
        """List the folders anew: scenes may still be arriving."""
        self._files = [source.files() for source in self._sources]

    def batch(self, number: int, *, small: bool = False) -> Batch:
        """Batch `number`, always the same for the same files."""
        random = np.random.default_rng((20261123, number))
        shapes = SMALL_SHAPES if small else SHAPES
        height, width = shapes[int(random.integers(len(shapes)))]
        filled = [k for k, files in enumerate(self._files) if files]
        weights = np.array([self._sources[k].weight for k in filled])
        photos, inverses, trims = [], [], []
        for _ in range(self._size):
            source = filled[int(random.choice(len(filled), p=weights / weights.sum()))]
            files = self._files[source]
            photo, inverse = self._pair(files[int(random.integers(len(files)))])
            if self._sources[source].trim == 0 and random.random() < BLURRED:
                photo = blur.behind(photo, inverse, random)
            photo, inverse = cut(photo, inverse, height, width, random)
            photos.append((disturb(photo, random).astype(np.float32) / 255 - MEAN) / DEVIATION)
            inverses.append(inverse)
            trims.append(self._sources[source].trim)
        stacked = np.stack(inverses)
        known = np.isfinite(stacked)
        return Batch(
            torch.from_numpy(np.stack(photos).astype(np.float32).transpose(0, 3, 1, 2)).contiguous(
                memory_format=torch.channels_last
            ),
            torch.from_numpy(np.where(known, stacked, 0).astype(np.float32)),
            torch.from_numpy(known),
            torch.tensor(trims, dtype=torch.float32),
        )

    def _pair(self, file: Path) -> tuple[Photo, Inverse]:
        if file not in self._read:
            photo, inverse = pairs.read(file)
            scale = 320 / max(photo.shape)
            if scale < 1:
                size = (round(photo.shape[1] * scale), round(photo.shape[0] * scale))
                photo = cv2.resize(photo, size, interpolation=cv2.INTER_AREA).astype(np.uint8)
                if lidar.is_sparse(inverse):
                    inverse = lidar.gather(inverse, *size)
                else:
                    reduced = cv2.resize(inverse, size, interpolation=cv2.INTER_NEAREST)
                    inverse = reduced.astype(np.float32)
            self._read[file] = photo, inverse
        return self._read[file]


def cut(
    photo: Photo, inverse: Inverse, height: int, width: int, random: np.random.Generator
) -> tuple[Photo, Inverse]:
    """A random part of a pair, stretched and rolled a little, maybe mirrored, at the given size."""
    rows, columns = photo.shape[:2]
    stretch = float(np.exp(random.uniform(-0.2, 0.2)))  # the shape of a pixel
    ratio = width / height * stretch
    share = float(random.uniform(0.55, 1.0)) if random.random() < 0.7 else 1.0
    cut_width = min(columns, rows * ratio) * share
    cut_height = cut_width / ratio
    left = random.uniform(0, max(columns - cut_width, 0))
    top = random.uniform(0, max(rows - cut_height, 0))
    scale_x, scale_y = width / cut_width, height / cut_height
    matrix = np.array([[scale_x, 0, -left * scale_x], [0, scale_y, -top * scale_y]])
    if random.random() < 0.5:
        matrix[0] = -matrix[0]
        matrix[0, 2] += width - 1
    angle = float(random.normal() * (8 if random.random() < 0.2 else 2))
    turn = np.vstack([cv2.getRotationMatrix2D((width / 2, height / 2), angle, 1.0), [0, 0, 1]])
    matrix = (turn @ np.vstack([matrix, [0, 0, 1]]))[:2]
    # The service shrinks large photos without smoothing; jagged samples now and then stand for it.
    how = (cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_NEAREST)[int(random.integers(3))]
    seen = cv2.warpAffine(
        photo, matrix, (width, height), flags=how, borderMode=cv2.BORDER_REFLECT_101
    )
    depth = cv2.warpAffine(
        inverse,
        matrix,
        (width, height),
        flags=cv2.INTER_NEAREST,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=float("nan"),
    )
    if np.isfinite(depth).mean() < 0.05:  # a cut without any depth teaches nothing
        seen = cv2.resize(photo, (width, height), interpolation=cv2.INTER_AREA)
        depth = cv2.resize(inverse, (width, height), interpolation=cv2.INTER_NEAREST)
    return seen.astype(np.uint8), depth.astype(np.float32)


def disturb(photo: Photo, random: np.random.Generator) -> Photo:
    """What cameras do: exposure, colour cast, contrast, blur, noise, vignette, JPEG, grey."""
    image = photo.astype(np.float32) / 255
    image = np.power(image, float(np.exp(random.normal() * 0.3)))
    image = image * np.exp(random.normal(size=3) * 0.08).astype(np.float32)
    image = (
        (image - 0.5) * float(np.exp(random.normal() * 0.2)) + 0.5 + float(random.normal() * 0.05)
    )
    grey = image.mean(axis=2, keepdims=True)
    image = grey + (image - grey) * float(random.uniform(0.3, 1.4))
    if random.random() < 0.05:
        image = np.repeat(grey, 3, axis=2)
    if random.random() < 0.2:
        image = image[..., random.permutation(3)]
    height, width = image.shape[:2]
    if random.random() < 0.25:
        y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
        centre = random.uniform(-0.4, 0.4, 2)
        falloff = 1 - random.uniform(0.1, 0.6) * ((x - centre[0]) ** 2 + (y - centre[1]) ** 2) / 2
        image = image * falloff[..., None]
    if random.random() < 0.3:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), float(random.uniform(0.3, 1.6))))
    elif random.random() < 0.3:
        image = image + (image - cv2.GaussianBlur(image, (0, 0), 1.0)) * float(
            random.uniform(0.3, 1.5)
        )
    if random.random() < 0.4:
        grain = random.normal(size=image.shape) * random.uniform(0.005, 0.06)
        image = image + grain.astype(np.float32)
    result = (np.clip(image, 0, 1) * 255).astype(np.uint8)
    if random.random() < 0.4:
        quality = int(random.integers(25, 90))
        coded = cv2.imencode(".jpg", result, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        result = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), dtype=np.uint8)
    return result
