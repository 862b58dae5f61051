"""Checkpoints of the authors' program with renamed layers, on networks of random weights."""

from __future__ import annotations

from helpers.released import as_released
import numpy as np
import pytest
import torch

from avdet_ros.errors import AvdetError
from avdet_ros.training.efficientdet.network import EfficientDetector
from avdet_ros.training.efficientdet.released import rename_released
from avdet_ros.training.efficientdet.zero_padding import ZeroPaddedPool, pad_pools_with_zeros

SIDE = 128


@pytest.fixture(scope='module')
def detector() -> EfficientDetector:
    torch.manual_seed(0)
    made = EfficientDetector('tf_efficientdet_d0', 1, (SIDE, SIDE)).eval()
    for value in made.network.state_dict().values():
        if value.is_floating_point() and value.dim() < 2:
            value += 0.2 * torch.rand_like(value)
    return made


def test_renamed_released_checkpoint_gives_the_same_outputs(detector):
    """Every layer is matched by name, and the outputs equal those of the original weights."""
    fresh = EfficientDetector('tf_efficientdet_d0', 1, (SIDE, SIDE)).eval()
    theirs = {f'module.{name}': value for name, value in as_released(detector).items()}
    fresh.network.load_state_dict(rename_released(theirs), strict=True)
    picture = torch.rand(1, 1, SIDE, SIDE)
    with torch.no_grad():
        expected, found = detector(picture), fresh(picture)
    assert (expected.logits - found.logits).abs().max() < 1e-6
    assert (expected.offsets - found.offsets).abs().max() < 1e-6


def test_unexpected_layer_is_named_in_the_error(detector):
    theirs = as_released(detector)
    theirs['classifier.extra.weight'] = torch.zeros(1)
    with pytest.raises(AvdetError, match=r'a\.pth: expected layers.*classifier\.extra\.weight'):
        rename_released(theirs, 'a.pth')
    theirs = as_released(detector)
    theirs['classifier.header.pointwise_conv.conv.bias'] = torch.zeros(9 * 7)
    with pytest.raises(AvdetError, match='expected 20 classes an anchor, found 63 outputs'):
        rename_released(theirs, 'a.pth')


@pytest.mark.parametrize('side', [4, 5, 8, 9])
def test_max_pools_pad_with_zeros(side):
    """The reference takes each window explicitly, placed as in TensorFlow's "same" padding."""
    features = -torch.rand(1, 1, side, side) - 1
    count = -(-side // 2)
    before = ((count - 1) * 2 + 3 - side) // 2
    expected = np.zeros((count, count))
    for row in range(count):
        for column in range(count):
            places = [
                features[0, 0, y, x].item() if 0 <= y < side and 0 <= x < side else 0.0
                for y in range(2 * row - before, 2 * row - before + 3)
                for x in range(2 * column - before, 2 * column - before + 3)
            ]
            expected[row, column] = max(places)
    np.testing.assert_allclose(ZeroPaddedPool()(features)[0, 0].numpy(), expected)


def test_zero_padded_pools_change_the_pyramid_outputs(detector):
    other = EfficientDetector('tf_efficientdet_d0', 1, (SIDE, SIDE)).eval()
    other.network.load_state_dict(detector.network.state_dict())
    pad_pools_with_zeros(other.network.fpn)
    pools = [layer for layer in other.modules() if isinstance(layer, ZeroPaddedPool)]
    assert pools
    assert not any(isinstance(layer, torch.nn.MaxPool2d) for layer in other.network.fpn.modules())
    picture = torch.rand(1, 1, SIDE, SIDE)
    with torch.no_grad():
        ours, theirs = detector(picture), other(picture)
    assert (ours.logits - theirs.logits).abs().max() > 1e-6
