"""Live pictures against the rig: lens distortion is removed, a wrong camera is reported."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from std_msgs.msg import Header

from avdet_ros.nodes.camera import camera_info
from avdet_ros.nodes.picture_camera import PictureCamera

LENS = [-0.3, 0.08, 0.001, -0.001, 0.0]


@pytest.fixture
def info(rig):
    """The rig's camera as a driver would describe it."""
    return camera_info(Header(), rig.camera)


@pytest.fixture
def watch(rig):
    return PictureCamera(rig.camera, '/cam/image_raw', '/cam/camera_info')


def dots(points, size):
    picture = np.zeros((size[1], size[0], 3), np.uint8)
    for x, y in points:
        cv2.circle(picture, (round(x), round(y)), 6, (255, 255, 255), -1)
    return picture


def test_rectified_points_match_the_pinhole_model(rig, watch, info):
    camera = rig.camera
    size = (camera.width_px, camera.height_px)
    k = np.array(info.k).reshape(3, 3)
    wanted = np.array([[300.0, 120.0], [960.0, 300.0], [1500.0, 520.0]])
    rays = np.column_stack([(wanted - [camera.cx, camera.cy]) / [camera.fx, camera.fy], [1] * 3])
    bent, _ = cv2.projectPoints(rays, np.zeros(3), np.zeros(3), k, np.array(LENS))
    assert np.abs(bent[:, 0] - wanted).max() > 20
    picture = dots(bent[:, 0], size)
    assert watch.rectified(picture) is picture  # no camera_info has come yet
    info.d = LENS
    watch.take(info)
    straight = watch.rectified(picture)
    for x, y in wanted.astype(int):
        ys, xs = np.nonzero(straight[y - 20 : y + 21, x - 20 : x + 21, 0] > 128)
        assert abs(xs.mean() - 20) < 1.5
        assert abs(ys.mean() - 20) < 1.5
    assert (watch.lens, watch.problem) == ('rectified here', '')


def test_rectified_or_uncalibrated_pictures_are_unchanged(rig, info, watch):
    picture = np.zeros((rig.camera.height_px, rig.camera.width_px, 3), np.uint8)
    info.d = LENS
    rectified = PictureCamera(rig.camera, '/cam/image_rect', '/cam/camera_info')
    rectified.take(info)
    assert rectified.rectified(picture) is picture
    assert (rectified.lens, rectified.problem) == ('already rectified', '')
    info.k, info.p = [0.0] * 9, [0.0] * 12
    watch.take(info)
    assert watch.rectified(picture) is picture
    assert watch.lens == 'camera_info without calibration: taken as rectified'
    assert watch.problem == ''


def test_camera_unlike_the_rig_is_reported_but_a_scaled_picture_is_not(rig, info, watch):
    half = np.zeros((rig.camera.height_px // 2, rig.camera.width_px // 2, 3), np.uint8)
    watch.take(info)
    watch.rectified(half)
    assert watch.problem == ''
    other = camera_info(Header(), rig.camera)
    other.k[0] = other.k[4] = 1400.0
    watch.take(other)
    watch.rectified(half)
    assert 'expected focal length (500, 500) px as the rig says, found (700, 700)' in watch.problem
    unknown = camera_info(Header(), rig.camera)
    unknown.distortion_model, unknown.d = 'my own', [0.1] * 3
    watch.take(unknown)
    assert watch.rectified(half) is half
    assert 'expected distortion model' in watch.problem
    watch.take(info)
    watch.rectified(half)
    assert watch.problem == ''
