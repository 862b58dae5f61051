"""Checkpoints of the authors' program under our names, on networks of random weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from avdet_ros.errors import AvdetError
from avdet_ros.training.efficientdet.network import EfficientDetector
from avdet_ros.training.efficientdet.released import (
    CAR,
    CLASSES,
    ZeroPaddedPool,
    pad_pools_with_zeros,
    rename_released,
)

SIDE = 128


@pytest.fixture(scope='module')
def detector() -> EfficientDetector:
    torch.manual_seed(0)
    made = EfficientDetector('tf_efficientdet_d0', 1, (SIDE, SIDE)).eval()
    for value in made.network.state_dict().values():
        if value.is_floating_point() and value.dim() < 2:
            value += 0.2 * torch.rand_like(value)
    return made


def as_released(detector: EfficientDetector) -> dict[str, torch.Tensor]:
    """The same weights under the program's names, written out layer by layer."""
    own = detector.network.state_dict()
    theirs: dict[str, torch.Tensor] = {}

    def put(new: str, old: str, parts: tuple[str, ...]) -> None:
        for part in parts:
            theirs[f'{new}.{part}'] = own.pop(f'{old}.{part}')

    weight, both = ('weight',), ('weight', 'bias')
    norm = ('weight', 'bias', 'running_mean', 'running_var', 'num_batches_tracked')
    put('backbone_net.model._conv_stem.conv', 'backbone.conv_stem', weight)
    put('backbone_net.model._bn0', 'backbone.bn1', norm)
    sizes = (1, 2, 2, 3, 3, 4, 1)  # EfficientNet-B0's blocks a stage
    places = [(stage, place) for stage, size in enumerate(sizes) for place in range(size)]
    for number, (stage, place) in enumerate(places):
        new = f'backbone_net.model._blocks.{number}'
        old = f'backbone.blocks.{stage}.{place}'
        if stage:
            put(f'{new}._expand_conv.conv', f'{old}.conv_pw', weight)
            put(f'{new}._bn0', f'{old}.bn1', norm)
        put(f'{new}._depthwise_conv.conv', f'{old}.conv_dw', weight)
        put(f'{new}._bn1', f'{old}.bn{2 if stage else 1}', norm)
        put(f'{new}._se_reduce.conv', f'{old}.se.conv_reduce', both)
        put(f'{new}._se_expand.conv', f'{old}.se.conv_expand', both)
        put(f'{new}._project_conv.conv', f'{old}.conv_{"pwl" if stage else "pw"}', weight)
        put(f'{new}._bn2', f'{old}.bn{3 if stage else 2}', norm)
    nodes = (
        'conv6_up p6_w1',
        'conv5_up p5_w1',
        'conv4_up p4_w1',
        'conv3_up p3_w1',
        'conv4_down p4_w2',
        'conv5_down p5_w2',
        'conv6_down p6_w2',
        'conv7_down p7_w2',
    )
    lateral = {
        1: 'p5_down_channel',
        2: 'p4_down_channel',
        3: 'p3_down_channel',
        4: 'p4_down_channel_2',
        5: 'p5_down_channel_2',
    }
    inputs = {1: 2, 2: 1, 3: 0, 4: 1, 5: 2}
    for cell in range(3):
        for node, (name, edge) in enumerate(text.split() for text in nodes):
            new, old = f'bifpn.{cell}', f'fpn.cell.{cell}.fnode.{node}'
            theirs[f'{new}.{edge}'] = own.pop(f'{old}.combine.edge_weights')
            inner = f'{old}.after_combine.conv'
            put(f'{new}.{name}.depthwise_conv.conv', f'{inner}.conv_dw', weight)
            put(f'{new}.{name}.pointwise_conv.conv', f'{inner}.conv_pw', both)
            put(f'{new}.{name}.bn', f'{inner}.bn', norm)
            if cell == 0 and node in lateral:
                resample = f'{old}.combine.resample.{inputs[node]}'
                put(f'{new}.{lateral[node]}.0.conv', f'{resample}.conv.conv', both)
                put(f'{new}.{lateral[node]}.1', f'{resample}.conv.bn', norm)
    put('bifpn.0.p5_to_p6.0.conv', 'fpn.resample.3.conv.conv', both)
    put('bifpn.0.p5_to_p6.1', 'fpn.resample.3.conv.bn', norm)
    for new, old in (('regressor', 'box_net'), ('classifier', 'class_net')):
        for layer in range(3):
            head = f'{old}.conv_rep.{layer}'
            put(f'{new}.conv_list.{layer}.depthwise_conv.conv', f'{head}.conv_dw', weight)
            put(f'{new}.conv_list.{layer}.pointwise_conv.conv', f'{head}.conv_pw', both)
            for level in range(5):
                put(f'{new}.bn_list.{level}.{layer}', f'{old}.bn_rep.{layer}.{level}.bn', norm)
        put(f'{new}.header.depthwise_conv.conv', f'{old}.predict.conv_dw', weight)
        put(f'{new}.header.pointwise_conv.conv', f'{old}.predict.conv_pw', both)
    assert not own
    for part in both:
        name = f'classifier.header.pointwise_conv.conv.{part}'
        one = theirs[name]
        every = torch.randn(len(one), CLASSES, *one.shape[1:])
        every[:, CAR] = one
        theirs[name] = every.flatten(0, 1)
    return theirs


def test_a_released_checkpoint_is_the_same_network(detector):
    """Every layer finds its place, and the outputs are those of the weights that went in."""
    fresh = EfficientDetector('tf_efficientdet_d0', 1, (SIDE, SIDE)).eval()
    theirs = {f'module.{name}': value for name, value in as_released(detector).items()}
    fresh.network.load_state_dict(rename_released(theirs), strict=True)
    picture = torch.rand(1, 1, SIDE, SIDE)
    with torch.no_grad():
        expected, found = detector(picture), fresh(picture)
    assert (expected.logits - found.logits).abs().max() < 1e-6
    assert (expected.offsets - found.offsets).abs().max() < 1e-6


def test_a_strange_layer_is_named(detector):
    theirs = as_released(detector)
    theirs['classifier.extra.weight'] = torch.zeros(1)
    with pytest.raises(AvdetError, match=r'a\.pth: expected layers.*classifier\.extra\.weight'):
        rename_released(theirs, 'a.pth')
    theirs = as_released(detector)
    theirs['classifier.header.pointwise_conv.conv.bias'] = torch.zeros(9 * 7)
    with pytest.raises(AvdetError, match='expected 20 classes an anchor, found 63 outputs'):
        rename_released(theirs, 'a.pth')


@pytest.mark.parametrize('side', [4, 5, 8, 9])
def test_pools_take_zeros_beyond_the_edge(side):
    """Against windows cut out by hand, as TensorFlow's "same" places them."""
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


def test_the_pyramid_has_zero_padded_pools_and_differs(detector):
    other = EfficientDetector('tf_efficientdet_d0', 1, (SIDE, SIDE)).eval()
    other.network.load_state_dict(detector.network.state_dict())
    pad_pools_with_zeros(other)
    pools = [layer for layer in other.modules() if isinstance(layer, ZeroPaddedPool)]
    assert pools
    assert not any(isinstance(layer, torch.nn.MaxPool2d) for layer in other.network.fpn.modules())
    picture = torch.rand(1, 1, SIDE, SIDE)
    with torch.no_grad():
        ours, theirs = detector(picture), other(picture)
    assert (ours.logits - theirs.logits).abs().max() > 1e-6
