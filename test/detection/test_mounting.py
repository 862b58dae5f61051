"""Tolerances of the camera and array mounting, tested on both sides of each limit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from avdet_ros.detection.mounting import mounting_of
from avdet_ros.detection.taught_ranges import TaughtRanges, outside, values_of


@pytest.fixture
def moved(rig):
    """Make rigs that differ a little from the shipped one."""

    def moved(array_yaw_deg=0.0, array_m=(0, 0, 0), turn_deg=(0, 0, 0), **camera):
        turn = Rotation.from_euler('ZYX', turn_deg, degrees=True).as_matrix()
        changes = {
            'position_m': rig.camera.position_m + camera.pop('camera_m', (0, 0, 0)),
            'rotation': rig.camera.rotation @ turn.T,
        }
        for key, part in camera.items():
            changes[key] = getattr(rig.camera, key) + part
        return replace(
            rig,
            camera=replace(rig.camera, **changes),
            array_position_m=rig.array_position_m + array_m,
            array_yaw_deg=array_yaw_deg,
        )

    return moved


@pytest.mark.parametrize(
    ('key', 'within', 'beyond'),
    [
        ('focal_px', {'fx': 19, 'fy': -19}, {'fy': 21}),
        ('focal_px', {'fx': -19.0}, {'fx': -21.0}),
        ('principal_px', {'cx': 19.0, 'cy': -19.0}, {'cx': -19.4}),
        ('principal_px', {'cy': 19.0}, {'cy': 19.4}),
        ('camera_position_m', {'camera_m': (0.05, -0.05, 0.05)}, {'camera_m': (0.07, -0.08, 0)}),
        ('array_position_m', {'array_m': (0, -0.099, 0)}, {'array_m': (0, 0, -0.101)}),
        ('camera_rotation', {'turn_deg': (0.95, 0, 0)}, {'turn_deg': (0, -1.05, 0)}),
        ('camera_rotation', {'turn_deg': (0, 0, -0.95)}, {'turn_deg': (0.8, 0, 0.8)}),
        ('array_yaw_deg', {'array_yaw_deg': -0.9}, {'array_yaw_deg': 1.1}),
        ('array_yaw_deg', {'array_yaw_deg': 359.5}, {'array_yaw_deg': 358.5}),
        ('array_yaw_deg', {'array_yaw_deg': -359.5}, {'array_yaw_deg': 180.0}),
    ],
)
def test_each_mounting_value_has_its_tolerance(rig, moved, key, within, beyond):
    taught = mounting_of(rig)
    assert taught.differences(moved(**within)) == []
    assert [found[0] for found in taught.differences(moved(**beyond))] == [key]


def test_differences_report_taught_and_actual_mounting(rig, moved):
    other = moved(array_yaw_deg=12.5, turn_deg=(-5, 2, 0), camera_m=(0.3, 0.4, 0), fx=100.0)
    told = {key: (taught, here) for key, taught, here in mounting_of(rig).differences(other)}
    assert told == {
        'focal_px': ('(1000, 1000)', '(1100, 1000)'),
        'camera_position_m': ('(0.3, 0, 1.55) m', '(0.6, 0.4, 1.55) m, 0.50 m away,'),
        'camera_rotation': (
            'yaw, pitch, roll (0, 0, 0) degrees',
            'yaw, pitch, roll (-5, 2, 0) degrees, 5.4 away,',
        ),
        'array_yaw_deg': ('0', '12.5'),
    }


def test_mounting_numbers_match_the_rig(rig):
    numbers = mounting_of(replace(rig, array_yaw_deg=3.5)).numbers()
    assert numbers['focal_px'].tolist() == [1000, 1000]
    assert numbers['principal_px'].tolist() == [960, 300]
    assert numbers['array_position_m'].tolist() == rig.array_position_m.tolist()
    assert numbers['camera_position_m'].tolist() == rig.camera.position_m.tolist()
    assert numbers['camera_rotation'].shape == (3, 3)
    assert numbers['array_yaw_deg'] == 3.5


def test_values_of_a_rig_match_hand_calculation(rig):
    places = rig.microphones_m.copy()
    places[2] += [0.0, 0.5, 9.0]  # seen from above, heights do not count
    camera = replace(rig.camera, cx=660.0, fx=900.0)
    values = values_of(replace(rig, microphones_m=places, camera=camera))
    assert values['aperture_m'] == pytest.approx(0.25 + 0.75)
    assert values['array_height_m'] == 1.7
    assert values['live_microphones'] == 8
    # The wider side of the image is to the right of the principal point.
    assert values['field_of_view_deg'] == pytest.approx(np.degrees(np.arctan(1260 / 900)))
    assert values_of(rig)['spacing_m'] == pytest.approx(2 * 0.25 * np.sin(np.pi / 8), rel=1e-4)
    two = replace(rig, alive=np.isin(np.arange(8), [0, 4]))
    assert values_of(two)['aperture_m'] == pytest.approx(0.5, rel=1e-4)
    assert values_of(two)['live_microphones'] == 2


def test_field_of_view_is_relative_to_the_camera_heading(rig):
    wide = values_of(rig)['field_of_view_deg']
    turn = Rotation.from_euler('z', 170, degrees=True).as_matrix()
    back = replace(rig, camera=replace(rig.camera, rotation=rig.camera.rotation @ turn.T))
    assert values_of(back)['field_of_view_deg'] == pytest.approx(wide)
    assert wide == pytest.approx(np.degrees(np.arctan(0.96)))


@pytest.mark.parametrize(
    ('bounds', 'told'),
    [
        ((1.6, 1.8), False),
        ((1.715, 2.0), False),  # by less than a hundredth
        ((1.73, 2.0), True),
        ((1.0, 1.69), False),
        ((1.0, 1.68), True),
    ],
)
def test_one_percent_beyond_a_taught_range_counts_as_inside(rig, bounds, told):
    ranges = TaughtRanges((0.1, 1), (0.01, 1), bounds, (10, 60), (8, 8))
    found = outside(ranges, rig)
    assert len(found) == told
    if told:
        low, high = bounds
        assert found == [
            f'array_height_m: expected {low:g} to {high:g} as the model was taught, found 1.7'
        ]


def test_microphones_on_a_line_are_reported_in_any_direction(rig):
    ranges = TaughtRanges((0.1, 9), (0.001, 1), (1, 2), (10, 60), (2, 8))
    along = np.linspace(-1, 1, 8)[:, None] * [0.6, 0.8, 0]
    across = np.array([1, -1, 1, -1, -1, 1, -1, 1])[:, None] * [-0.8, 0.6, 0]
    for width, told in ((0.05, 1), (0.15, 0)):
        places = along + width * across + rig.array_position_m + [3, -7, 0]
        sentences = outside(ranges, replace(rig, microphones_m=places))
        assert len(sentences) == told
        assert all(
            each.endswith('sound from one side of it cannot be distinguished from the other side')
            for each in sentences
        )
