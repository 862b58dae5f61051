"""Messages that are lost between two nodes are counted, and only those."""

from __future__ import annotations

from contextlib import contextmanager
import threading

import numpy as np
import pytest
from rclpy.duration import Duration
from sensor_msgs.msg import Image
from vision_msgs.msg import Detection2DArray

from avdet_ros.messages.encode import (
    encode_detections,
    encode_header,
    encode_sound,
    encode_spectrogram,
)
from avdet_ros.nodes import qos
from avdet_ros.nodes.detector import DetectorNode
from avdet_ros.nodes.message_loss import MessageLossCounter
from avdet_ros.nodes.overlay import OverlayNode
from avdet_ros.nodes.recorder import RecorderNode
from avdet_ros.nodes.tracker import TrackerNode

pytestmark = pytest.mark.ros


@contextmanager
def busy_executor(node):
    """Keep the executor of the node busy inside this context."""
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


def sound(stamp_s):
    head = encode_header(round(stamp_s * 1e9), 'microphone_array')
    return encode_sound(head, np.zeros((64, 8), np.int16))


def check_counting(
    watcher, node, publisher, make, came='windows_in', missed='windows_missed', count=18
):
    """Block the node until its queue overflows, and check that every message is counted."""

    def arrived(values):
        return int(values.get(came, 0)) if isinstance(came, str) else came()

    publisher.publish(make(10.0))
    watcher.wait_status(node.NAME, values=lambda values: arrived(values) == 1)
    with busy_executor(node):
        for index in range(1, count + 1):  # the queue of the publisher holds twenty
            publisher.publish(make(10.0 + index / 10))
        assert publisher.wait_for_all_acked(Duration(seconds=30))
    status = watcher.wait_status(node.NAME, 'messages were not received', level=1)
    assert publisher.topic_name in status[1]
    watcher.wait_status(
        node.NAME,
        values=lambda values: arrived(values) + int(values[missed]) == count + 1,
    )


def test_missed_windows_of_a_blocked_detector_are_counted(start, watcher, model_path, front_end):
    node = start(DetectorNode, model=str(model_path))
    publisher = watcher.publisher(Image, 'spectrogram', qos.OFFER_SPECTROGRAM)
    check_counting(watcher, node, publisher, lambda stamp_s: spectrogram(front_end, stamp_s))


def test_missed_detections_of_a_blocked_tracker_are_counted(start, watcher):
    node = start(TrackerNode)
    publisher = watcher.publisher(Detection2DArray, 'detections', qos.OFFER_SPECTROGRAM)
    check_counting(watcher, node, publisher, detections)


def test_missed_messages_of_a_blocked_recorder_are_counted(start, watcher, tmp_path):
    node = start(RecorderNode, path=str(tmp_path / 'bag'), topics=['audio', 'detections'])
    publisher = watcher.publisher(Image, 'audio', qos.OFFER_STREAM)
    check_counting(watcher, node, publisher, sound, 'audio', 'messages_missed', 80)


def test_missed_truth_of_a_blocked_overlay_is_counted(start, watcher):
    node = start(OverlayNode)
    publisher = watcher.publisher(Detection2DArray, 'truth', qos.RESULTS)
    came = lambda: len(node._truth)  # noqa: E731
    check_counting(watcher, node, publisher, detections, came, 'messages_missed')


def test_gaps_in_time_and_a_new_publisher_count_no_loss(start, watcher, wait):
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


class Publishers:
    """A fake subscription with a topic and a publisher count."""

    topic_name = '/avdet/tracks'
    count = 1

    def get_publisher_count(self):
        return self.count


@pytest.mark.parametrize(
    ('numbers', 'missed'),
    [
        ([1, 2, 3], []),
        ([5, 6], []),  # a late subscription
        ([1, 3], [1]),
        ([1, 4, 5, 9], [2, 3]),
        ([7, 8, 1, 2], []),  # another publisher, which starts with 1
        ([7, 8, 1, 3], [1]),
        ([3, 3], []),  # a latched message arrives again
        ([None, None], []),  # a middleware without sequence numbers
        ([4, None, 9], []),
    ],
)
def test_gaps_in_sequence_numbers_count_as_missed_messages(numbers, missed):
    reported = []
    counter = MessageLossCounter(lambda key, sentence: reported.append((key, sentence)))
    for number in numbers:
        counter.add(Publishers(), {'publication_sequence_number': number})
    assert counter.count == sum(missed)
    sentences = [
        f'/avdet/tracks: {lost} messages were not received: they were lost on the way, '
        'or this process had no time to take them'
        for lost in missed
    ]
    assert reported == [('missed on /avdet/tracks', sentence) for sentence in sentences]


def test_sequence_numbers_of_other_publishers_or_subscriptions_are_ignored():
    counter, publishers = MessageLossCounter(lambda *_: None), Publishers()

    def add(number):
        counter.add(publishers, {'publication_sequence_number': number})
        return counter.count

    assert add(1) == 0
    publishers.count = 2
    assert [add(40), add(2)] == [0, 0]
    publishers.count = 1
    assert [add(43), add(45)] == [0, 1]
    counter.begin()
    assert [add(90), add(92)] == [1, 2]
