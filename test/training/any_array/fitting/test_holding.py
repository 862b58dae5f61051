from __future__ import annotations

import pytest
import torch

from avdet_ros.training.any_array.bearing_first import VALUES, BearingShape
from avdet_ros.training.any_array.boxes import columns_deg
from avdet_ros.training.any_array.fitting.holding import held_loss
from avdet_ros.training.any_array.losses import BearingLabels

SHAPE = BearingShape()
SEEN_DEG = 30.0


def window(*unsure_deg: float) -> BearingLabels:
    """Return labels of a camera window: a sure one ahead and unsure ones 6 degrees wide."""
    count = 1 + len(unsure_deg)
    angles = torch.zeros(1, count, 4)
    angles[0, :, 0] = torch.tensor([0.0, *unsure_deg])
    angles[0, :, 2:] = 6.0
    unsure = torch.ones(1, count, dtype=torch.bool)
    unsure[0, 0] = False
    return BearingLabels(
        angles,
        torch.full((1, count), torch.nan),
        torch.ones(1, count, dtype=torch.bool),
        torch.tensor([[SEEN_DEG, -SEEN_DEG]]),
        unsure,
    )


def start() -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.randn(1, VALUES, SHAPE.front, generator=generator)


def gradient(labels: BearingLabels) -> torch.Tensor:
    """Return the (front,) largest gradients of columns whose values are all off by 0.3."""
    columns = (start() + 0.3).requires_grad_()
    held_loss(columns, start(), labels, SHAPE).backward()
    return columns.grad[0].abs().amax(dim=0)


def test_held_loss_is_zero_only_for_equal_predictions():
    assert held_loss(start(), start(), window(), SHAPE) == pytest.approx(0, abs=1e-5)
    for value in range(6):
        columns = start()
        columns[:, value] += 0.5
        assert held_loss(columns, start(), window(), SHAPE) > 0.01, value


def test_only_columns_without_a_label_are_held():
    centres = columns_deg(SHAPE)
    beside = centres.abs() > SEEN_DEG
    assert torch.equal(gradient(window()) > 0, beside)
    doubted = (centres - 15.0).abs() < 4
    assert torch.equal(gradient(window(15.0)) > 0, beside | doubted)


def test_box_costs_are_weighted_by_the_vehicle_probability():
    columns, rare = start(), start()
    rare[:, 0] -= 4
    columns[:, 1:] += 0.3
    likely = held_loss(columns, start(), window(), SHAPE)
    columns[:, 0] -= 4
    assert held_loss(columns, rare, window(), SHAPE) < likely / 4
