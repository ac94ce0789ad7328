from __future__ import annotations

import pytest
import torch

from depthd.training import losses


def test_normalised_map_has_median_0_and_mean_deviation_1() -> None:
    inverse = torch.tensor([[[1.0, 2.0, 3.0], [7.0, 100.0, 5.0]]])
    known = torch.tensor([[[True, True, True], [True, False, True]]])
    # median of 1 2 3 5 7 is 3, mean absolute deviation (2 + 1 + 0 + 4 + 2) / 5 = 1.8
    result = losses.normalise(inverse, known)
    assert result[0, 0].tolist() == pytest.approx([-2 / 1.8, -1 / 1.8, 0.0])


def test_scale_and_shift_cost_nothing() -> None:
    torch.manual_seed(0)
    truth = torch.rand(2, 32, 32)
    known = torch.rand(2, 32, 32) > 0.2
    error = losses.loss(truth * 3 + 5, truth, known, torch.zeros(2))
    assert float(error) == pytest.approx(0, abs=1e-4)


def test_only_the_spread_of_all_photos_together_may_not_drift() -> None:
    torch.manual_seed(0)
    photos = torch.randn(2, 200, 200) * losses.SPREAD
    assert float(losses.drift(photos + 1e4)) == pytest.approx(0, abs=1e-4)
    uneven = photos * torch.tensor([4.0, 0.25])[:, None, None]
    assert float(losses.drift(uneven)) == pytest.approx(0, abs=1e-4)
    assert float(losses.drift(photos * 8)) == pytest.approx(float(losses.drift(photos / 8)), 1e-2)
    assert float(losses.drift(photos * 8)) > 0.1


def test_a_reversed_map_is_worse_than_a_flat_one() -> None:
    truth = torch.linspace(0, 1, 32)[None, :, None].repeat(1, 1, 32)
    known = torch.ones_like(truth, dtype=torch.bool)
    flat = losses.loss(torch.ones_like(truth), truth, known, torch.zeros(1))
    reverse = losses.loss(-truth, truth, known, torch.zeros(1))
    assert float(reverse) > float(flat) > 0.5


def test_trim_leaves_out_the_largest_errors() -> None:
    truth = torch.zeros(1, 1, 10)
    predicted = torch.zeros(1, 1, 10)
    predicted[0, 0, :2] = 50.0
    known = torch.ones_like(truth, dtype=torch.bool)
    assert float(losses.invariant_error(predicted, truth, known, torch.tensor([0.2]))) == 0
    assert float(losses.invariant_error(predicted, truth, known, torch.tensor([0.1]))) == 5


def test_gradient_error_sees_a_lost_edge_and_no_unknown_pixel() -> None:
    truth = torch.zeros(1, 8, 8)
    truth[:, :, 4:] = 1
    known = torch.ones_like(truth, dtype=torch.bool)
    flat = torch.zeros_like(truth)
    # One step of 1 in each row: 8 rows of 64 pixels at full size, 4 of 16, 2 of 4, none of 1.
    assert float(losses.gradient_error(flat, truth, known)) == pytest.approx(
        8 / 64 + 4 / 16 + 2 / 4
    )
    assert float(losses.gradient_error(flat, truth, torch.zeros_like(known))) == 0


def test_unknown_pixels_get_no_gradient() -> None:
    predicted = torch.rand(1, 16, 16, requires_grad=True)
    known = torch.ones(1, 16, 16, dtype=torch.bool)
    known[:, :4] = False
    losses.loss(predicted, torch.rand(1, 16, 16), known, torch.zeros(1)).backward()
    assert predicted.grad is not None
    assert torch.isfinite(predicted.grad).all()
    assert float(predicted.grad[:, :4].abs().sum()) == 0


def test_order_error_sees_far_pairs_as_well_as_near_ones_and_leaves_out_what_is_as_far() -> None:
    depth = torch.tensor([1.0, 1.02, 100.0, 200.0]).repeat_interleave(64).reshape(1, 16, 16)
    inverse, known = 1 / depth, torch.ones_like(depth, dtype=torch.bool)
    assert float(losses.order_error(inverse, inverse, known)) == 0
    near, far = inverse.clone(), inverse.clone()
    near[:, :8] = near[:, :8].flip(1)  # 1 and 1.02 m: no more than the ratio apart
    assert float(losses.order_error(near, inverse, known)) == 0
    far[:, 8:] = far[:, 8:].flip(1)
    assert float(losses.order_error(far, inverse, known)) > 0
    assert float(losses.order_error(far, inverse, known & (depth < 50))) == 0
