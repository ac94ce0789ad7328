from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from depthd.training.dataset import Pool, Source
from depthd.training.train import Plan, Training, train, untrained

PLAN = Plan(steps=4, warm_up=2, small=1.0, save_every=2)


def start(photos: Path, plan: Plan = PLAN) -> Training:
    return Training(untrained(None), Pool([Source("photos", photos, 1.0)], 2), plan)


def quiet(step: int, error: float, speed: float) -> None:
    assert error == error  # not NaN
    del step, speed


def test_an_interrupted_training_ends_where_an_uninterrupted_one_does(
    photos: Path, tmp_path: Path
) -> None:
    whole = train(start(photos), tmp_path / "whole.pt", quiet)

    broken = start(photos)
    broken.run(2, lambda step, error: None)
    broken.save(tmp_path / "broken.pt")
    resumed = train(start(photos), tmp_path / "broken.pt", quiet)

    for (name, a), b in zip(whole.state_dict().items(), resumed.state_dict().values(), strict=True):
        assert torch.allclose(a.float(), b.float(), atol=1e-5), name


def test_a_finished_training_is_not_repeated(photos: Path, tmp_path: Path) -> None:
    train(start(photos), tmp_path / "state.pt", quiet)
    train(start(photos), tmp_path / "state.pt", lambda *_: pytest.fail("trained again"))


def test_parts_of_a_batch_teach_what_the_whole_does(photos: Path) -> None:
    alone, shared = (
        start(photos),
        Training(untrained(None), Pool([Source("photos", photos, 1.0)], 2), PLAN, workers=2),
    )
    alone.once()
    shared.once()
    for (name, a), b in zip(
        alone.network.state_dict().items(), shared.network.state_dict().values(), strict=True
    ):
        if name == "scratch.output_conv.4.bias":
            continue  # a shift costs nothing: all of its gradient is noise
        # Adam's first step is the sign of the gradient: where that is noise, it may differ.
        assert (a - b).abs().float().mean() < 2e-4, name


def test_a_frozen_stage_stays_and_the_others_learn(photos: Path) -> None:
    training = start(photos, dataclasses.replace(PLAN, frozen=("layer1", "layer4")))
    before = {name: value.clone() for name, value in training.network.named_parameters()}
    training.once()
    changed = {n for n, v in training.network.named_parameters() if not torch.equal(v, before[n])}
    assert not [n for n in changed if n.startswith(("pretrained.layer1", "pretrained.layer4"))]
    for part in ("pretrained.layer2", "pretrained.layer3", "scratch.plane"):
        assert any(n.startswith(part) for n in changed), part


def test_rate_rises_stays_and_falls_to_nothing() -> None:
    plan = dataclasses.replace(PLAN, steps=100, warm_up=10, cool_down=0.2)
    assert plan.rate_at(0) == pytest.approx(0.1)
    assert plan.rate_at(50) == 1.0
    assert plan.rate_at(90) == pytest.approx(0.5)
    assert plan.rate_at(99) == pytest.approx(0.05)


def test_batches_repeat_and_differ(photos: Path) -> None:
    pool = Pool([Source("photos", photos, 1.0)], 3)
    once, again, other = pool.batch(5), pool.batch(5), pool.batch(6)
    assert torch.equal(once.photos, again.photos)
    assert torch.equal(once.inverse, again.inverse)
    assert once.photos.shape != other.photos.shape or not torch.equal(once.photos, other.photos)
    assert once.photos.shape[2] % 32 == once.photos.shape[3] % 32 == 0
    assert once.known.any()
