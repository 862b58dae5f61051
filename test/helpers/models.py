"""Small real ONNX models with the contract of shipped ones, made in milliseconds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from avdet_ros.audio.features import FrontEnd
from avdet_ros.detection.contract import contract_for, write_metadata
from avdet_ros.rig import Rig

node = helper.make_node


def fixed_boxes_model(
    rig: Rig, front_end: FrontEnd, boxes=None, scores=None, labels=None, gain=0.0
) -> onnx.ModelProto:
    """Fixed boxes, and fixed scores plus `gain` times the mean of the input."""
    boxes = np.array([[0.1, 0.2, 0.3, 0.6], [0.5, 0.5, 1.0, 1.0]] if boxes is None else boxes)
    scores = np.array([0.9, 0.4] if scores is None else scores)
    labels = np.zeros(len(scores)) if labels is None else np.array(labels)
    constants = {
        'boxes_0': boxes.astype(np.float32),
        'scores_0': scores.astype(np.float32),
        'labels_0': labels.astype(np.int64),
        'gain': np.array(gain, np.float32),
    }
    nodes = [
        node('ReduceMean', ['spectrogram'], ['mean'], keepdims=0),
        node('Mul', ['mean', 'gain'], ['offset']),
        node('Add', ['scores_0', 'offset'], ['scores']),
        node('Identity', ['boxes_0'], ['boxes']),
        node('Identity', ['labels_0'], ['labels']),
    ]
    card = {'recipe': 'tiny', 'metrics': {'map': 0.5}}
    return _model('fixed_boxes', nodes, constants, rig, front_end, card, boxes.shape[-1])


def loudness_model(rig: Rig, front_end: FrontEnd, box=(0.4, 0.4, 0.5, 0.6)) -> onnx.ModelProto:
    """One fixed box, whose score rises with the loudness of the window."""
    constants = {
        'boxes_0': np.array([box], np.float32),
        'labels_0': np.zeros(1, np.int64),
        'scale': np.array([0.05], np.float32),
    }
    nodes = [
        node('ReduceMean', ['spectrogram'], ['mean'], keepdims=0),
        node('Mul', ['mean', 'scale'], ['scaled']),
        node('Sigmoid', ['scaled'], ['scores']),
        node('Identity', ['boxes_0'], ['boxes']),
        node('Identity', ['labels_0'], ['labels']),
    ]
    return _model('loudness', nodes, constants, rig, front_end, {})


def level_model(rig: Rig, front_end: FrontEnd) -> onnx.ModelProto:
    """Two boxes that move with the level of the window, as their scores do."""
    constants = {
        'gain': np.array(0.01, np.float32),
        'half': np.array(0.5, np.float32),
        'low': np.array([[0.2, 0.2, 0.3, 0.4], [0.6, 0.5, 0.9, 0.9]], np.float32),
        'fade': np.array([1.0, 0.5], np.float32),
        'labels_0': np.zeros(2, np.int64),
    }
    nodes = [
        node('ReduceMean', ['spectrogram'], ['mean'], keepdims=0),
        node('Mul', ['mean', 'gain'], ['scaled']),
        node('Sigmoid', ['scaled'], ['level']),
        node('Mul', ['level', 'fade'], ['scores']),
        node('Mul', ['level', 'half'], ['shift']),
        node('Mul', ['low', 'shift'], ['small']),
        node('Add', ['low', 'small'], ['boxes']),
        node('Identity', ['labels_0'], ['labels']),
    ]
    card = {'recipe': 'test', 'metrics': {}}
    return _model('level', nodes, constants, rig, front_end, card)


def small_network(rig: Rig, front_end: FrontEnd, seed=0, candidates=6) -> onnx.ModelProto:
    """A two-layer network on the spectrogram's channel means; boxes sorted by score."""
    rng = np.random.default_rng(seed)
    channels = len(front_end.feature_names)
    bias = rng.normal(0, 0.5, candidates * 5)
    bias[4::5] = np.linspace(4, -3, candidates)  # two boxes sure enough to start a track
    weights = {
        'w1': rng.normal(0, 0.002, (channels, 16)),
        'w2': rng.normal(0, 0.1, (16, candidates * 5)),
        'b2': bias,
        'half': np.array(0.5),
        'size': np.array(0.3),
    }
    integers = {
        'grid': [candidates, 5],
        'first': [0, 1],
        'second': [2, 3],
        'score': 4,
        'k': [candidates],
        'zeros': [0] * candidates,
    }
    constants = {name: value.astype(np.float32) for name, value in weights.items()}
    constants |= {name: np.array(value, np.int64) for name, value in integers.items()}
    nodes = [
        node('ReduceMean', ['spectrogram'], ['mean'], axes=[2, 3], keepdims=0),
        node('MatMul', ['mean', 'w1'], ['h0']),
        node('Tanh', ['h0'], ['h1']),
        node('MatMul', ['h1', 'w2'], ['o0']),
        node('Add', ['o0', 'b2'], ['o1']),
        node('Sigmoid', ['o1'], ['o2']),
        node('Reshape', ['o2', 'grid'], ['table']),
        node('Gather', ['table', 'first'], ['low0'], axis=1),
        node('Gather', ['table', 'second'], ['extent0'], axis=1),
        node('Gather', ['table', 'score'], ['s0'], axis=1),
        node('Mul', ['low0', 'half'], ['low']),
        node('Mul', ['extent0', 'size'], ['extent']),
        node('Add', ['low', 'extent'], ['high']),
        node('Concat', ['low', 'high'], ['b0'], axis=1),
        node('TopK', ['s0', 'k'], ['scores', 'order']),
        node('Gather', ['b0', 'order'], ['boxes'], axis=0),
        node('Identity', ['zeros'], ['labels']),
    ]
    model = _model('small', nodes, constants, rig, front_end, {'recipe': 'none', 'data': 'none'})
    onnx.checker.check_model(model)
    return model


def save_model(model: onnx.ModelProto, path: Path) -> Path:
    """Write a model and return its path."""
    path.write_bytes(model.SerializeToString())
    return path


def set_metadata(model: onnx.ModelProto, key: str, value: str | None) -> onnx.ModelProto:
    """Change or, for None, remove an entry of a model's metadata; return the model.

    Raises:
        KeyError: the model has no such entry.
    """
    for index, entry in enumerate(model.metadata_props):
        if entry.key == key:
            if value is None:
                del model.metadata_props[index]
            else:
                entry.value = value
            return model
    raise KeyError(key)


def _model(name, nodes, constants, rig, front_end, card, box_numbers=4) -> onnx.ModelProto:
    shape = (1, len(front_end.feature_names), front_end.n_mels, front_end.frames)
    graph = helper.make_graph(
        nodes,
        name,
        [helper.make_tensor_value_info('spectrogram', TensorProto.FLOAT, shape)],
        [
            helper.make_tensor_value_info('boxes', TensorProto.FLOAT, ['n', box_numbers]),
            helper.make_tensor_value_info('scores', TensorProto.FLOAT, ['n']),
            helper.make_tensor_value_info('labels', TensorProto.INT64, ['n']),
        ],
        [numpy_helper.from_array(value, key) for key, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=8)
    write_metadata(model, contract_for(rig, front_end, -0.5, **card))
    return model
