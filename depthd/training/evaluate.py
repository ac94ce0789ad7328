"""How good a network is on photos whose depth is known, and how good no network would be.

Relative inverse depth has no scale and no shift: both are fitted per photo by least squares. Two
baselines are fitted in the same way: one number for the whole photo, and a ramp from its top to
its bottom, which is what most photos look like to someone who sees only the ground.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from depthd.training import edges, pairs
from depthd.training.dataset import DEVIATION, MEAN

RATIO = 1.25  # a pixel is wrong where prediction and truth differ by more than this factor
ORDER = 1.1  # pairs of pixels whose depths differ by less than this factor are left out
PAIRS = 5_000
LONG_SIDE = 256

Inverse = NDArray[np.float32]
Predictor = Callable[[NDArray[np.uint8]], Inverse]


@dataclass(frozen=True)
class Score:
    """Shares from 0 to 1: pixels over RATIO, pairs in the wrong order. Lower is better.

    `complete` and `accurate` tell of edges, higher is better; None where depth is not dense.
    """

    over: float
    disordered: float
    complete: float | None = None
    accurate: float | None = None


def fitted(predicted: Inverse, truth: Inverse) -> Inverse:
    """`predicted` with the scale and shift that bring it closest to `truth`; both (K,)."""
    # Of about the same size, so that the fit does not depend on the prediction's own scale.
    scaled = predicted.astype(np.float64) / max(float(np.abs(predicted).max()), 1e-30)
    columns = np.stack([scaled, np.ones_like(scaled)], axis=1)
    solution = np.linalg.lstsq(columns, truth.astype(np.float64), rcond=None)[0]
    return np.asarray(columns @ solution, dtype=np.float32)


def score(predicted: Inverse, inverse: Inverse) -> Score:
    """Compare two maps (H, W); pixels that are NaN or 0 in `inverse` do not count.

    Inverse depth 0, the sky, has no ratio to anything; fitting and order leave it out too.
    """
    known = np.isfinite(inverse) & (inverse > 0)
    truth, guess = inverse[known], predicted[known]
    aligned = fitted(guess, truth)
    floor = float(truth.min()) * 1e-3
    ratio = np.maximum(aligned, floor) / truth
    over = float(np.mean(np.maximum(ratio, 1 / ratio) > RATIO))
    random = np.random.default_rng(7)
    first, second = random.integers(len(truth), size=(2, PAIRS))
    apart = np.maximum(truth[first] / truth[second], truth[second] / truth[first]) > ORDER
    nearer = truth[first] > truth[second]
    # A tie is half a mistake: whoever has to say which is nearer would toss a coin.
    difference = np.where(nearer, 1, -1) * (aligned[first] - aligned[second])
    wrong = np.where(difference > 0, 0.0, np.where(difference < 0, 1.0, 0.5))
    disordered = float(wrong[apart].mean()) if apart.any() else 0.0
    return Score(over, disordered)


def mean(scores: Sequence[Score]) -> Score:
    """The mean of each share, over those that have it."""

    def of(values: Sequence[float | None]) -> float | None:
        known = [value for value in values if value is not None]
        return float(np.mean(known)) if known else None

    return Score(
        float(np.mean([s.over for s in scores])),
        float(np.mean([s.disordered for s in scores])),
        of([s.complete for s in scores]),
        of([s.accurate for s in scores]),
    )


def constant(photo: NDArray[np.uint8]) -> Inverse:
    """The baseline that says the same everywhere."""
    return np.ones(photo.shape[:2], dtype=np.float32)


def ramp(photo: NDArray[np.uint8]) -> Inverse:
    """The baseline that says: the lower, the nearer."""
    height, width = photo.shape[:2]
    return np.repeat(np.linspace(0, 1, height, dtype=np.float32)[:, None], width, axis=1)


def predictor(network: nn.Module) -> Predictor:
    """The network as the service runs it: bicubic to 256, multiples of 32, bicubic back."""
    network.eval()

    def predict(photo: NDArray[np.uint8]) -> Inverse:
        height, width = photo.shape[:2]
        scale = LONG_SIDE / max(height, width)
        size = tuple(max(32, int(np.floor(side * scale / 32)) * 32) for side in (width, height))
        small = cv2.resize(photo.astype(np.float32) / 255, size, interpolation=cv2.INTER_CUBIC)
        tensor = torch.from_numpy(((small - MEAN) / DEVIATION).transpose(2, 0, 1)[None]).float()
        with torch.inference_mode():
            inverse = network(tensor)[0].numpy()
        large = cv2.resize(inverse, (width, height), interpolation=cv2.INTER_CUBIC)
        return np.asarray(large, dtype=np.float32)

    return predict


def measure(folder: Path, predict: Predictor, limit: int = 60) -> dict[str, Score]:
    """Mean scores of network, constant and ramp over at most `limit` pairs, evenly picked."""
    files = pairs.files(folder)
    chosen = files[:: max(1, -(-len(files) // limit))]
    kinds: Mapping[str, Predictor] = {"network": predict, "constant": constant, "ramp": ramp}
    found: dict[str, list[Score]] = {name: [] for name in kinds}
    for file in chosen:
        photo, inverse = pairs.read(file)
        if (np.isfinite(inverse) & (inverse > 0)).sum() < 100:
            continue
        for name, kind in kinds.items():
            guess = kind(photo)
            one = score(guess, inverse)
            borders = edges.compare(guess, inverse) if name == "network" else None
            if borders is not None:
                one = replace(one, complete=borders.complete, accurate=borders.accurate)
            found[name].append(one)
    if not found["network"]:
        raise ValueError(f"{folder}: no pairs of photo and depth")
    return {name: mean(scores) for name, scores in found.items()}


def heatmap(inverse: Inverse) -> NDArray[np.uint8]:
    """Inferno, BGR (H, W, 3): bright is near."""
    low, high = np.percentile(inverse, [0.5, 99.5])
    level = np.clip((inverse - low) / max(float(high - low), 1e-6) * 255, 0, 255)
    colours = cv2.applyColorMap(level.astype(np.uint8), cv2.COLORMAP_INFERNO)
    return np.asarray(colours, dtype=np.uint8)


def contact_sheet(photos: list[Path], predict: Predictor, file: Path, across: int = 4) -> None:
    """Photos and heatmaps side by side in one PNG, `across` pairs a row.

    Raises:
        ValueError: one is no photo.
        OSError: the file cannot be written.
    """
    cells = []
    for path in photos:
        photo = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if photo is None:
            raise ValueError(f"{path}: not a photo")
        inverse = predict(cv2.cvtColor(photo, cv2.COLOR_BGR2RGB).astype(np.uint8))
        cell = np.zeros((180, 480, 3), dtype=np.uint8)
        for k, image in enumerate((photo.astype(np.uint8), heatmap(inverse))):
            scale = min(240 / image.shape[1], 180 / image.shape[0])
            size = (int(image.shape[1] * scale), int(image.shape[0] * scale))
            cell[: size[1], k * 240 : k * 240 + size[0]] = cv2.resize(image, size)
        cells.append(cell)
    cells += [np.zeros_like(cells[0])] * (-len(cells) % across)
    rows = [np.hstack(cells[k : k + across]) for k in range(0, len(cells), across)]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(cv2.imencode(".png", np.vstack(rows))[1].tobytes())
