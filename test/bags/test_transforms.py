"""Transform trees as vehicles have them: what is asked for counts, what is wrong is reported."""

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
    """The camera's part of the example rig file with a bag's poses, and the notes."""
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
def test_what_nobody_needs_may_be_broken(transforms, row):
    for rows in ((GOOD, row), (row, GOOD)):
        found, notes = camera(transforms(*rows))
        assert (found['position_m'], notes) == ([1.0, 0.2, 1.4], [])


def test_a_loop_above_the_vehicle_is_not_in_the_way(transforms):
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
            r'goes in a loop: cam -> base_link -> cam',
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
def test_the_example_files_pose_is_never_taken_in_silence(transforms, rows, words):
    found, notes = camera(transforms(*rows))
    assert found['position_m'] == [0.3, 0.0, 1.55]
    assert len(notes) == 1
    assert 'that of the example rig file, since' in notes[0]
    assert words in notes[0]


def test_a_persons_own_rig_file_needs_no_transforms(transforms, tmp_path):
    found = transforms(('base_link', 'imu', (0, 0, 0), SAME))
    assert camera(found, tmp_path / 'rig.yaml')[1] == []
    found._broken['cam'] = 'broken'
    assert 'rig.yaml, since' in camera(found, tmp_path / 'rig.yaml')[1][0]


def test_a_quaternion_that_is_not_quite_of_length_one_is_a_rotation(transforms):
    found, notes = camera(transforms(('base_link', 'cam', (1, 0, 1), np.multiply(OPTICAL, 1.02))))
    assert notes == []
    assert found['pitch_deg'] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(('yaw_deg', 'pitch_deg'), [(0, 0), (90, 0), (180, 10), (-30, -20)])
def test_a_housings_frame_is_taken_with_x_forward(transforms, yaw_deg, pitch_deg):
    from scipy.spatial.transform import Rotation

    body = Rotation.from_euler('ZYX', [yaw_deg, pitch_deg, 0], degrees=True)
    found, notes = camera(transforms(('base_link', 'cam', (1, 0, 1), body.as_quat())))
    assert found['yaw_deg'] == pytest.approx(yaw_deg, abs=1e-6)
    assert found['pitch_deg'] == pytest.approx(pitch_deg, abs=1e-6)
    assert 'cam is no optical frame' in notes[0]


def test_a_camera_upside_down_is_a_camera_upside_down(transforms):
    from scipy.spatial.transform import Rotation

    turned = Rotation.from_euler('X', 180, degrees=True) * Rotation.from_quat(OPTICAL)
    found, notes = camera(transforms(('base_link', 'cam', (1, 0, 1), turned.as_quat())))
    assert abs(found['roll_deg']) == pytest.approx(180)
    assert notes == []


@pytest.mark.parametrize('housings', [(), ('cam',), ('thermal',), ('cam', 'thermal')])
def test_two_cameras_that_look_the_same_way_do_so_whatever_their_frames_are(transforms, housings):
    rows = [
        ('base_link', name, (1, y, 1), SAME if name in housings else OPTICAL)
        for y, name in ((0.1, 'cam'), (-0.1, 'thermal'))
    ]
    found = transforms(*rows)
    camera(found)
    assert np.allclose(found.turn('cam', 'thermal'), np.eye(3))


def test_a_damaged_message_and_leading_slashes_do_not_matter(transforms):
    row = ('/base_link', '/cam', GOOD[2], OPTICAL)
    found, notes = camera(transforms(row, raw=b'\0\1\0\0\xff\xff'), frame='/cam')
    assert (found['position_m'], notes) == ([1.0, 0.2, 1.4], [])
