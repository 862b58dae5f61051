"""Latencies on a stopped ROS clock, where the expected values are known to the nanosecond.

On a running clock, a busy machine adds its own delays; here only a node's subtraction counts.
"""

from __future__ import annotations

import json

from builtin_interfaces.msg import Time
import numpy as np
import pytest
from rclpy.parameter import Parameter
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image
from std_msgs.msg import Float64, String
from vision_msgs.msg import Detection2DArray

from avdet_ros.messages.decode import stamp_ns
from avdet_ros.messages.encode import (
    encode_detections,
    encode_header,
    encode_sound,
    encode_spectrogram,
)
from avdet_ros.nodes import qos
from avdet_ros.nodes.capture import CaptureNode
from avdet_ros.nodes.detector import DetectorNode
from avdet_ros.nodes.tracker import TrackerNode

pytestmark = pytest.mark.ros

NOW_S = 100.0
BOX = np.array([[100.0, 200.0, 300.0, 400.0]])


@pytest.fixture
def freeze_clock(watcher, wait):
    """Sets ROS time for a node once; the clock then stays stopped."""

    def freeze_clock(node):
        clock = watcher.node.create_publisher(Clock, '/clock', 10)

        def clock_arrived():
            clock.publish(Clock(clock=Time(sec=int(NOW_S))))
            return node.now_ns() == NOW_S * 1e9

        wait(clock_arrived, 'the clock')

    return freeze_clock


def send(wait, publisher, message, *answers):
    """Publish a message and wait until every list of answers has grown."""
    before = [len(answer) for answer in answers]
    wait(publisher.get_subscription_count, 'a subscriber')
    publisher.publish(message)
    wait(
        lambda: all(len(answer) > n for answer, n in zip(answers, before, strict=True)),
        'its answers',
    )


def check_values(watcher, node, name, milliseconds):
    """Check that the diagnostics' median and maximum are those of the only window."""
    text = f'{milliseconds:.4g}'
    values = watcher.wait_status(node, values=lambda v: v.get(f'{name}_ms_max') == text)[2]
    assert values[f'{name}_ms_p50'] == values[f'{name}_ms_p99'] == text


def test_tracker_latency_counts_from_window_end(start, watcher, wait, freeze_clock):
    node = start(TrackerNode, tracker='iou', use_sim_time=True)
    late, steps = (
        watcher.collect(Float64, 'debug/latency_ms'),
        watcher.collect(String, 'debug/steps'),
    )
    freeze_clock(node)
    publisher = watcher.publisher(Detection2DArray, 'detections', qos.RESULTS)
    wait(node._steps._publisher.get_subscription_count, 'a listener')

    def send_detections(stamp_s):
        head = encode_header(round(stamp_s * 1e9), 'camera_optical_frame')
        send(wait, publisher, encode_detections(head, BOX, np.array([0.9])), late, steps)

    send_detections(99.3)  # boxes are stamped half a second before the window's end
    assert late[0].data == pytest.approx(200)
    reported = json.loads(steps[0].data)
    assert (reported['node'], reported['end_ns']) == ('tracker', 99_800_000_000)
    assert reported['done_ms'] == dict.fromkeys(('received', 'tracked', 'sent'), 200.0)
    check_values(watcher, 'tracker', 'latency', 200.0)
    assert node.set_parameters([Parameter('label_offset_s', value=-0.25)])[0].successful
    send_detections(99.4)
    assert late[1].data == pytest.approx(350)
    assert json.loads(steps[1].data)['end_ns'] == 99_650_000_000


def test_detector_latency_counts_from_stamp(
    start, watcher, wait, freeze_clock, model_path, front_end
):
    node = start(DetectorNode, model=str(model_path), use_sim_time=True, threads=2)
    assert node._detector._session.session.get_session_options().intra_op_num_threads == 2
    late = watcher.collect(Float64, 'debug/detections_latency_ms')
    steps = watcher.collect(String, 'debug/steps')
    inference = watcher.collect(Float64, 'debug/inference_ms')
    freeze_clock(node)
    publisher = watcher.publisher(Image, 'spectrogram', qos.OFFER_SPECTROGRAM)
    wait(node._steps._publisher.get_subscription_count, 'a listener')
    shape = (len(front_end.feature_names), front_end.n_mels, front_end.frames)
    head = encode_header(99_650_000_000, 'microphone_array')
    message = encode_spectrogram(head, np.full(shape, -60, np.float32))
    send(wait, publisher, message, late, steps, inference)
    assert late[0].data == pytest.approx(350)
    reported = json.loads(steps[0].data)
    assert (reported['node'], reported['end_ns']) == ('detector', 99_650_000_000)
    names = ('received', 'begun', 'decoded', 'inferred', 'sent')
    assert reported['done_ms'] == dict.fromkeys(names, 350.0)
    check_values(watcher, 'detector', 'detections_latency', 350.0)
    check_values(watcher, 'detector', 'inference', inference[0].data)
    values = watcher.status['/avdet/detector'][2]
    assert values['label_offset_s'] == '-0.5'
    assert values['sha256'] == node._detector.sha256
    assert values['model'] == str(model_path)


def test_capture_latency_counts_from_last_sample_of_window(start, watcher, wait, freeze_clock):
    node = start(CaptureNode, source='topic', hop_s=1.0, array_watch_s=0.0, use_sim_time=True)
    late = watcher.collect(Float64, 'debug/spectrogram_latency_ms')
    steps = watcher.collect(String, 'debug/steps')
    features = watcher.collect(Float64, 'debug/features_ms')
    windows = watcher.collect(Image, 'spectrogram', qos.ASK_SPECTROGRAM)
    freeze_clock(node)
    publisher = watcher.publisher(Image, 'audio', qos.OFFER_STREAM)
    wait(node._steps._publisher.get_subscription_count, 'a listener')
    sound = np.random.default_rng(3).integers(-3000, 3000, (48510, 8)).astype(np.int16)
    message = encode_sound(encode_header(98_500_000_000, 'microphone_array'), sound)
    send(wait, publisher, message, late, steps, features, windows)
    end_ns = stamp_ns(windows[0])
    assert (end_ns * 1e-9) == pytest.approx(99.5, abs=256 / 44100)
    expected_ms = 100_000 - end_ns * 1e-6
    assert late[0].data == pytest.approx(expected_ms, abs=1e-3)
    reported = json.loads(steps[0].data)
    assert (reported['node'], reported['end_ns']) == ('capture', end_ns)
    assert list(reported['done_ms']) == ['block', 'handed', 'features', 'message', 'sent']
    assert list(reported['done_ms'].values()) == pytest.approx([expected_ms] * 5, abs=1e-3)
    check_values(watcher, 'capture', 'spectrogram_latency', late[0].data)
    check_values(watcher, 'capture', 'features', features[0].data)
    assert 'array_watch' not in watcher.status['/avdet/capture'][2]
