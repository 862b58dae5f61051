"""A camera on the ROS graph against the rig file, with messages as drivers send them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from avdet_ros.bags.transforms import StaticTransforms
from avdet_ros.checkup.camera import CameraSeen, judge_camera
from avdet_ros.messages.encode_offline import make_header
from avdet_ros.messages.typestore import typestore

TYPES = typestore().types
SIZE = (1920, 650)


def info(focal=1000.0, size=SIZE, distortion=()):
    region = TYPES['sensor_msgs/msg/RegionOfInterest'](0, 0, 0, 0, False)
    k = np.array([focal, 0, 960, 0, focal, 300, 0, 0, 1], float)
    p = np.insert(k.reshape(3, 3), 3, 0, axis=1).ravel()
    return TYPES['sensor_msgs/msg/CameraInfo'](
        make_header(1, 'camera_optical_frame'),
        size[1],
        size[0],
        'plumb_bob',
        np.array(distortion, float),
        k,
        np.eye(3).ravel(),
        p,
        0,
        0,
        region,
    )


def transforms(rig, yaw_deg=0.0, moved_m=0.0):
    """The rig's camera as a transform on /tf_static, turned and moved."""
    turn = Rotation.from_euler('z', yaw_deg, degrees=True) * Rotation.from_matrix(
        rig.camera.rotation.T
    )
    place = rig.camera.position_m + [moved_m, 0, 0]
    entry = TYPES['geometry_msgs/msg/TransformStamped'](
        make_header(1, rig.frame_id),
        'camera_optical_frame',
        TYPES['geometry_msgs/msg/Transform'](
            TYPES['geometry_msgs/msg/Vector3'](*place),
            TYPES['geometry_msgs/msg/Quaternion'](*turn.as_quat()),
        ),
    )
    found = StaticTransforms()
    found.add(TYPES['tf2_msgs/msg/TFMessage']([entry]))
    return found


@pytest.fixture
def seen(rig):
    return CameraSeen(
        '/camera/image_raw', SIZE, 'camera_optical_frame', (0.03, 0.04), info(), transforms(rig)
    )


def findings_by_part(rig, seen):
    return {finding.part: finding for finding in judge_camera(rig, seen)}


def test_camera_matching_the_rig_is_ok(rig, seen):
    found = findings_by_part(rig, seen)
    assert [finding.state for finding in found.values()] == ['ok', 'ok', 'ok'], found
    assert found['stamps'].found == 'pictures arrive 35 ms after their stamps'


@pytest.mark.parametrize(
    ('values', 'part', 'words'),
    [
        ({'info': info(focal=2000.0)}, 'camera', 'focal length 2000, 2000 px, the rig has 1000'),
        (
            {'size_px': (1280, 720), 'info': info(size=(1280, 720))},
            'camera',
            '1280 x 720 pixels, the rig has 1920 x 650',
        ),
        ({'info': info(distortion=(-0.3, 0.1, 0, 0, 0))}, 'camera', 'with distortion'),
        ({'ages_s': (0.03, float('nan'))}, 'stamps', 'without a stamp'),
        ({'ages_s': (-3.0, -3.1)}, 'stamps', 'arrive -3050 ms after'),
        ({'size_px': (1280, 720), 'info': None}, 'camera', 'nothing calibrated'),
    ],
)
def test_differences_are_reported_with_a_next_step(rig, seen, values, part, words):
    finding = findings_by_part(rig, replace(seen, **values))[part]
    assert finding.state == 'to do'
    assert words in finding.found
    assert finding.next_step


@pytest.mark.parametrize(
    ('yaw_deg', 'moved_m', 'words'), [(3.0, 0.0, '3.0 degrees'), (0.0, 0.4, '0.40 m')]
)
def test_displaced_camera_is_reported(rig, seen, yaw_deg, moved_m, words):
    finding = findings_by_part(rig, replace(seen, transforms=transforms(rig, yaw_deg, moved_m)))[
        'TF'
    ]
    assert finding.state == 'to do'
    assert words in finding.found


def test_missing_transforms_are_reported_as_not_checked(rig, seen):
    finding = findings_by_part(rig, replace(seen, transforms=StaticTransforms()))['TF']
    assert finding.state == 'not checked'
    assert 'no message on /tf_static' in finding.found


def test_missing_picture_reports_the_available_topics(rig):
    found = findings_by_part(rig, CameraSeen('/image', others=['/camera/image_raw']))
    assert found['camera'].state == 'to do'
    assert '/camera/image_raw' in found['camera'].next_step
    unnamed = [
        findings_by_part(rig, CameraSeen('', others=others))['camera']
        for others in ([], ['/a', '/b'])
    ]
    assert [finding.state for finding in unnamed] == ['not checked'] * 2
    assert [finding.found for finding in unnamed] == [
        'no image topic is there',
        'none of several image topics was named',
    ]
