from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from avdet_ros.detection.angles import (
    boxes_from_degrees,
    degrees_from_boxes,
    eye_position_m,
    from_pixels,
    to_pixels,
)
from avdet_ros.rig import load_rig

OPTICAL = np.array([[0.0, -1.0, 0.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0]])


def rig_with(yaw=0.0, pitch=0.0, roll=0.0, camera_m=(0.3, 0.0, 1.55), array_m=(0.0, 0.0, 1.7)):
    rig = load_rig()
    body = Rotation.from_euler('ZYX', [yaw, pitch, roll], degrees=True).as_matrix()
    camera = replace(rig.camera, rotation=OPTICAL @ body.T, position_m=np.array(camera_m))
    return replace(rig, camera=camera, array_position_m=np.array(array_m))


@pytest.mark.parametrize(('eye_height_m', 'camera_up_m'), [(None, 1.7), (1.5, 1.5)])
def test_box_straight_ahead_projects_to_the_principal_point(eye_height_m, camera_up_m):
    rig = rig_with(camera_m=(0.0, 0.0, camera_up_m))
    box = np.array([[-0.1, -0.05, 0.1, 0.05]])
    box = to_pixels(box, np.array([20.0]), rig, eye_height_m)
    np.testing.assert_allclose(box, [[860, 250, 1060, 350]], atol=1e-3)


def test_angles_to_the_left_and_up_project_left_and_up():
    rig = rig_with(camera_m=(0.0, 0.0, 1.7))
    boxes = boxes_from_degrees([20.0, -20.0], [5.0, -5.0], [4.0, 4.0], [3.0, 3.0])
    pixels = to_pixels(boxes, np.array([15.0, 15.0]), rig)
    middle = (pixels[:, :2] + pixels[:, 2:]) / 2
    assert middle[0, 0] == pytest.approx(960 - 1000 * np.tan(np.radians(20)), abs=1)
    assert middle[1, 0] == pytest.approx(960 + 1000 * np.tan(np.radians(20)), abs=1)
    assert middle[0, 1] < 300 < middle[1, 1]


@pytest.mark.parametrize('eye_height_m', [None, 0.4, 1.5, 2.3])
@pytest.mark.parametrize('turn', [(0, 0), (35, 0), (-20, 8), (170, -6)])
def test_angles_of_a_point_project_to_its_camera_pixel(turn, eye_height_m):
    """Angles seen from the eye and direct projection by the camera give the same pixel."""
    rig = rig_with(*turn, camera_m=(0.8, -0.2, 1.2), array_m=(-0.6, 0.1, 1.9))
    heading = np.radians(turn[0])
    point = rig.array_position_m + [
        9 * np.cos(heading + 0.2),
        9 * np.sin(heading + 0.2),
        -1.1,
    ]
    eye_m = eye_position_m(rig, eye_height_m)
    assert list(eye_m[:2]) == [-0.6, 0.1]
    away = point - eye_m
    azimuth = np.degrees(np.arctan2(away[1], away[0]) - heading)
    elevation = np.degrees(np.arctan2(away[2], np.hypot(away[0], away[1])))
    box = boxes_from_degrees([azimuth], [elevation], [1e-3], [1e-3])
    range_m = np.linalg.norm(point - rig.array_position_m)
    found = to_pixels(box, np.array([range_m]), rig, eye_height_m)[0]
    seen, depth = rig.camera.project(point)
    assert depth > 0
    np.testing.assert_allclose((found[:2] + found[2:]) / 2, seen, atol=0.05)


def test_focal_length_scales_boxes_and_roll_widens_them():
    boxes, far = np.array([[0.1, -0.05, 0.3, 0.1]]), np.array([1e4])
    rig = rig_with()
    plain = to_pixels(boxes, far, rig)
    longer = replace(rig, camera=replace(rig.camera, fx=2000.0, fy=1500.0))
    centre, scale = np.array([960, 300, 960, 300]), np.array([2, 1.5, 2, 1.5])
    np.testing.assert_allclose(
        to_pixels(boxes, far, longer), (plain - centre) * scale + centre, atol=0.05
    )
    rolled = to_pixels(boxes, far, rig_with(roll=10.0))
    assert np.all(rolled[:, 2:] - rolled[:, :2] > plain[:, 2:] - plain[:, :2])


def test_boxes_behind_the_camera_become_zero():
    rig = rig_with(camera_m=(3.0, 0.0, 1.5))
    assert np.all(to_pixels(np.array([[-0.1, -0.1, 0.1, 0.1]]), np.array([2.0]), rig) == 0)
    assert to_pixels(np.zeros((0, 4)), np.zeros(0), rig).shape == (0, 4)


@pytest.mark.parametrize('eye_height_m', [None, 0.5, 1.5])
def test_angles_and_pixels_convert_back(eye_height_m):
    rng = np.random.default_rng(0)
    rig = rig_with(25, 7, camera_m=(0.9, 0.1, 1.3), array_m=(0, 0, 2.0))
    azimuth, elevation = rng.uniform(-35, 35, 50), rng.uniform(-8, 3, 50)
    width, height = rng.uniform(1, 12, 50), rng.uniform(1, 8, 50)
    boxes = boxes_from_degrees(azimuth, elevation, width, height)
    angles = degrees_from_boxes(boxes)
    given = np.stack([azimuth, elevation, width, height], -1)
    np.testing.assert_allclose(angles, given, atol=1e-9)
    range_m = rng.uniform(8, 60, 50)
    pixels = to_pixels(boxes, range_m, rig, eye_height_m)
    again = from_pixels(pixels, range_m, rig, eye_height_m)
    # With pitch, a level rectangle is not a rectangle in the image, so its bounds are larger.
    assert np.abs(again - boxes).max() < 0.03
    level = rig_with(25, 0, camera_m=(0.9, 0.1, 1.3), array_m=(0, 0, 2.0))
    pixels = to_pixels(boxes, range_m, level, eye_height_m)
    again = from_pixels(pixels, range_m, level, eye_height_m)
    assert np.abs(again - boxes).max() < 0.01


def test_array_height_does_not_change_box_angles():
    """A box on the road has the same angles for arrays on a bumper and on a roof rack."""
    box_px, middle_m = np.array([[900.0, 250, 1000, 320]]), np.array([20.0, 0.0, 0.8])
    boxes = []
    for up_m in (0.4, 2.3):
        rig = rig_with(array_m=(0.0, 0.0, up_m))
        range_m = np.array([np.linalg.norm(middle_m - rig.array_position_m)])
        boxes.append(from_pixels(box_px, range_m, rig))
    np.testing.assert_allclose(boxes[0], boxes[1], atol=3e-4)


def test_single_precision_ranges_are_processed_in_double_precision():
    rig = rig_with(25, 7, camera_m=(0.9, 0.1, 1.3))
    boxes = np.array([[300.0, 200, 420, 260], [1500, 280, 1700, 350]])
    ranges = np.array([17.3, 8.7], np.float32)
    exact = from_pixels(boxes, ranges.astype(np.float64), rig)
    assert np.abs(from_pixels(boxes, ranges, rig) - exact).max() < 1e-12
    assert np.array_equal(
        to_pixels(boxes / 1e3, ranges, rig), to_pixels(boxes / 1e3, ranges.astype(float), rig)
    )
