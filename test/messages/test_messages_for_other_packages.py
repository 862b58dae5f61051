"""Messages of Autoware and Foxglove; their packages are rarely installed, so types are made here.

Fields and constants are those of autoware_perception_msgs 1.3 and foxglove_msgs 3.2; a field that
a type does not have cannot be set.
"""

from __future__ import annotations

from dataclasses import replace
import sys
from types import ModuleType

from helpers.ground_tracks import ground_track
import numpy as np
import pytest

pytest.importorskip('geometry_msgs.msg')

from builtin_interfaces.msg import Time
from geometry_msgs.msg import TwistWithCovariance, Vector3

from avdet_ros.drawing.style import colour
from avdet_ros.messages.autoware import (
    autoware_messages,
    encode_detected,
    encode_tracked,
    uuid_of,
)
from avdet_ros.messages.encode import encode_header
from avdet_ros.messages.encode_ground import pose_of
from avdet_ros.messages.foxglove import encode_annotations, foxglove_messages
from avdet_ros.tracking.track import Track

HEAD = encode_header(7_000_000_123, 'base_link')
COVARIANCE = np.diag([4.0, 9.0, 0.25, 0.16])
COVARIANCE[2, 3] = COVARIANCE[3, 2] = 0.05
TRACK = ground_track(COVARIANCE)


def kind(name, constants=None, **fields):
    """Return a message type with these fields and the functions that make their defaults."""

    def begin(self, **values):
        for field, make in fields.items():
            setattr(self, field, values.pop(field) if field in values else make())
        assert not values, f'{name} has no {values}'

    return type(name, (), {'__slots__': tuple(fields), '__init__': begin, **(constants or {})})


AVAILABILITY = {'UNAVAILABLE': 0, 'SIGN_UNKNOWN': 1, 'AVAILABLE': 2}


def autoware_types():
    from geometry_msgs.msg import PoseWithCovariance

    shared = {
        'pose_with_covariance': PoseWithCovariance,
        'orientation_availability': int,
        'twist_with_covariance': TwistWithCovariance,
    }
    flags = ('has_position_covariance', 'has_twist', 'has_twist_covariance')
    detected = kind(
        'DetectedObjectKinematics', AVAILABILITY, **shared, **dict.fromkeys(flags, bool)
    )
    tracked = kind('TrackedObjectKinematics', AVAILABILITY, **shared, is_stationary=bool)
    shape = kind('Shape', {'BOUNDING_BOX': 0, 'CYLINDER': 1}, type=lambda: 9, dimensions=Vector3)
    both = {'existence_probability': float, 'classification': list, 'shape': shape}
    uuid = kind('UUID', uuid=list)
    return [
        kind('ObjectClassification', {'UNKNOWN': 0, 'CAR': 1}, label=int, probability=float),
        shape,
        kind('DetectedObject', **both, kinematics=detected),
        kind('TrackedObject', **both, kinematics=tracked, object_id=uuid),
        kind('DetectedObjects', header=list, objects=list),
        kind('TrackedObjects', header=list, objects=list),
    ]


def foxglove_types():
    point, paint = (
        kind('Point2', x=float, y=float),
        kind('Color', r=float, g=float, b=float, a=float),
    )
    types = {'UNKNOWN': 0, 'POINTS': 1, 'LINE_LOOP': 2, 'LINE_STRIP': 3}
    return [
        point,
        paint,
        kind('ImageAnnotations', circles=list, points=list, texts=list),
        kind(
            'PointsAnnotation',
            types,
            **dict.fromkeys(('timestamp', 'type', 'points', 'outline_color', 'thickness'), list),
        ),
        kind(
            'TextAnnotation',
            **dict.fromkeys(('timestamp', 'position', 'text', 'font_size'), list),
            **dict.fromkeys(('text_color', 'background_color'), list),
        ),
    ]


@pytest.fixture
def install(monkeypatch):
    """Install a message package made of the given types."""

    def install(package, kinds):
        msg = ModuleType(f'{package}.msg')
        for each in kinds:
            setattr(msg, each.__name__, each)
        root = ModuleType(package)
        root.msg = msg
        monkeypatch.setitem(sys.modules, package, root)
        monkeypatch.setitem(sys.modules, f'{package}.msg', msg)
        return msg

    return install


