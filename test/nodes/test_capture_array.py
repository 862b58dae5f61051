"""Array state while driving: dead channels, moved microphones, and their use by the detector."""

from __future__ import annotations

import json
import time

from helpers.driving_sound import RATE, Errors, driving_sound, traffic_azimuths
from helpers.driving_sound import small_rig as rig_of_driving_sound
import numpy as np
import pytest
from sensor_msgs.msg import Image
import soundfile
from std_msgs.msg import String

from avdet_ros.messages.array_state import array_text
from avdet_ros.messages.decode import decode_spectrogram
from avdet_ros.messages.encode import encode_header, encode_sound
from avdet_ros.nodes import qos
from avdet_ros.nodes.capture import CaptureNode
from avdet_ros.nodes.detector import DetectorNode
from avdet_ros.rig import default_rig_path

pytestmark = pytest.mark.ros


@pytest.fixture
def small_rig(tmp_path):
    """The rig file of `driving_sound`."""
    path = tmp_path / 'rig.yaml'
    path.write_text(default_rig_path().read_text().replace('44100', str(RATE)))
    return path


def test_dead_channel_is_excluded_within_three_seconds(start, watcher, wait, tmp_path):
    sound = np.random.default_rng(0).integers(-3000, 3000, (9 * 44100, 8)).astype(np.int16)
    sound[2 * 44100 :, 5] //= 500
    soundfile.write(tmp_path / 'drive.wav', sound, 44100, subtype='PCM_16')
    arrays = watcher.collect(String, 'array', qos.LATCHED)
    windows = watcher.collect(Image, 'spectrogram', 5)
    node = start(CaptureNode, source='file', file=str(tmp_path / 'drive.wav'), hop_s=0.5)
    wait(lambda: len(arrays) == 2, 'the array without the dead channel')
    found_s = node._samples.count / 44100
    alive = [json.loads(message.data)['alive'] for message in arrays]
    assert alive[0] == [True] * 8
    assert alive[1] == [True] * 5 + [False] + [True] * 2
    assert 2 < found_s < 5.5  # seconds of sound, half of one for the transport
    watcher.wait_status('capture', 'rear_right (channel 5) is dead and left out', level=1)
    count = len(windows)
    wait(lambda: len(windows) > count + 1, 'a window without it')
    features = decode_spectrogram(windows[-1], 'x')
    assert np.abs(features[5] + 100).max() < 1e-3
    assert features[4].mean() > -80


@pytest.mark.slow
@pytest.mark.parametrize('auto_calibrate', [False, True])
def test_moved_microphone_is_reported_or_calibrated_on_request(
    start, watcher, wait, small_rig, auto_calibrate
):
    moved = np.zeros((8, 3))
    moved[6] = [0.02, 0.02, 0]
    gain_db = np.where(np.arange(8) == 2, 5.0, 0.0)
    errors = Errors(gain_db=gain_db, moved_m=moved)
    sound = driving_sound(rig_of_driving_sound(), traffic_azimuths(75, 3), errors, 3)
    arrays = watcher.collect(String, 'array', qos.LATCHED)
    node = start(
        CaptureNode,
        source='topic',
        rig=str(small_rig),
        array_watch_s=70.0,
        auto_calibrate=auto_calibrate,
        hop_s=1.0,
    )
    publisher = watcher.publisher(Image, 'audio', qos.OFFER_STREAM)
    block, now_ns = RATE // 4, time.time_ns()
    for index, first in enumerate(range(0, len(sound), block)):
        head = encode_header(now_ns + index * 250_000_000, 'microphone_array')
        publisher.publish(encode_sound(head, sound[first : first + block]))
        wait(lambda n=first: node._samples.count > n, 'a block to arrive')
    wait(lambda: node._array.watch.estimates, 'an estimate', timeout_s=120)
    if auto_calibrate:
        watcher.wait_status(
            'capture', values=lambda v: v.get('array_calibrated', '').lower() == 'true'
        )
        wait(lambda: len(arrays) == 2, 'the calibrated array')
        calibrated = json.loads(arrays[1].data)
        assert calibrated['gain_db'][2] == pytest.approx(5 * 7 / 8, abs=0.5)
        before = json.loads(arrays[0].data)['microphones_m']
        off_m = np.array(calibrated['microphones_m']) - np.array(before)
        assert np.linalg.norm(off_m[6]) > 0.012
        assert node._array.features.front_end.gain_db[2] == pytest.approx(5 * 7 / 8, abs=0.5)
    else:
        watcher.wait_status('capture', 'right (channel 6) is off by')
        watcher.wait_status('capture', 'left (channel 2) is +5')
        assert len(arrays) == 1
        assert node._array.features.front_end.gain_db == ()


def test_detector_uses_the_published_array_and_rejects_invalid_messages(
    start, watcher, wait, model_path, rig
):
    node = start(DetectorNode, model=str(model_path))
    publisher = watcher.publisher(String, 'array', qos.LATCHED)
    alive = [True] * 7 + [False]
    publisher.publish(String(data=array_text(rig).replace('true]', 'false]')))
    wait(lambda: node._detector._view.rig.alive.tolist() == alive, 'the array in use')
    publisher.publish(String(data='{"alive": 3}'))
    watcher.wait_status('detector', '/avdet/array: microphones_m: expected 8 x 3 numbers', level=1)
    assert node._detector._view.rig.alive.tolist() == alive
