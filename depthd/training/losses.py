"""What the network is trained to lower: errors that know no scale and no shift.

Ranftl et al., "Towards Robust Monocular Depth Estimation", TPAMI 2022, sections 5.1 and 5.2. All
tensors are (N, H, W); `known` is True where the inverse depth was measured.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from depthd.training.evaluate import ORDER

SCALES = 4
GRADIENT_WEIGHT = 1.0
DRIFT_WEIGHT = 0.1
ORDER_WEIGHT = 2.0
PAIRS = 2048
"""Pairs of points compared in each photo, of those whose depths differ by more than ORDER."""
SPREAD = 100.0
"""Standard deviation of the network's output within a photo, on average."""


def normalise(inverse: Tensor, known: Tensor) -> Tensor:
    """Shift by the median and divide by the mean absolute deviation of the known pixels."""
    values = inverse.masked_fill(~known, float("nan")).flatten(1)
    median = values.nanmedian(dim=1, keepdim=True).values
    deviation = (values - median).abs().nanmean(dim=1, keepdim=True).clamp_min(1e-6)
    return (inverse - median[:, :, None]) / deviation[:, :, None]


def invariant_error(predicted: Tensor, truth: Tensor, known: Tensor, trim: Tensor) -> Tensor:
    """Mean absolute error of two normalised maps.

    Per photo, the share `trim` (N,) of the largest errors is left out, because measured depth is
    wrong at edges.
    """
    errors = (predicted - truth).abs().masked_fill(~known, 0.0).flatten(1)
    count = known.flatten(1).sum(dim=1).clamp_min(1)
    if not trim.any():
        return (errors.sum(dim=1) / count).mean()
    order = errors.detach().argsort(dim=1, descending=True).argsort(dim=1)
    keep = order >= (trim * count)[:, None]
    return ((errors * keep).sum(dim=1) / count).mean()


def gradient_error(predicted: Tensor, truth: Tensor, known: Tensor) -> Tensor:
    """Difference of the maps' horizontal and vertical steps at four scales: sharp edges."""
    total = predicted.new_zeros(())
    for scale in range(SCALES):
        step = 2**scale
        difference = (predicted - truth)[:, ::step, ::step]
        valid = known[:, ::step, ::step]
        across = (difference[:, :, 1:] - difference[:, :, :-1]).abs()
        down = (difference[:, 1:] - difference[:, :-1]).abs()
        across = across * (valid[:, :, 1:] & valid[:, :, :-1])
        down = down * (valid[:, 1:] & valid[:, :-1])
        count = valid.flatten(1).sum(dim=1).clamp_min(1)
        total = total + ((across.flatten(1).sum(dim=1) + down.flatten(1).sum(dim=1)) / count).mean()
    return total


def order_error(predicted: Tensor, inverse: Tensor, known: Tensor) -> Tensor:
    """How far pairs of points lie in the wrong order, on average; `inverse` is not normalised.

    The other errors are of inverse depth, in which everything far off is almost the same.
    """
    cells = predicted[0].numel()
    count = min(PAIRS, cells // 2)
    chosen = torch.randperm(cells, generator=torch.Generator().manual_seed(7))[: 2 * count]
    guess, truth, valid = (t.flatten(1)[:, chosen] for t in (predicted, inverse, known))
    first, second = truth[:, :count], truth[:, count:]
    both = valid[:, :count] & valid[:, count:]
    nearer = (first > ORDER * second).float() - (second > ORDER * first).float()
    wrong = torch.relu(nearer * (guess[:, count:] - guess[:, :count])) * both
    compared = (both & (nearer != 0)).sum(dim=1).clamp_min(count // 16)
    return (wrong.sum(dim=1) / compared).mean()


def drift(predicted: Tensor) -> Tensor:
    """How far the outputs' spread has gone from SPREAD, whatever the photos; a scalar.

    The other errors know no scale, and steps that know none make it grow without end. Long before
    numbers overflow, the decoder's coarse path drowns what the encoder's finer taps add to it.
    """
    spread = predicted.float().std(dim=(1, 2)).clamp_min(1e-6).log().mean()
    return DRIFT_WEIGHT * (spread - math.log(SPREAD)).square()


def loss(predicted: Tensor, truth: Tensor, known: Tensor, trim: Tensor) -> Tensor:
    """The whole loss, a scalar. `trim` (N,) is 0 for exact depth."""
    predicted = normalise(predicted.float(), known)
    order = order_error(predicted, truth, known)
    with torch.no_grad():
        # A leaf before the lens must not outweigh the rest of the photo.
        truth = normalise(truth, known).clamp(-6, 8)
    error = invariant_error(predicted, truth, known, trim)
    return error + GRADIENT_WEIGHT * gradient_error(predicted, truth, known) + ORDER_WEIGHT * order