def test_missing_message_packages_give_none(monkeypatch):
    for package in ('autoware_perception_msgs', 'foxglove_msgs'):
        monkeypatch.setitem(sys.modules, package, None)
    assert autoware_messages() is None
    assert foxglove_messages() is None


def check_object(entry):
    (kind,) = entry.classification
    assert (kind.label, kind.probability, entry.existence_probability) == (1, 0.75, 0.75)
    motion = entry.kinematics
    assert motion.pose_with_covariance == pose_of(TRACK)
    assert motion.orientation_availability == 2
    # The speed of 5 m/s is along the vehicle's x axis; the covariance is turned by the heading.
    speed = motion.twist_with_covariance.twist.linear
    assert (speed.x, speed.y) == pytest.approx((5, 0))
    whole = np.array(motion.twist_with_covariance.covariance).reshape(6, 6)
    along, across = np.array([0.6, 0.8]), np.array([-0.8, 0.6])
    inner = COVARIANCE[2:, 2:]
    expected = [
        [along @ inner @ along, along @ inner @ across],
        [across @ inner @ along, across @ inner @ across],
    ]
    np.testing.assert_allclose(whole[:2, :2], expected)
    assert np.count_nonzero(whole) == 4
    assert entry.shape.type == 0
    size = entry.shape.dimensions
    assert (size.x, size.y, size.z) == (4.4, 1.9, 1.5)


def test_autoware_detected_objects_match_the_tracks(install):
    msg = install('autoware_perception_msgs', autoware_types())
    assert autoware_messages() is msg
    message = encode_detected(HEAD, [TRACK, replace(TRACK, over_ground=False)])
    assert message.header == HEAD
    first, second = message.objects
    check_object(first)
    flags = ('has_position_covariance', 'has_twist', 'has_twist_covariance')
    assert [getattr(first.kinematics, flag) for flag in flags] == [True] * 3
    assert second.kinematics.orientation_availability == 0


def test_autoware_tracked_objects_have_stable_ids(install):
    install('autoware_perception_msgs', autoware_types())
    message = encode_tracked(HEAD, [TRACK, replace(TRACK, track_id=13)])
    assert message.header == HEAD
    check_object(message.objects[0])
    uuids = [bytes(entry.object_id.uuid) for entry in message.objects]
    assert uuids == [bytes(uuid_of(12)), bytes(uuid_of(13))]
    assert len(set(uuids)) == 2
    # The id is the same in every run.
    assert uuids[0].hex() == '51b210cf40515ed832c8856495526b5c'


def test_foxglove_annotations_match_the_tracks(install):
    msg = install('foxglove_msgs', foxglove_types())
    assert foxglove_messages() is msg
    stamp = Time(sec=7, nanosec=5)
    box = np.array([10.0, 20.0, 40.0, 100.0], np.float32)
    tracks = [Track(4, box, 0.754, 1.0, 2.0), Track(5, box, 0.5, 1.0, 2.0, coasting=True)]
    message = encode_annotations(stamp, tracks)
    outline, coasting = message.points
    assert (outline.timestamp, outline.type) == (stamp, 2)
    corners = [(point.x, point.y) for point in outline.points]
    assert corners == [(10, 20), (40, 20), (40, 100), (10, 100)]
    blue, green, red = colour(4)
    paint = outline.outline_color
    assert (paint.r, paint.g, paint.b, paint.a) == (red / 255, green / 255, blue / 255, 1)
    assert (outline.thickness, coasting.thickness) == (3, 1)
    label = message.texts[0]
    assert (label.timestamp, label.text, label.font_size) == (stamp, '#4 0.75', 16)
    assert (label.position.x, label.position.y) == (10, 20)
    assert label.text_color is paint
    assert label.background_color.a == 0.5
    assert [text.text for text in message.texts] == ['#4 0.75', '#5 0.50']
