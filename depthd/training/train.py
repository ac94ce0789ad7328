"""The training loop: batches in, weights out, resumable at any step."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from depthd.model.catalogue import MODELS
from depthd.model.network import MidasNet
from depthd.training.dataset import Batch, Pool
from depthd.training.losses import drift, loss

SPEC = MODELS["builtin"]


@dataclass(frozen=True)
class Plan:
    """How long and how fast to learn.

    Attributes:
        steps: batches in all.
        rate: learning rate of the decoder; the backbone, which knows photos already, has a fifth.
        warm_up: steps until the rate is reached.
        small: share of the steps, at the start, with small photos: they cost half.
        cool_down: share of the steps, at the end, in which the rate falls to 0.
        average: how much of the running average of the weights each step keeps.
        save_every: steps between two saved states.
        frozen: the encoder's stages that stay as they are.
    """

    steps: int
    rate: float = 1e-3
    warm_up: int = 60
    small: float = 0.5
    cool_down: float = 0.5
    average: float = 0.99
    save_every: int = 100
    frozen: tuple[str, ...] = ("layer1",)

    def rate_at(self, step: int) -> float:
        """Share of the rate at a step: up in the warm-up, then level, then down to 0."""
        up = min(1.0, (step + 1) / max(self.warm_up, 1))
        down = min(1.0, (self.steps - step) / max(self.cool_down * self.steps, 1))
        return min(up, down)


def untrained(backbone: Path | None) -> MidasNet:
    """The network with ImageNet weights in its backbone, if a file with them is given.

    The file's state_dict and timm's are in the same order under other names.

    Raises:
        ValueError: the file holds another network.
    """
    torch.manual_seed(1)
    network = MidasNet.of(SPEC)
    if backbone is not None:
        found = list(torch.load(backbone, map_location="cpu", weights_only=True).values())
        own = network.pretrained.state_dict()
        # The classifier and the last convolution before it have no place in the network.
        for name, value in zip(own, found[: len(own)], strict=True):
            if own[name].shape != value.shape:
                raise ValueError(f"{backbone}: {name} is {own[name].shape}, found {value.shape}")
            own[name].copy_(value)
    last = network.scratch.output_conv[4]
    if not isinstance(last, nn.Conv2d) or last.bias is None:
        raise TypeError("the network's last layer is not the expected convolution")
    # Start well inside the ReLU: an output that is 0 everywhere could not learn.
    nn.init.constant_(last.bias, 2.0)
    return network


def _freeze_depthwise(encoder: nn.Module) -> None:
    """Leave depthwise kernels as ImageNet made them: their gradients took half of the time.

    Those with a stride are also run in float32, for which torch has a ten times faster kernel.
    """
    for conv in encoder.modules():
        if isinstance(conv, nn.Conv2d) and conv.groups > 1:
            conv.weight.requires_grad_(False)
            if conv.stride[0] > 1:
                conv.forward = _in_float32(conv.forward)  # type: ignore[method-assign, assignment]


def _in_float32(forward: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    def wrapped(photos: Tensor) -> Tensor:
        with torch.autocast("cpu", enabled=False):
            return forward(photos.float())

    return wrapped


class Training:
    """A network, its optimiser, the running average of its weights, and the step it is at."""

    def __init__(self, network: MidasNet, pool: Pool, plan: Plan, workers: int = 1) -> None:
        self.network, self.pool, self.plan = network, pool, plan
        self.step = 0
        self.average = copy.deepcopy(network).eval()
        network.to(memory_format=torch.channels_last)
        network.train()
        # Batches are small; ImageNet's statistics are better than theirs.
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        # Edges and colours are what ImageNet taught; leaving them saves a fifth of the time.
        for stage in plan.frozen:
            network.pretrained[stage].requires_grad_(False)
        _freeze_depthwise(network.pretrained)
        # What comes out last: with the eight bits of bfloat16 slopes would be stairs.
        for exact in (network.scratch.plane, network.scratch.output_conv[4]):
            if exact is not None:
                exact.forward = _in_float32(exact.forward)
        # While it learns, it may go below 0, at a price: behind a ReLU what is far cannot learn.
        network.scratch.output_conv[5] = nn.Identity()
        trainable = [p for p in network.pretrained.parameters() if p.requires_grad]
        unused = {id(p) for p in network.scratch.refinenet4.resConfUnit1.parameters()}
        decoder = [p for p in network.scratch.parameters() if id(p) not in unused]
        self._learning = [*trainable, *decoder]
        self._workers, self._hands = workers, ThreadPoolExecutor(workers + 1)
        self._coming: dict[int, Future[Batch]] = {}
        self._has_bf16 = torch.cpu._is_avx512_bf16_supported()  # noqa: SLF001 - elsewhere 10 x slower
        self._optimiser = torch.optim.AdamW(
            [
                {"params": trainable, "share": 0.2},
                {"params": decoder, "share": 1.0},
            ],
            lr=plan.rate,
            weight_decay=0.01,
        )

    def run(self, until: int, report: Callable[[int, float], None]) -> None:
        """Train up to step `until`; `report` gets each step and its loss."""
        while self.step < until:
            report(self.step, self.once())

    def once(self) -> float:
        """One batch; returns its loss."""
        batch = (self._coming.pop(self.step, None) or self._fetch(self.step)).result()
        self._coming[self.step + 1] = self._fetch(self.step + 1)
        for group in self._optimiser.param_groups:
            group["lr"] = self.plan.rate * group["share"] * self.plan.rate_at(self.step)
        # A part of the batch for each core: on a busy machine that waits far less than sharing out
        # every single operator.
        parts = list(self._hands.map(self._learn_from, batch.split(self._workers)))
        self._optimiser.zero_grad(set_to_none=True)
        for k, parameter in enumerate(self._learning):
            parameter.grad = torch.stack([gradients[k] for _, gradients in parts]).mean(dim=0)
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self._optimiser.step()
        self.step += 1
        keep = min(self.plan.average, self.step / (self.step + 10))
        with torch.no_grad():
            own = self.network.state_dict()
            for name, value in self.average.state_dict().items():
                if value.is_floating_point():
                    value.lerp_(own[name], 1 - keep)
        return sum(error for error, _ in parts) / len(parts)

    def _fetch(self, step: int) -> Future[Batch]:
        """Have a batch made while the one before is learned."""
        small = step < self.plan.small * self.plan.steps
        return self._hands.submit(self.pool.batch, step, small=small)

    def _learn_from(self, batch: Batch) -> tuple[float, tuple[Tensor, ...]]:
        """Loss of a part of a batch and its gradients."""
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self._has_bf16):
            predicted: Tensor = self.network(batch.photos)
        error = loss(predicted, batch.inverse, batch.known, batch.trim)
        error = error + relu(-predicted.float()).mean() + drift(predicted)
        return float(error.detach()), torch.autograd.grad(error, self._learning)

    def save(self, file: Path) -> None:
        """Write the whole state, replacing the one before in one step."""
        state: dict[str, Any] = {
            "step": self.step,
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self._optimiser.state_dict(),
        }
        partial = file.with_suffix(".part")
        torch.save(state, partial)
        partial.replace(file)

    def load(self, file: Path) -> None:
        """Go on from a saved state."""
        state = torch.load(file, map_location="cpu", weights_only=True)
        self.step = state["step"]
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self._optimiser.load_state_dict(state["optimiser"])


def train(training: Training, file: Path, report: Callable[[int, float, float], None]) -> MidasNet:
    """Train to the end of the plan, saving to `file` and going on from it where it exists.

    `report` gets the step, the loss, and steps a second. Returns the averaged network.
    """
    if file.exists():
        training.load(file)
    started, first = time.monotonic(), training.step

    def told(step: int, error: float) -> None:
        report(step, error, (step + 1 - first) / (time.monotonic() - started))

    while training.step < training.plan.steps:
        training.pool.look_again()
        goal = min(training.step + training.plan.save_every, training.plan.steps)
        training.run(goal, told)
        training.save(file)
    return training.average
