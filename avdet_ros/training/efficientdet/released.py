"""Convert the authors' released networks to the layer names of ours.

MM-DistillNet's program builds EfficientDet from another implementation than `efficientdet`. The
topology is the same. The differences are the names, the number of classes (20, "car" is number 6),
and max pools that pad with zeros. So renaming the layers and extracting one class turns a
checkpoint of theirs into one of ours.
"""

from __future__ import annotations

from collections.abc import Mapping
import re

from torch import Tensor

from avdet_ros.errors import AvdetError

CLASSES = 20
"""Outputs per anchor of the released class layer."""

CAR = 6
"""The only class of them that is trained, in VOC's alphabetical order."""

_BLOCK = re.compile(r'backbone_net\.model\._blocks\.(\d+)\.(.+)')
_CELL = re.compile(r'bifpn\.(\d+)\.(.+)')
_HEAD = re.compile(r'(regressor|classifier)\.(.+)')
_NODES = (
    'conv6_up',
    'conv5_up',
    'conv4_up',
    'conv3_up',
    'conv4_down',
    'conv5_down',
    'conv6_down',
    'conv7_down',
)
"""Nodes of a BiFPN cell in the order in which it computes them."""

_EDGES = {
    'p6_w1': 0,
    'p5_w1': 1,
    'p4_w1': 2,
    'p3_w1': 3,
    'p4_w2': 4,
    'p5_w2': 5,
    'p6_w2': 6,
    'p7_w2': 7,
}
"""Which node each set of edge weights belongs to."""

_LATERAL = {
    'p5_to_p6': 'resample.3',
    'p5_down_channel': 'cell.0.fnode.1.combine.resample.2',
    'p4_down_channel': 'cell.0.fnode.2.combine.resample.1',
    'p3_down_channel': 'cell.0.fnode.3.combine.resample.0',
    'p4_down_channel_2': 'cell.0.fnode.4.combine.resample.1',
    'p5_down_channel_2': 'cell.0.fnode.5.combine.resample.2',
}
"""Convolutions that bring the backbone's maps to the pyramid's width, only in the first cell."""

_PLAIN = {
    '_depthwise_conv.conv': 'conv_dw',
    '_bn1': 'bn1',
    '_project_conv.conv': 'conv_pw',
    '_bn2': 'bn2',
}
_EXPANDED = {
    '_expand_conv.conv': 'conv_pw',
    '_bn0': 'bn1',
    '_depthwise_conv.conv': 'conv_dw',
    '_bn1': 'bn2',
    '_project_conv.conv': 'conv_pwl',
    '_bn2': 'bn3',
}
_SQUEEZE = {'_se_reduce.conv': 'se.conv_reduce', '_se_expand.conv': 'se.conv_expand'}


def rename_released(state: Mapping[str, Tensor], where: str = 'checkpoint') -> dict[str, Tensor]:
    """Rename every layer of a released network and keep only the class "car".

    Args:
        state: names and tensors of the authors' program, with or without the prefix ``module.``
            of parallel training.
        where: the file, for errors.

    Returns:
        names and tensors of `EfficientDetector.network`.

    Raises:
        AvdetError: a name does not belong to that program.
    """
    state = {name.removeprefix('module.'): value for name, value in state.items()}
    expanded = {
        int(found[1])
        for name in state
        if (found := _BLOCK.fullmatch(name)) and found[2].startswith('_expand_conv')
    }
    blocks = sorted({int(found[1]) for name in state if (found := _BLOCK.fullmatch(name))})
    stages = _stages(state, blocks)
    renamed = {}
    for name, value in state.items():
        new = _new_name(name, stages, expanded)
        if new is None:
            raise AvdetError(
                f'{where}: expected layers of the released EfficientDet, found {name!r:.80}'
            )
        if new.startswith('class_net.predict.conv_pw'):
            value = _car_alone(value, name, where)
        renamed[new] = value
    return renamed


def _stages(state: Mapping[str, Tensor], blocks: list[int]) -> dict[int, str]:
    """Stage of each block and place in it, e.g. ``1.0``: a stage begins where the width changes.

    Two stages of the same width are distinguished by their kernels.
    """
    names, stage, place, before = {}, -1, 0, None
    for block in blocks:
        head = f'backbone_net.model._blocks.{block}.'
        kernel = state[f'{head}_depthwise_conv.conv.weight'].shape[-1]
        width = state[f'{head}_project_conv.conv.weight'].shape[0]
        if (width, kernel) != before:
            stage, place, before = stage + 1, 0, (width, kernel)
        names[block] = f'{stage}.{place}'
        place += 1
    return names


def _new_name(name: str, stages: Mapping[int, str], expanded: set[int]) -> str | None:
    if found := _BLOCK.fullmatch(name):
        block = int(found[1])
        layers = {**(_EXPANDED if block in expanded else _PLAIN), **_SQUEEZE}
        rest = _swapped(found[2], layers)
        return rest and f'backbone.blocks.{stages[block]}.{rest}'
    if found := _CELL.fullmatch(name):
        return _pyramid_name(int(found[1]), found[2])
    if found := _HEAD.fullmatch(name):
        return _head_name('box_net' if found[1] == 'regressor' else 'class_net', found[2])
    stem = {
        'backbone_net.model._conv_stem.conv': 'backbone.conv_stem',
        'backbone_net.model._bn0': 'backbone.bn1',
    }
    return _swapped(name, stem)


def _pyramid_name(cell: int, rest: str) -> str | None:
    if rest in _EDGES:
        return f'fpn.cell.{cell}.fnode.{_EDGES[rest]}.combine.edge_weights'
    layer, _, tail = rest.partition('.')
    if layer in _NODES:
        inner = _swapped(
            tail, {'depthwise_conv.conv': 'conv_dw', 'pointwise_conv.conv': 'conv_pw', 'bn': 'bn'}
        )
        node = f'fpn.cell.{cell}.fnode.{_NODES.index(layer)}.after_combine.conv'
        return inner and f'{node}.{inner}'
    if layer in _LATERAL and cell == 0:
        inner = _swapped(tail, {'0.conv': 'conv.conv', '1': 'conv.bn'})
        return inner and f'fpn.{_LATERAL[layer]}.{inner}'
    return None


def _head_name(head: str, rest: str) -> str | None:
    convolution = {'depthwise_conv.conv': 'conv_dw', 'pointwise_conv.conv': 'conv_pw'}
    if found := re.fullmatch(r'conv_list\.(\d+)\.(.+)', rest):
        inner = _swapped(found[2], convolution)
        return inner and f'{head}.conv_rep.{found[1]}.{inner}'
    if found := re.fullmatch(r'bn_list\.(\d+)\.(\d+)\.(.+)', rest):
        return f'{head}.bn_rep.{found[2]}.{found[1]}.bn.{found[3]}'
    if rest.startswith('header.'):
        inner = _swapped(rest.removeprefix('header.'), convolution)
        return inner and f'{head}.predict.{inner}'
    return None


def _swapped(name: str, layers: Mapping[str, str]) -> str | None:
    """Return a name with its layer replaced; None if the layer is not among them."""
    for old, new in layers.items():
        if name.startswith(f'{old}.'):
            return new + name.removeprefix(old)
    return None


def _car_alone(value: Tensor, name: str, where: str) -> Tensor:
    if value.shape[0] % CLASSES:
        raise AvdetError(
            f'{where}: {name}: expected {CLASSES} classes an anchor, '
            f'found {value.shape[0]} outputs'
        )
    return value.reshape(-1, CLASSES, *value.shape[1:])[:, CAR].clone().contiguous()
