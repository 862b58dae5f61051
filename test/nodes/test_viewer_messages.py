"""What the viewer passes to the page for each topic, under which name and time."""

from __future__ import annotations

import numpy as np
import pytest
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image, PointCloud2
from std_msgs.msg import Float64
from vision_msgs.msg import Detection2DArray, Detection3DArray

from avdet_ros.messages.encode import (
    encode_detections,
    encode_header,
    encode_image,
    encode_sound,
    encode_spectrogram,
)
from avdet_ros.nodes import qos
from avdet_ros.nodes.viewer import Viewer

pytestmark = pytest.mark.ros

BOX = np.array([[10.0, 20.0, 40.0, 80.0]])
MS = 1_000_000


class Page:
    """A page that records the calls it receives."""

    def __init__(self):
        self.shown = []

    def __getattr__(self, name):
        return lambda *values: self.shown.append((name, *values))

    def of(self, name):
        return [entry[1:] for entry in self.shown if entry[0] == name]


@pytest.fixture
def viewer(ros):
    """Makes a viewer that does not spin; tests call its callbacks with messages."""
    made = []

    def make(image='image'):
        made.append(Viewer(Page(), 'drive', image))
        subscriptions = {
            s.topic_name: s for s in made[-1].subscriptions if s.topic_name != '/parameter_events'
        }
        return made[-1], made[-1]._page, subscriptions

    yield make
    for each in made:
        each.destroy_node()


def at(milliseconds):
    return encode_header(milliseconds * MS, 'x')


def test_viewer_subscribes_to_exactly_the_published_topics(viewer):
    node, _, subscriptions = viewer('/camera/image_raw/compressed')
    names = ('features_ms', 'inference_ms', 'tracker_ms', 'latency_ms')
    assert {topic: s.msg_type for topic, s in subscriptions.items()} == {
        '/camera/image_raw/compressed': CompressedImage,
        '/drive/audio': Image,
        '/drive/spectrogram': Image,
        **{f'/drive/{name}': Detection2DArray for name in ('detections', 'tracks', 'truth')},
        '/drive/tracks_3d': Detection3DArray,
        '/drive/hidden': PointCloud2,
        **{f'/drive/debug/{name}': Float64 for name in names},
    }
    effort = {topic: s.qos_profile.reliability for topic, s in subscriptions.items()}
    assert effort['/drive/audio'] == effort['/camera/image_raw/compressed']
    assert effort['/drive/audio'] == ReliabilityPolicy.BEST_EFFORT
    assert effort['/drive/tracks'] == effort['/drive/spectrogram'] == ReliabilityPolicy.RELIABLE
    assert subscriptions['/drive/audio'].qos_profile.depth == qos.ASK_SOUND.depth
    assert (node.get_name(), node.shown) == ('viewer', 0)
    _, _, subscriptions = viewer('image')
    assert subscriptions['/drive/image'].msg_type is Image


def test_each_message_is_passed_to_the_page_with_its_stamp(viewer):
    node, page, subscriptions = viewer()
    take = {topic: s.callback for topic, s in subscriptions.items()}
    picture = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    take['/drive/image'](encode_image(at(1000), 'bgr8', picture))
    assert page.shown[0] == ('at', 1000 * MS)
    assert page.of('picture')[0][0].tolist() == picture.tolist()
    features = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    take['/drive/spectrogram'](encode_spectrogram(at(1100), features))
    assert page.of('sound')[0][0].tolist() == features.tolist()
    for index, name in enumerate(('detections', 'tracks', 'truth')):
        scores = np.array([0.25 + index / 4])
        take[f'/drive/{name}'](encode_detections(at(1200 + index), BOX + index, scores, ['7']))
    for index, (name, boxes, scores, ids) in enumerate(page.of('boxes')):
        assert name == ('detections', 'tracks', 'truth')[index]
        assert boxes.tolist() == (BOX + index).tolist()
        assert (scores.tolist(), ids) == ([0.25 + index / 4], ['7'])
    take['/drive/tracks_3d'](Detection3DArray(header=at(1500)))
    assert page.of('ground') == [(1.5, [])]
    stamps = [1000, 1100, 1200, 1201, 1202, 1500]
    assert [stamp for (stamp,) in page.of('at')] == [stamp * MS for stamp in stamps]
    assert node.shown == 6


def test_numbers_get_the_time_of_the_newest_message(viewer):
    node, page, subscriptions = viewer()
    take = {topic: s.callback for topic, s in subscriptions.items()}
    take['/drive/debug/latency_ms'](Float64(data=80.0))
    assert page.shown == []  # no stamped message has arrived yet
    take['/drive/tracks'](encode_detections(at(2000), BOX[:0], np.zeros(0)))
    take['/drive/detections'](encode_detections(at(1900), BOX[:0], np.zeros(0)))
    page.shown.clear()
    take['/drive/debug/latency_ms'](Float64(data=81.0))
    take['/drive/debug/features_ms'](Float64(data=3.0))
    at_newest = ('at', 2000 * MS)
    assert page.shown == [
        at_newest,
        ('number', 'latency', 81.0),
        at_newest,
        ('number', 'features', 3.0),
    ]
    assert node.shown == 2


def test_levels_cover_every_sample_in_tenths_of_a_second(viewer):
    _, page, subscriptions = viewer()
    take = subscriptions['/drive/audio'].callback
    for index in range(9):
        take(encode_sound(at(20 * index), np.full((1000, 8), index, np.int16)))
    (first,) = page.of('levels')[0]
    assert first[:, 0].tolist() == np.repeat([0, 1, 2, 3, 4], 1000).tolist()
    assert len(page.of('levels')) == 1
    take(encode_sound(at(200), np.full((410, 8), 9, np.int16)))
    (second,) = page.of('levels')[1]
    assert second[:, 5].tolist() == [*np.repeat([5, 6, 7, 8], 1000), *[9] * 410]


def test_unreadable_message_is_skipped_and_not_counted(viewer):
    node, page, subscriptions = viewer()
    broken = encode_image(at(5), 'bgr8', np.zeros((2, 4, 3), np.uint8))
    broken.encoding = 'h265'
    subscriptions['/drive/image'].callback(broken)
    assert (node.shown, page.of('picture')) == (0, [])


def test_subscription_adapts_to_a_best_effort_publisher(viewer, watcher, wait):
    node, _, _ = viewer()
    effort = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)
    watcher.publisher(Detection2DArray, '/drive/tracks', effort, matched=0)
    wait(lambda: node.count_publishers('/drive/tracks'), 'the publisher')
    tracks = next(s for s in node._adaptive if s.topic_name == '/drive/tracks')
    assert tracks.qos_profile.reliability == ReliabilityPolicy.RELIABLE
    node._adapt()
    assert tracks.qos_profile.reliability == ReliabilityPolicy.BEST_EFFORT
