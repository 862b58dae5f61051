"""A small real network for the tests that run nodes."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from avdet_ros.detection.contract import contract_for, write_metadata


def small_network(rig, front_end, seed=0, candidates=6):
    """A real two-layer network on the spectrogram's channel means, boxes sorted by score."""
    rng = np.random.default_rng(seed)
    channels = len(front_end.feature_names)
    shape = (1, channels, front_end.n_mels, front_end.frames)
    bias = rng.normal(0, 0.5, candidates * 5)
    bias[4::5] = np.linspace(4, -3, candidates)  # two boxes sure enough to start a track
    constants = {
        'w1': rng.normal(0, 0.002, (channels, 16)),
        'w2': rng.normal(0, 0.1, (16, candidates * 5)),
        'b2': bias,
        'half': np.array(0.5),
        'size': np.array(0.3),
    }
    integers = {
        'grid': [candidates, 5], 'first': [0, 1], 'second': [2, 3], 'score': 4, 'k': [candidates],
        'zeros': [0] * candidates,
    }  # fmt: skip
    tensors = [numpy_helper.from_array(v.astype(np.float32), k) for k, v in constants.items()]
    tensors += [numpy_helper.from_array(np.array(v, np.int64), k) for k, v in integers.items()]
    make = helper.make_node
    nodes = [
        make('ReduceMean', ['spectrogram'], ['mean'], axes=[2, 3], keepdims=0),
        make('MatMul', ['mean', 'w1'], ['h0']),
        make('Tanh', ['h0'], ['h1']),
        make('MatMul', ['h1', 'w2'], ['o0']),
        make('Add', ['o0', 'b2'], ['o1']),
        make('Sigmoid', ['o1'], ['o2']),
        make('Reshape', ['o2', 'grid'], ['table']),
        make('Gather', ['table', 'first'], ['low0'], axis=1),
        make('Gather', ['table', 'second'], ['extent0'], axis=1),
        make('Gather', ['table', 'score'], ['s0'], axis=1),
        make('Mul', ['low0', 'half'], ['low']),
        make('Mul', ['extent0', 'size'], ['extent']),
        make('Add', ['low', 'extent'], ['high']),
        make('Concat', ['low', 'high'], ['b0'], axis=1),
        make('TopK', ['s0', 'k'], ['scores', 'order']),
        make('Gather', ['b0', 'order'], ['boxes'], axis=0),
        make('Identity', ['zeros'], ['labels']),
    ]
    graph = helper.make_graph(
        nodes,
        'small',
        [helper.make_tensor_value_info('spectrogram', TensorProto.FLOAT, shape)],
        [
            helper.make_tensor_value_info('boxes', TensorProto.FLOAT, ['n', 4]),
            helper.make_tensor_value_info('scores', TensorProto.FLOAT, ['n']),
            helper.make_tensor_value_info('labels', TensorProto.INT64, ['n']),
        ],
        tensors,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=8)
    write_metadata(model, contract_for(rig, front_end, -0.5, recipe='none', data='none'))
    onnx.checker.check_model(model)
    return model
