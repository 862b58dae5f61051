"""Real bags, written by real writers, and a small real model to listen to them."""

from __future__ import annotations

import cv2
import numpy as np
from onnx import TensorProto, helper, numpy_helper
import pytest

from avdet_ros.audio.features import FrontEnd
from avdet_ros.bags.writer import BagWriter
from avdet_ros.detection.contract import contract_for, write_metadata
from avdet_ros.messages.decode import COMPRESSED_IMAGE, IMAGE
from avdet_ros.messages.encode_offline import make_header, make_image, make_sound
from avdet_ros.messages.typestore import serialize, typestore
from avdet_ros.rig import load_rig

RATE_HZ = 44100
START_NS = 1_700_000_000_000_000_000
BLOCK = 1024


@pytest.fixture(scope='session')
def rig():
    return load_rig()


@pytest.fixture(scope='session')
def front_end():
    return FrontEnd()


@pytest.fixture(scope='session')
def waveform():
    """Three seconds of eight microphones, int16, every channel and instant different."""
    rng = np.random.default_rng(7)
    loudness = np.linspace(200, 4000, 3 * RATE_HZ)[:, None]
    return (rng.normal(size=(3 * RATE_HZ, 8)) * loudness).astype(np.int16)


@pytest.fixture(scope='session')
def model_path(rig, front_end, tmp_path_factory):
    return write_level_model(tmp_path_factory.mktemp('model') / 'level.onnx', rig, front_end)


def write_level_model(path, rig, front_end):
    """A model whose boxes and scores move with the level it hears."""
    shape = (1, len(front_end.feature_names), front_end.n_mels, front_end.frames)
    constants = {
        'gain': np.array(0.01, np.float32),
        'half': np.array(0.5, np.float32),
        'low': np.array([[0.2, 0.2, 0.3, 0.4], [0.6, 0.5, 0.9, 0.9]], np.float32),
        'fade': np.array([1.0, 0.5], np.float32),
        'labels_0': np.zeros(2, np.int64),
    }
    graph = helper.make_graph(
        [
            helper.make_node('ReduceMean', ['spectrogram'], ['mean'], keepdims=0),
            helper.make_node('Mul', ['mean', 'gain'], ['scaled']),
            helper.make_node('Sigmoid', ['scaled'], ['level']),
            helper.make_node('Mul', ['level', 'fade'], ['scores']),
            helper.make_node('Mul', ['level', 'half'], ['shift']),
            helper.make_node('Mul', ['low', 'shift'], ['small']),
            helper.make_node('Add', ['low', 'small'], ['boxes']),
            helper.make_node('Identity', ['labels_0'], ['labels']),
        ],
        'hears_level',
        [helper.make_tensor_value_info('spectrogram', TensorProto.FLOAT, shape)],
        [
            helper.make_tensor_value_info('boxes', TensorProto.FLOAT, ['n', 4]),
            helper.make_tensor_value_info('scores', TensorProto.FLOAT, ['n']),
            helper.make_tensor_value_info('labels', TensorProto.INT64, ['n']),
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=8)
    write_metadata(model, contract_for(rig, front_end, -0.5, recipe='test', metrics={}))
    path.write_bytes(model.SerializeToString())
    return path


@pytest.fixture
def write_sound(waveform):
    """Write sound as a bag; ``drop`` leaves blocks out, ``shift_ns`` moves stamps."""

    def write(
        path, samples=None, drop=(), storage='mcap', stamp_ns=START_NS, topic='/avdet/audio',
        rate_hz=RATE_HZ, close=True,
    ):  # fmt: skip
        samples = waveform if samples is None else samples
        writer = BagWriter(path, storage=storage)
        for index, first in enumerate(range(0, len(samples), BLOCK)):
            if index in drop:
                continue
            now = stamp_ns + round(first * 1e9 / rate_hz) if stamp_ns else 0
            header = make_header(now, 'microphone_array')
            block = make_sound(header, samples[first : first + BLOCK])
            writer.write(topic, IMAGE, serialize(block), (now or START_NS) + 30_000_000)
        if close:
            writer.close()
        return writer

    return write


@pytest.fixture
def picture_message():
    """A camera's picture as Image or CompressedImage, its brightness telling the index."""

    def make(stamp_ns, index, compressed=False):
        pixels = np.full((65, 192, 3), 10 + index * 5 % 240, np.uint8)
        header = make_header(stamp_ns, 'camera_optical_frame')
        if compressed:
            data = cv2.imencode('.png', pixels)[1].ravel()
            return typestore().types[COMPRESSED_IMAGE](header, 'bgr8; png', data)
        return make_image(header, 'bgr8', 65, 192, pixels)

    return make
