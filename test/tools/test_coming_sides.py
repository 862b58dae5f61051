"""Logits for both sides; only windows with a known answer are scored."""

from __future__ import annotations

from coming_sides import Sides, scores
import pytest
import torch

from avdet_ros.training.any_array.bearing_first import BearingFirst


@pytest.fixture(scope='module')
def network():
    torch.manual_seed(0)
    return BearingFirst().eval()


def test_every_window_gets_a_logit_per_side(network):
    maps = torch.rand(3, *network.maps_shape)
    said = Sides(network).eval()(maps)
    assert said.shape == (3, 2)
    assert torch.isfinite(said).all()


def test_unlabelled_windows_do_not_affect_the_scores(network):
    sides = Sides(network)
    maps = torch.rand(40, *network.maps_shape).half()
    coming = torch.tensor([[1, 0], [0, 1], [0, 0], [0, 0]]).repeat(10, 1)
    before = scores(sides, (maps, coming))
    more = torch.full((8, 2), -1)
    other = torch.rand(8, *network.maps_shape).half()
    after = scores(sides, (torch.cat([maps, other]), torch.cat([coming, more])))
    assert after == pytest.approx(before, abs=1e-6)
