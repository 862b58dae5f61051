"""Realistic transform trees: only required frames matter, and their errors are reported."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import yaml

from avdet_ros.bags.transforms import put_poses
from avdet_ros.rig import default_rig_path

OPTICAL, SAME = (-0.5, 0.5, -0.5, 0.5), (0, 0, 0, 1)
NAN = float('nan')
GOOD = ('base_link', 'cam', (1.0, 0.2, 1.4), OPTICAL)


def camera(found, rig_path=None, frame='cam'):
    """The camera section of the example rig file with poses of a bag, and the notes."""
    tree = yaml.safe_load(default_rig_path().read_text())
    tree['camera']['frame_id'] = frame
    tree = copy.deepcopy(tree)
    notes = put_poses(tree, 'base_link', 'microphone_array', found, rig_path)
    return tree['camera'], notes


@pytest.mark.parametrize(
    'row',
    [
        ('imu_link', 'imu_mag', (0, 0, 0), (0, 0, 0, 0)),
        ('imu_link', 'imu_mag', (0, 0, 0), (NAN, 0, 0, 1)),
        ('gps', 'antenna', (NAN, 0, 0), SAME),
        ('gps', 'antenna', (0, 0, float('inf')), SAME),
        ('gps', 'antenna', (0, 0, 0), (0, 0, 0, 40)),
        ('map', 'map', (0, 0, 0), SAME),
        ('', '', (0, 0, 0), SAME),
        ('odom', 'base_link', (0, 0, 0), (0, 0, 0, 0)),
        ('cam', 'lens', (0, 0, 0), (NAN, NAN, NAN, NAN)),
    ],
)
def test_broken_unrelated_transforms_are_ignored(transforms, row):
    for rows in ((GOOD, row), (row, GOOD)):
        found, notes = camera(transforms(*rows))
        assert (found['position_m'], notes) == ([1.0, 0.2, 1.4], [])


def test_loop_above_the_vehicle_is_ignored(transforms):
    found, notes = camera(
        transforms(
            GOOD,
            ('odom', 'base_link', (9, 9, 9), SAME),
            ('map', 'odom', (0, 0, 0), SAME),
            ('odom', 'map', (0, 0, 0), SAME),
        )
    )
    assert (found['position_m'], notes) == ([1.0, 0.2, 1.4], [])


@pytest.mark.parametrize(
    ('rows', 'words'),
    [
        (
            [GOOD, ('cam', 'base_link', (0, 0, 0), SAME)],
            r'contains a loop: cam -> base_link -> cam',
        ),
        ([('base_link', 'cam', (0, 0, 0), (0, 0, 0, 0))], 'quaternion of length 0'),
        ([('base_link', 'cam', (0, NAN, 0), OPTICAL)], 'found NaN or infinity'),
        (
            [('base_link', 'mast', (0, 0, 0), (0, 0, 0, 0)), ('mast', 'cam', (0, 0, 0), OPTICAL)],
            'pose of mast in base_link',
        ),
        (
            [('base_footprint', 'cam', (1, 0, 1), OPTICAL)],
            'connects cam with base_footprint and has no base_link',
        ),
        (
            [('mast', 'cam', (1, 0, 1), OPTICAL), ('base_link', 'imu', (0, 0, 0), SAME)],
            'two trees: cam is below mast, base_link below base_link',
        ),
        ([('base_link', 'imu', (0, 0, 0), SAME)], 'has no frame cam, only base_link, imu'),
    ],
)
def test_fallback_to_the_example_pose_is_noted(transforms, rows, words):
    found, notes = camera(transforms(*rows))
    assert found['position_m'] == [0.3, 0.0, 1.55]
    assert len(notes) == 1
    assert 'that of the example rig file, since' in notes[0]
    assert words in notes[0]


def test_given_rig_file_needs_no_transforms(transforms, tmp_path):
    found = transforms(('base_link', 'imu', (0, 0, 0), SAME))
    assert camera(found, tmp_path / 'rig.yaml')[1] == []
    found._broken['cam'] = 'broken'
    assert 'rig.yaml, since' in camera(found, tmp_path / 'rig.yaml')[1][0]


def test_slightly_unnormalised_quaternion_is_accepted(transforms):
    found, notes = camera(transforms(('base_link', 'cam', (1, 0, 1), np.multiply(OPTICAL, 1.02))))
    assert notes == []
    assert found['pitch_deg'] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(('yaw_deg', 'pitch_deg'), [(0, 0), (90, 0), (180, 10), (-30, -20)])
def test_body_frame_is_used_with_x_forward(transforms, yaw_deg, pitch_deg):
    from scipy.spatial.transform import Rotation

    body = Rotation.from_euler('ZYX', [yaw_deg, pitch_deg, 0], degrees=True)
    found, notes = camera(transforms(('base_link', 'cam', (1, 0, 1), body.as_quat())))
    assert found['yaw_deg'] == pytest.approx(yaw_deg, abs=1e-6)
    assert found['pitch_deg'] == pytest.approx(pitch_deg, abs=1e-6)
    assert 'cam is no optical frame' in notes[0]


def test_upside_down_camera_has_a_roll_of_180_degrees(transforms):
    from scipy.spatial.transform import Rotation

    turned = Rotation.from_euler('X', 180, degrees=True) * Rotation.from_quat(OPTICAL)
    found, notes = camera(transforms(('base_link', 'cam', (1, 0, 1), turned.as_quat())))
    assert abs(found['roll_deg']) == pytest.approx(180)
    assert notes == []


@pytest.mark.parametrize('body_frames', [(), ('cam',), ('thermal',), ('cam', 'thermal')])
def test_parallel_cameras_stay_parallel_for_any_type_of_frame(transforms, body_frames):
    rows = [
        ('base_link', name, (1, y, 1), SAME if name in body_frames else OPTICAL)
        for y, name in ((0.1, 'cam'), (-0.1, 'thermal'))
    ]
    found = transforms(*rows)
    camera(found)
    assert np.allclose(found.turn('cam', 'thermal'), np.eye(3))


def test_damaged_message_and_leading_slashes_are_ignored(transforms):
    row = ('/base_link', '/cam', GOOD[2], OPTICAL)
    found, notes = camera(transforms(row, raw=b'\0\1\0\0\xff\xff'), frame='/cam')
    assert (found['position_m'], notes) == ([1.0, 0.2, 1.4], [])
