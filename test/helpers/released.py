"""Networks under the layer names of MM-DistillNet's program, written out layer by layer."""

from __future__ import annotations

import torch

from avdet_ros.training.efficientdet.network import EfficientDetector
from avdet_ros.training.efficientdet.released import CAR, CLASSES


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
    sizes = (1, 2, 2, 3, 3, 4, 1)  # blocks per stage of EfficientNet-B0
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
