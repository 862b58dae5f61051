"""Fixtures that record bags, and a small detection model."""

from __future__ import annotations

import cv2
from helpers.models import level_model, save_model
from helpers.recorded_drive import HEIGHT, START_NS, WIDTH, record_drive, transform
import numpy as np
import pytest

from avdet_ros.bags.reader import Bag
from avdet_ros.bags.transforms import StaticTransforms
from avdet_ros.bags.writer import BagWriter
from avdet_ros.messages.decode import COMPRESSED_IMAGE, IMAGE, TRANSFORMS
from avdet_ros.messages.encode_offline import make_header, make_image, make_sound
from avdet_ros.messages.typestore import serialize, typestore

RATE_HZ = 44100
BLOCK = 1024


@pytest.fixture(scope='session')
def waveform():
    """Three seconds of int16 noise on eight channels, different in every channel."""
    rng = np.random.default_rng(7)
    loudness = np.linspace(200, 4000, 3 * RATE_HZ)[:, None]
    return (rng.normal(size=(3 * RATE_HZ, 8)) * loudness).astype(np.int16)


@pytest.fixture(scope='session')
def model_path(rig, front_end, tmp_path_factory):
    path = tmp_path_factory.mktemp('model') / 'level.onnx'
    return save_model(level_model(rig, front_end), path)


@pytest.fixture
def write_sound(waveform):
    """Write sound as a bag; ``drop`` leaves blocks out, ``stamps_ns`` sets the block stamps."""

    def write(
        path,
        samples=None,
        drop=(),
        storage='mcap',
        stamp_ns=START_NS,
        topic='/avdet/audio',
        rate_hz=RATE_HZ,
        close=True,
        stamps_ns=None,
    ):
        samples = waveform if samples is None else samples
        writer = BagWriter(path, storage=storage)
        for index, first in enumerate(range(0, len(samples), BLOCK)):
            if index in drop:
                continue
            now = stamp_ns + round(first * 1e9 / rate_hz) if stamp_ns else 0
            now = now if stamps_ns is None else stamps_ns[index]
            header = make_header(now, 'microphone_array')
            block = make_sound(header, samples[first : first + BLOCK])
            writer.write(topic, IMAGE, serialize(block), (now or START_NS) + 30_000_000)
        if close:
            writer.close()
        return writer

    return write


@pytest.fixture
def picture_message():
    """A camera image as Image or CompressedImage whose brightness encodes the index."""

    def make(stamp_ns, index, compressed=False):
        pixels = np.full((HEIGHT, WIDTH, 3), 10 + index * 5 % 240, np.uint8)
        header = make_header(stamp_ns, 'camera_optical_frame')
        if compressed:
            data = cv2.imencode('.png', pixels)[1].ravel()
            return typestore().types[COMPRESSED_IMAGE](header, 'bgr8; png', data)
        return make_image(header, 'bgr8', HEIGHT, WIDTH, pixels)

    return make


@pytest.fixture
def record(write_sound, picture_message):
    """Record a drive of three seconds: sound, and images at 10 Hz received 30 ms late."""
    return record_drive(write_sound, picture_message)


@pytest.fixture
def transforms(tmp_path):
    """Write the given transforms to a bag and read its static transforms."""

    def read(*rows, raw=None):
        entries = [
            transform(parent, child, map(float, place), map(float, turn))
            for parent, child, place, turn in rows
        ]
        path = tmp_path / f'bag_{len(list(tmp_path.iterdir()))}'
        with BagWriter(path) as writer:
            for number, entry in enumerate(entries):
                data = serialize(typestore().types[TRANSFORMS]([entry]))
                writer.write('/tf_static', TRANSFORMS, data, number + 1)
            if raw is not None:
                writer.write('/tf_static', TRANSFORMS, raw, len(entries) + 1)
        with Bag(path) as bag:
            return StaticTransforms(bag)

    return read
