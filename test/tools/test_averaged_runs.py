from __future__ import annotations

from averaged_runs import Ensemble
import torch

from avdet_ros.training.any_array.bearing_first import BearingFirst, BearingShape

SHAPE = BearingShape(width=12, deep=32, steps=2)


def test_averaged_networks_return_the_mean_output():
    torch.manual_seed(0)
    ones = [BearingFirst(SHAPE).eval() for _ in range(2)]
    columns = SHAPE.front + SHAPE.around
    window = (
        torch.randn(1, 80, 44),
        torch.rand(1, 80, 24, 44),
        torch.rand(1, 80, columns, 24),
    )
    with torch.no_grad():
        mean = (ones[0](*window) + ones[1](*window)) / 2
        torch.testing.assert_close(Ensemble(ones)(*window), mean)
