"""GroundOutput: the topics in metres that node tracker publishes, and their diagnostics."""

from __future__ import annotations

from types import SimpleNamespace

from geometry_msgs.msg import PoseWithCovarianceStamped
from helpers.ground_tracks import ground_track
import numpy as np
import pytest
from sensor_msgs.msg import PointCloud2
from vision_msgs.msg import Detection3DArray

from avdet_ros.messages.encode import encode_header
from avdet_ros.messages.encode_ground import POINT
from avdet_ros.messages.hidden import HIDDEN_POINT
from avdet_ros.nodes import ground_output as module
from avdet_ros.nodes import qos
from avdet_ros.nodes.diagnostics import Report
from avdet_ros.nodes.ground_output import GroundOutput, is_sound
from avdet_ros.tracking.ego_motion import PlanarPose

pytestmark = pytest.mark.ros

HEAD = encode_header(7_500_000_000, 'base_link')
SPREAD = np.diag([4.0, 1.0, 1.0, 1.0])


class Topics:
    """A fake node that stores messages by topic; `listened` are the topics with subscribers."""

    def __init__(self):
        self.kinds, self.sent, self.listened, self.refused = {}, {}, set(), []

    def create_publisher(self, kind, topic, profile, **options):
        self.kinds[topic] = (kind, profile, options)
        self.sent[topic] = []
        return SimpleNamespace(
            publish=self.sent[topic].append,
            get_subscription_count=lambda: int(topic in self.listened),
        )

    def refuse(self, key, sentence):
        self.refused.append((key, sentence))

    def counts(self):
        return {topic: len(sent) for topic, sent in self.sent.items() if sent}


@pytest.fixture
def node():
    return Topics()


def vehicle(**changes):
    track = ground_track(SPREAD)
    for name, value in changes.items():
        object.__setattr__(track, name, value)
    return track


def test_tracks_3d_is_always_published_and_other_topics_for_subscribers(node):
    output = GroundOutput(node)
    assert {topic: kind for topic, (kind, _, _) in node.kinds.items()} == {
        'tracks_3d': Detection3DArray,
        'tracks_points': PointCloud2,
        'nearest': PoseWithCovarianceStamped,
        'hidden': PointCloud2,
    }
    assert all(profile is qos.RESULTS for _, profile, _ in node.kinds.values())
    assert 'qos_overriding_options' in node.kinds['tracks_3d'][2]
    near, far = vehicle(track_id=3, position_m=np.array([9.0, 2.0])), vehicle()
    output.publish(HEAD, [far, near])
    assert node.counts() == {'tracks_3d': 1}
    node.listened = {'tracks_points', 'nearest'}
    output.publish(HEAD, [far, near])
    assert node.counts() == {'tracks_3d': 2, 'tracks_points': 1, 'nearest': 1}
    for sent in node.sent.values():
        assert all(message.header == HEAD for message in sent)
    assert [entry.id for entry in node.sent['tracks_3d'][1].detections] == ['12', '3']
    points = np.frombuffer(bytes(node.sent['tracks_points'][0].data), POINT)
    assert points['x'].tolist() == [20, 9]
    assert node.sent['nearest'][0].pose.pose.position.x == pytest.approx(9)
    output.publish(HEAD, [])
    assert node.counts() == {'tracks_3d': 3, 'tracks_points': 2, 'nearest': 1}


def bad(**changes):
    return lambda: vehicle(**changes)


