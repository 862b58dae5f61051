"""Rigs of scattered microphones, sound that reaches them, and a model of contract 2 for them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from avdet_ros.audio.geometry import SPEED_OF_SOUND_MPS
from avdet_ros.detection.contract import (
    contract_for_any_array,
    write_metadata,
)
from avdet_ros.detection.steering import FRONT_COLUMNS, azimuth_grid
from avdet_ros.detection.taught_ranges import TaughtRanges
from avdet_ros.rig import load_rig


def scattered_rig(seed: int):
    """Return a rig with eight microphones at random places within 0.8 m, none near another."""
    rng = np.random.default_rng(seed)
    while True:
        places = rng.uniform(-0.4, 0.4, (8, 3)) * [1, 1, 0.05]
        apart = np.linalg.norm(places[:, None] - places[None], axis=-1) + np.eye(8)
        if apart.min() > 0.08:
            rig = load_rig()
            return replace(rig, microphones_m=places + rig.array_position_m)


def wave_from(
    rig, azimuth_deg: float, seed: int = 0, passing_mps: float = SPEED_OF_SOUND_MPS
) -> np.ndarray:
    """Return noise from an azimuth in base_link with exact delays, (8, 44100) float32."""
    noise = np.fft.rfft(np.random.default_rng(seed).normal(size=44100))
    azimuth = np.radians(azimuth_deg)
    towards = np.array([np.cos(azimuth), np.sin(azimuth), 0.0])
    ahead_s = (rig.microphones_m - rig.array_position_m) @ towards / passing_mps
    phase = np.exp(2j * np.pi * np.fft.rfftfreq(44100, 1 / 44100) * ahead_s[:, None])
    return (0.05 * np.fft.irfft(noise * phase, 44100)).astype(np.float32)


RANGES = TaughtRanges((0.2, 1.5), (0.05, 0.8), (0.4, 2.2), (20.0, 56.0), (6.0, 8.0))


def tiny_array_model(front_end, boxes=None, scores=None, range_m=None, azimuths=None, **changes):
    """A model of contract 2 with fixed boxes; its scores add the largest steered response."""
    boxes = np.array([[-0.2, -0.1, 0.2, 0.1]] if boxes is None else boxes, np.float32)
    scores = np.array([0.0] if scores is None else scores, np.float32)
    given = np.tile([8.0, 10.0, 13.0], (len(scores), 1)) if range_m is None else range_m
    azimuths = azimuth_grid() if azimuths is None else azimuths
    shape = (1, len(front_end.feature_names), front_end.n_mels, front_end.frames)
    steering_shape = changes.pop('steering_shape', (front_end.n_mels, len(azimuths), shape[1] - 8))
    constants = {
        'boxes_0': boxes,
        'scores_0': scores,
        'labels_0': np.zeros(len(scores), np.int64),
        'range_0': np.asarray(given, np.float32),
        'starts': np.array([8]),
        'ends': np.array([shape[1]]),
        'axes': np.array([1]),
    }
    # Response of each direction: coherences and steering, summed over pairs, mean over the rest.
    graph = helper.make_graph(
        [
            helper.make_node('Slice', ['spectrogram', 'starts', 'ends', 'axes'], ['coherence']),
            helper.make_node('Transpose', ['coherence'], ['bands_first'], perm=[0, 2, 1, 3]),
            helper.make_node('MatMul', ['steering', 'bands_first'], ['response']),
            helper.make_node('ReduceMean', ['response'], ['mean'], axes=[0, 1, 3], keepdims=0),
            helper.make_node('ReduceMax', ['mean'], ['most'], keepdims=0),
            helper.make_node('Add', ['scores_0', 'most'], ['scores']),
            helper.make_node('Identity', ['boxes_0'], ['boxes']),
            helper.make_node('Identity', ['labels_0'], ['labels']),
            helper.make_node('Identity', ['range_0'], ['range_m']),
        ],
        'tiny_array',
        [
            helper.make_tensor_value_info('spectrogram', TensorProto.FLOAT, shape),
            helper.make_tensor_value_info('steering', TensorProto.FLOAT, steering_shape),
        ],
        [
            helper.make_tensor_value_info('boxes', TensorProto.FLOAT, ['n', boxes.shape[-1]]),
            helper.make_tensor_value_info('scores', TensorProto.FLOAT, ['n']),
            helper.make_tensor_value_info('labels', TensorProto.INT64, ['n']),
            helper.make_tensor_value_info('range_m', TensorProto.FLOAT, ['n', 3]),
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=8)
    contract = contract_for_any_array(front_end, -0.5, azimuths, RANGES, recipe='tiny', **changes)
    write_metadata(model, contract)
    return model


def steered_response_model(front_end):
    """Return a model for any array without weights: a box in each front column, whose score is
    the steered response of the array from there, averaged over 0.5 to 4 kHz and the window."""
    azimuths = azimuth_grid()
    x = -np.tan(np.radians(azimuths[:FRONT_COLUMNS]))
    boxes = np.stack([x - 0.05, np.full_like(x, 0.0), x + 0.05, np.full_like(x, 0.1)], axis=1)
    constants = {
        'all_boxes': boxes.astype(np.float32),
        'range_0': np.tile(np.float32([[10, 15, 20]]), (FRONT_COLUMNS, 1)),
        'labels_0': np.zeros(FRONT_COLUMNS, np.int64),
        'starts': np.array([8, 6]),
        'ends': np.array([32, 50]),
        'axes': np.array([1, 2]),
        'first_band': np.array([6]),
        'last_band': np.array([50]),
        'band_axis': np.array([0]),
        'first_column': np.array([0]),
        'last_column': np.array([FRONT_COLUMNS]),
        'count': np.array([FRONT_COLUMNS]),
        'low': np.array(0, np.float32),
        'high': np.array(1, np.float32),
    }
    node = helper.make_node
    graph = helper.make_graph(
        [
            node('Slice', ['spectrogram', 'starts', 'ends', 'axes'], ['coherence']),
            node('Transpose', ['coherence'], ['bands_first'], perm=[0, 2, 1, 3]),
            node('Slice', ['steering', 'first_band', 'last_band', 'band_axis'], ['some']),
            node('MatMul', ['some', 'bands_first'], ['response']),
            node('ReduceMean', ['response'], ['mean'], axes=[0, 1, 3], keepdims=0),
            node('Slice', ['mean', 'first_column', 'last_column', 'band_axis'], ['front']),
            node('Clip', ['front', 'low', 'high'], ['clipped']),
            node('TopK', ['clipped', 'count'], ['scores', 'order']),
            node('Gather', ['all_boxes', 'order'], ['boxes']),
            node('Identity', ['labels_0'], ['labels']),
            node('Identity', ['range_0'], ['range_m']),
        ],
        'steered',
        [
            helper.make_tensor_value_info('spectrogram', TensorProto.FLOAT, (1, 32, 80, 173)),
            helper.make_tensor_value_info('steering', TensorProto.FLOAT, (80, len(azimuths), 24)),
        ],
        [
            helper.make_tensor_value_info('boxes', TensorProto.FLOAT, ['n', 4]),
            helper.make_tensor_value_info('scores', TensorProto.FLOAT, ['n']),
            helper.make_tensor_value_info('labels', TensorProto.INT64, ['n']),
            helper.make_tensor_value_info('range_m', TensorProto.FLOAT, ['n', 3]),
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    built = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=8)
    write_metadata(built, contract_for_any_array(front_end, -0.5, azimuths, RANGES))
    return built
