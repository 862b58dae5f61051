"""Labels as directions agree with the camera and cover what lies in front."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from avdet_ros.detection.angles import eye_position_m
from avdet_ros.detection.steering import FRONT_DEG
from avdet_ros.simulation.angles import angle_boxes, angle_labels, box_angles
from avdet_ros.simulation.traffic import random_scene


def with_camera_at_the_eye(scene):
    rig = scene.rig
    camera = replace(rig.camera, position_m=eye_position_m(rig))
    return replace(scene, rig=replace(rig, camera=camera))


def test_angle_boxes_match_camera_boxes_when_camera_is_at_eye():
    compared = 0
    for seed in range(40, 52):
        scene = with_camera_at_the_eye(random_scene(seed))
        labels = angle_labels(scene, 3.0)
        truth, camera = labels.truth, scene.rig.camera
        boxes = angle_boxes(labels) * camera.fx + [camera.cx, camera.cy] * 2
        for row in np.flatnonzero(truth.in_image > 0.9999):
            np.testing.assert_allclose(boxes[row], truth.boxes_px[row], atol=0.05)
            compared += 1
    assert compared > 6


def test_angle_labels_of_car_ahead_left_match_geometry(world):
    scene = world((20, 10, 8.0), (-30, 0, 8.0), noise=replace(random_scene(1).noise))
    labels = angle_labels(scene, 2.0)
    array = scene.rig.array_position_m
    assert labels.truth.ids.tolist() == [1]
    assert abs(labels.azimuth_deg[0] - np.degrees(np.arctan2(10, 20 - array[0]))) < 1.5
    assert labels.elevation_deg[0] < 0  # the eye is above the middle of a car
    high = replace(scene, rig=replace(scene.rig, array_position_m=array + [0.0, 0.0, 0.6]))
    assert angle_labels(high, 2.0).elevation_deg == labels.elevation_deg
    assert labels.in_image.tolist() == [True]
    turned = replace(
        scene,
        rig=replace(
            scene.rig,
            camera=replace(scene.rig.camera, rotation=_yawed(scene.rig.camera.rotation, 26.0)),
        ),
    )
    relative_to_camera = angle_labels(turned, 2.0)
    np.testing.assert_allclose(relative_to_camera.azimuth_deg, labels.azimuth_deg - 26, atol=0.5)


def _yawed(rotation, yaw_deg):
    c, s = np.cos(np.radians(yaw_deg)), np.sin(np.radians(yaw_deg))
    return rotation @ np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]])


def test_vehicle_in_front_outside_image_is_labelled_and_one_behind_is_not(world):
    noise = random_scene(1).noise
    scene = world((10, 12.5, 8.0), (-10, 12, 8.0), noise=noise)
    labels = angle_labels(scene, 2.0)
    assert labels.truth.ids.tolist() == [1]
    assert 45 < labels.azimuth_deg[0] < FRONT_DEG
    assert labels.in_image.tolist() == [False]


def test_body_nearer_than_minimum_distance_has_no_box():
    corners = np.array([[3.0, 1, 0], [0.1, 1, 0], [3, 1, -1]])
    assert np.isnan(box_angles(corners)).all()
    assert box_angles(corners + [1, 0, 0])[0] == pytest.approx(
        np.degrees((np.arctan2(1, 4) + np.arctan2(1, 1.1)) / 2)
    )