@pytest.mark.parametrize(
    'make',
    [
        bad(position_m=np.array([np.nan, 0])),
        bad(velocity_mps=np.array([0, np.inf])),
        bad(covariance=np.diag([4.0, 1, 1, np.nan])),
        bad(covariance=np.diag([4.0, 1, 0, 1])),
        bad(covariance=np.diag([4.0, -1, 1, 1])),
        bad(size_m=np.array([np.inf, 1])),
        bad(ego_mps=np.array([0, np.nan])),
        bad(score=np.nan),
    ],
)
def test_invalid_tracks_are_skipped_reported_and_counted(node, make):
    output = GroundOutput(node)
    assert is_sound(vehicle())
    assert not is_sound(make())
    node.listened = {'tracks_points'}
    output.publish(HEAD, [vehicle()])
    assert node.refused == []
    output.publish(HEAD, [make(), vehicle(), make()])
    output.publish(HEAD, [make()])
    key, sentence = node.refused[0]
    assert (key, len(node.refused)) == ('tracks_3d', 2)
    assert sentence == 'tracks_3d: expected finite numbers, found a track without: left out'
    assert [len(message.detections) for message in node.sent['tracks_3d']] == [1, 1, 0]
    assert [message.width for message in node.sent['tracks_points']] == [1, 1, 0]
    report = Report()
    output.diagnose(report)
    assert report.values == {
        'autoware_perception_msgs': 'not installed: its topics are left out',
        'foxglove_msgs': 'not installed: its topics are left out',
        'tracks_3d_left_out': '3',
    }


def test_hidden_vehicles_are_computed_only_for_subscribers(node, rig):
    output, asked = GroundOutput(node), []

    def no_map(stamp_s):
        asked.append(stamp_s)
        return None, PlanarPose(0.0, 0.0, 0.0)

    cells = SimpleNamespace(at=no_map)
    behind, ahead = (vehicle(position_m=np.array([x, 0.0]), track_id=int(5 + x)) for x in (-4, 20))
    broken = vehicle(score=np.nan)
    output.publish_hidden(HEAD, [behind, ahead, broken], rig.camera, cells)
    assert (node.counts(), asked) == ({}, [])
    node.listened = {'hidden'}
    output.publish_hidden(HEAD, [behind, ahead, broken], rig.camera, cells)
    (message,) = node.sent['hidden']
    assert asked == [7.5]
    assert message.header == HEAD
    (point,) = np.frombuffer(bytes(message.data), HIDDEN_POINT)
    assert (point['id'], point['x']) == (1, -4)


def test_messages_of_other_packages_are_published_if_installed(node, monkeypatch):
    names = SimpleNamespace(DetectedObjects='D', TrackedObjects='T', ImageAnnotations='A')
    monkeypatch.setattr(module, 'autoware_messages', lambda: names)
    monkeypatch.setattr(module, 'foxglove_messages', lambda: names)
    monkeypatch.setattr(module, 'encode_detected', lambda head, found: ('D', head, found))
    monkeypatch.setattr(module, 'encode_tracked', lambda head, found: ('T', head, found))
    monkeypatch.setattr(module, 'encode_annotations', lambda stamp, found: (stamp, found))
    output, good = GroundOutput(node), vehicle()
    kinds = {'autoware/detected_objects': 'D', 'autoware/tracked_objects': 'T', 'annotations': 'A'}
    for topic, kind in kinds.items():
        assert node.kinds[topic] == (kind, qos.RESULTS, {})
    output.publish(HEAD, [good])
    output.annotate(HEAD, ['track'])
    assert node.counts() == {'tracks_3d': 1}
    node.listened = {'autoware/tracked_objects'}
    output.publish(HEAD, [vehicle(score=np.nan), good])
    output.annotate(HEAD, ['track'])
    assert node.counts() == {'tracks_3d': 2, 'autoware/tracked_objects': 1}
    assert node.sent['autoware/tracked_objects'] == [('T', HEAD, [good])]
    node.listened = {'autoware/detected_objects', 'annotations'}
    output.publish(HEAD, [good])
    output.annotate(HEAD, ['track'])
    assert node.sent['autoware/detected_objects'] == [('D', HEAD, [good])]
    assert node.sent['annotations'] == [(HEAD.stamp, ['track'])]
    report = Report()
    output.diagnose(report)
    assert report.values == {
        'autoware_perception_msgs': 'installed',
        'foxglove_msgs': 'installed',
        'tracks_3d_left_out': '1',
    }


def test_annotations_are_skipped_without_their_package(node):
    output = GroundOutput(node)
    node.listened = {'annotations'}
    output.annotate(HEAD, ['track'])
    assert node.counts() == {}
