"""Layers along one axis keep its length and treat all positions equally."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from avdet_ros.training.column_layers import Residual1d, conv1d


@pytest.mark.parametrize(('kernel', 'dilation'), [(1, 1), (3, 1), (3, 4), (5, 2)])
def test_conv1d_keeps_length_and_is_shift_equivariant(kernel, dilation):
    torch.manual_seed(0)
    layers = nn.Sequential(*conv1d(3, 4, kernel, dilation=dilation)).eval()
    columns = torch.randn(2, 3, 40)
    found = layers(columns)
    assert found.shape == (2, 4, 40)
    inside = slice(dilation * kernel, -dilation * kernel)
    rolled = layers(columns.roll(1, dims=-1))
    torch.testing.assert_close(rolled[..., inside], found.roll(1, dims=-1)[..., inside])


def test_residual_layer_adds_its_input():
    layer = Residual1d(3, dilation=2).eval()
    nn.init.zeros_(layer.layers[-1].weight)
    columns = torch.randn(2, 3, 10)
    torch.testing.assert_close(layer(columns), columns.clamp(min=0))
