"""Messages for Autoware and Foxglove, whose packages need not be installed.

`FIELDS` has the fields of their public definitions (autoware_msgs 1.x, foxglove_msgs 3.x). If a
package is installed, its own classes are used and the table is compared with them. If not,
classes made from the table are used, which reject fields that are not in the definitions.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
import math
import sys
from types import ModuleType

import numpy as np
import pytest

pytest.importorskip('rclpy')

from builtin_interfaces.msg import Time
from geometry_msgs.msg import (
    AccelWithCovariance,
    Polygon,
    PoseWithCovariance,
    TwistWithCovariance,
    Vector3,
)
from std_msgs.msg import Header
from unique_identifier_msgs.msg import UUID

from avdet_ros.messages.autoware import encode_detected, encode_tracked
from avdet_ros.messages.encode import encode_header
from avdet_ros.messages.foxglove import encode_annotations
from avdet_ros.tracking.ground_track import GroundTrack
from avdet_ros.tracking.track import Track

KINEMATICS = {
    'UNAVAILABLE': 0,
    'SIGN_UNKNOWN': 1,
    'AVAILABLE': 2,
    'pose_with_covariance': PoseWithCovariance,
    'twist_with_covariance': TwistWithCovariance,
    'orientation_availability': int,
}
OBJECT = {
    'existence_probability': float,
    'classification': list,
    'shape': 'Shape',
}
FIELDS = {
    'autoware_perception_msgs': {
        'ObjectClassification': {'UNKNOWN': 0, 'CAR': 1, 'label': int, 'probability': float},
        'Shape': {
            'BOUNDING_BOX': 0,
            'CYLINDER': 1,
            'POLYGON': 2,
            'type': int,
            'footprint': Polygon,
            'dimensions': Vector3,
        },
        'DetectedObjectKinematics': {
            **KINEMATICS,
            'has_position_covariance': bool,
            'has_twist': bool,
            'has_twist_covariance': bool,
        },
        'TrackedObjectKinematics': {
            **KINEMATICS,
            'is_stationary': bool,
            'acceleration_with_covariance': AccelWithCovariance,
        },
        'DetectedObject': {**OBJECT, 'kinematics': 'DetectedObjectKinematics'},
        'TrackedObject': {**OBJECT, 'object_id': UUID, 'kinematics': 'TrackedObjectKinematics'},
        'DetectedObjects': {'header': Header, 'objects': list},
        'TrackedObjects': {'header': Header, 'objects': list},
    },
    'foxglove_msgs': {
        'Point2': {'x': float, 'y': float},
        'Color': {'r': float, 'g': float, 'b': float, 'a': float},
        'PointsAnnotation': {
            'UNKNOWN': 0,
            'POINTS': 1,
            'LINE_LOOP': 2,
            'LINE_STRIP': 3,
            'LINE_LIST': 4,
            'timestamp': Time,
            'type': int,
            'points': list,
            'outline_color': 'Color',
            'outline_colors': list,
            'fill_color': 'Color',
            'thickness': float,
        },
        'TextAnnotation': {
            'timestamp': Time,
            'position': 'Point2',
            'text': str,
            'font_size': float,
            'text_color': 'Color',
            'background_color': 'Color',
        },
        'ImageAnnotations': {'circles': list, 'points': list, 'texts': list},
    },
}
"""Constants with their values, fields with their types; strings name messages of the package."""


def made_of(table):
    """Return classes with these fields and no others."""
    classes = {}

    def build(name, fields):
        def start(self, **values):
            for field, kind in fields.items():
                if not isinstance(kind, int) or isinstance(kind, bool):
                    maker = classes[kind] if isinstance(kind, str) else kind
                    setattr(self, field, values.pop(field) if field in values else maker())
            assert not values, f'{name} has no {sorted(values)}'

        constants = {field: kind for field, kind in fields.items() if isinstance(kind, int)}
        slots = tuple(field for field in fields if field not in constants)
        return type(name, (), {'__slots__': slots, '__init__': start, **constants})

    for name, fields in table.items():
        classes[name] = build(name, fields)
    return classes


@pytest.fixture(params=['autoware_perception_msgs', 'foxglove_msgs'])
def package(request):
    return request.param


@pytest.fixture
def installed(monkeypatch):
    """Return the module ``msg`` of a package: the installed one or one made from the table."""

    def provide(name):
        if find_spec(name) is None:
            module, parent = ModuleType(f'{name}.msg'), ModuleType(name)
            vars(module).update(made_of(FIELDS[name]))
            parent.msg = module
            monkeypatch.setitem(sys.modules, name, parent)
            monkeypatch.setitem(sys.modules, f'{name}.msg', module)
        return import_module(f'{name}.msg')

    return provide


def vehicle(speed_mps):
    heading = math.radians(120)
    velocity = speed_mps * np.array([math.cos(heading), math.sin(heading)])
    covariance = np.diag([4.0, 1.0, 0.5, 0.25])
    return GroundTrack(
        7, np.array([12.0, -3.0]), velocity, covariance, np.array([2.0, 1.5]), 0.75, 2.0, 0.0, True
    )


def test_field_table_matches_the_installed_package(package, installed):
    module = installed(package)
    for name, fields in FIELDS[package].items():
        one = getattr(module, name)()
        for field, kind in fields.items():
            assert hasattr(one, field), f'{name}.{field}'
            if isinstance(kind, int):
                assert getattr(type(one), field) == kind
        with pytest.raises((AssertionError, AttributeError)):
            one.no_such_field = 1


@pytest.mark.parametrize('encode', [encode_detected, encode_tracked])
def test_autoware_velocities_are_along_the_object_axes(installed, encode):
    msg = installed('autoware_perception_msgs')
    message = encode(encode_header(3_000_000_000, 'base_link'), [vehicle(10.0), vehicle(0.1)])
    assert (message.header.frame_id, message.header.stamp.sec) == ('base_link', 3)
    moving, standing = message.objects
    kinematics = moving.kinematics
    assert kinematics.orientation_availability == type(kinematics).AVAILABLE == 2
    assert standing.kinematics.orientation_availability == type(kinematics).UNAVAILABLE == 0
    speed = kinematics.twist_with_covariance.twist.linear
    assert (speed.x, speed.y) == pytest.approx((10.0, 0.0), abs=1e-9)
    whole = np.array(kinematics.twist_with_covariance.covariance).reshape(6, 6)
    turn = np.array([[-0.5, 3**0.5 / 2], [-(3**0.5) / 2, -0.5]])
    np.testing.assert_allclose(whole[:2, :2], turn @ np.diag([0.5, 0.25]) @ turn.T, atol=1e-12)
    pose = kinematics.pose_with_covariance
    assert (pose.pose.position.x, pose.pose.position.y) == (12.0, -3.0)
    assert 2 * math.atan2(pose.pose.orientation.z, pose.pose.orientation.w) == pytest.approx(
        math.radians(120)
    )
    assert (moving.classification[0].label, moving.existence_probability) == (
        msg.ObjectClassification.CAR,
        0.75,
    )
    assert moving.shape.type == msg.Shape.BOUNDING_BOX
    assert moving.shape.dimensions.x > moving.shape.dimensions.y > 0
    if encode is encode_tracked:
        again = encode(encode_header(1, 'base_link'), [vehicle(10.0)]).objects[0]
        assert list(again.object_id.uuid) == list(moving.object_id.uuid)
        assert len(set(map(int, moving.object_id.uuid))) > 4
    else:
        assert kinematics.has_position_covariance
        assert kinematics.has_twist
        assert kinematics.has_twist_covariance


def test_foxglove_gets_a_box_and_a_label_per_track(installed):
    msg = installed('foxglove_msgs')
    box = np.array([10.0, 20.0, 110.0, 70.0], np.float32)
    tracks = [Track(3, box, 0.5, 1.0, 2.0), Track(4, box, 0.5, 1.0, 2.0, coasting=True)]
    message = encode_annotations(Time(sec=9), tracks)
    first, second = message.points
    assert first.type == msg.PointsAnnotation.LINE_LOOP == 2
    corners = [(point.x, point.y) for point in first.points]
    assert corners == [(10, 20), (110, 20), (110, 70), (10, 70)]
    assert first.thickness > second.thickness
    assert [label.text for label in message.texts] == ['#3 0.50', '#4 0.50']
    assert (message.texts[0].position.x, message.texts[0].timestamp.sec) == (10, 9)
    paint = first.outline_color
    assert all(0 <= part <= 1 for part in (paint.r, paint.g, paint.b, paint.a))


@pytest.mark.parametrize('more', [{}, {'timestamp': Time}], ids=['older', 'newer'])
def test_foxglove_annotations_get_a_stamp_in_releases_that_have_one(installed, monkeypatch, more):
    fields = FIELDS['foxglove_msgs']['ImageAnnotations']
    monkeypatch.setitem(FIELDS['foxglove_msgs'], 'ImageAnnotations', {**fields, **more})
    newer = hasattr(installed('foxglove_msgs').ImageAnnotations(), 'timestamp')
    assert newer == bool(more) or find_spec('foxglove_msgs')
    message = encode_annotations(Time(sec=9), [])
    assert not newer or message.timestamp.sec == 9


def test_unknown_message_fields_are_rejected():
    classes = made_of(FIELDS['foxglove_msgs'])
    with pytest.raises(AssertionError, match="Color has no \\['alpha'\\]"):
        classes['Color'](alpha=1.0)
    with pytest.raises(AttributeError):
        classes['Point2']().z = 1.0
