"""Tiny real ONNX models, made on the spot."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
import pytest

from avdet_ros.audio.features import FrontEnd
from avdet_ros.detection.contract import contract_for, write_metadata
from avdet_ros.rig import load_rig


@pytest.fixture(scope='session')
def rig():
    return load_rig()


@pytest.fixture(scope='session')
def front_end():
    return FrontEnd()


def tiny_model(rig, front_end, boxes=None, scores=None, labels=None, gain=0.0):
    """A model that gives fixed boxes and fixed scores plus ``gain`` times the input's mean."""
    boxes = np.array([[0.1, 0.2, 0.3, 0.6], [0.5, 0.5, 1.0, 1.0]] if boxes is None else boxes)
    scores = np.array([0.9, 0.4] if scores is None else scores)
    labels = np.zeros(len(scores)) if labels is None else np.array(labels)
    shape = (1, len(front_end.feature_names), front_end.n_mels, front_end.frames)
    constants = {
        'boxes_0': boxes.astype(np.float32),
        'scores_0': scores.astype(np.float32),
        'labels_0': labels.astype(np.int64),
        'gain': np.array(gain, np.float32),
    }
    graph = helper.make_graph(
        [
            helper.make_node('ReduceMean', ['spectrogram'], ['mean'], keepdims=0),
            helper.make_node('Mul', ['mean', 'gain'], ['offset']),
            helper.make_node('Add', ['scores_0', 'offset'], ['scores']),
            helper.make_node('Identity', ['boxes_0'], ['boxes']),
            helper.make_node('Identity', ['labels_0'], ['labels']),
        ],
        'tiny',
        [helper.make_tensor_value_info('spectrogram', TensorProto.FLOAT, shape)],
        [
            helper.make_tensor_value_info('boxes', TensorProto.FLOAT, ['n', boxes.shape[-1]]),
            helper.make_tensor_value_info('scores', TensorProto.FLOAT, ['n']),
            helper.make_tensor_value_info('labels', TensorProto.INT64, ['n']),
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=8)
    write_metadata(model, contract_for(rig, front_end, -0.5, recipe='tiny', metrics={'map': 0.5}))
    return model


@pytest.fixture
def make_model(rig, front_end):
    return lambda **options: tiny_model(rig, front_end, **options)


@pytest.fixture
def save(tmp_path):
    def save(model: onnx.ModelProto, name: str = 'tiny.onnx') -> Path:
        path = tmp_path / name
        path.write_bytes(model.SerializeToString())
        return path

    return save
