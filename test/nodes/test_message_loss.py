"""Windows that are lost between two nodes are counted, and only those."""

from __future__ import annotations

from contextlib import contextmanager
import threading

import numpy as np
import pytest
from rclpy.duration import Duration
from sensor_msgs.msg import Image
from vision_msgs.msg import Detection2DArray

from avdet_ros.messages.encode import encode_detections, encode_header, encode_spectrogram
from avdet_ros.nodes import qos
from avdet_ros.nodes.detector import DetectorNode
from avdet_ros.nodes.tracker import TrackerNode

pytestmark = pytest.mark.ros


@contextmanager
def held_up(node):
    """While this context lasts, the node's executor is busy."""
    entered, free = threading.Event(), threading.Event()

    def hold():
        entered.set()
        free.wait(60)

    timer = node.create_timer(0.01, hold)
    try:
        assert entered.wait(30)
        yield
    finally:
        free.set()
        node.destroy_timer(timer)


def spectrogram(front_end, stamp_s):
    shape = (len(front_end.feature_names), front_end.n_mels, front_end.frames)
    head = encode_header(round(stamp_s * 1e9), 'microphone_array')
    return encode_spectrogram(head, np.full(shape, -60, np.float32))


def detections(stamp_s):
    head = encode_header(round(stamp_s * 1e9), 'camera_optical_frame')
    return encode_detections(head, np.zeros((0, 4)), np.zeros(0))


def check_counting(watcher, node, publisher, make):
    """Hold the node up for longer than its queue lasts, and find every message accounted for."""
    publisher.publish(make(10.0))
    watcher.wait_status(node.NAME, values=lambda values: values.get('windows_in') == '1')
    with held_up(node):
        for index in range(1, 19):  # the publisher itself keeps twenty
            publisher.publish(make(10.0 + index / 10))
        assert publisher.wait_for_all_acked(Duration(seconds=30))
    status = watcher.wait_status(node.NAME, 'messages never came', level=1)
    assert publisher.topic_name in status[1]
    watcher.wait_status(
        node.NAME,
        values=lambda values: int(values['windows_in']) + int(values['windows_missed']) == 19,
    )


def test_what_a_starved_detector_misses(start, watcher, model_path, front_end):
    node = start(DetectorNode, model=str(model_path))
    publisher = watcher.publisher(Image, 'spectrogram', qos.OFFER_SPECTROGRAM)
    check_counting(watcher, node, publisher, lambda stamp_s: spectrogram(front_end, stamp_s))


def test_what_a_starved_tracker_misses(start, watcher):
    node = start(TrackerNode)
    publisher = watcher.publisher(Detection2DArray, 'detections', qos.OFFER_SPECTROGRAM)
    check_counting(watcher, node, publisher, detections)


def test_what_was_not_sent_is_not_missed(start, watcher, wait):
    start(TrackerNode)
    for round_s in (10.0, 50.0):
        publisher = watcher.publisher(Detection2DArray, 'detections', qos.RESULTS)
        for late_s in (0.0, 0.1, 3.0):
            publisher.publish(detections(round_s + late_s))
        assert publisher.wait_for_all_acked(Duration(seconds=30))
        watcher.wait_status(
            'tracker',
            values=lambda values, n=3 if round_s < 20 else 6: values.get('windows_in') == str(n),
        )
        watcher.node.destroy_publisher(publisher)
        wait(lambda: not watcher.node.count_publishers('/avdet/detections'), 'its end')
    assert watcher.status['/avdet/tracker'][2]['windows_missed'] == '0'
