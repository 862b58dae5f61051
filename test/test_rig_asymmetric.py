"""Camera geometry without symmetry: yaw with pitch and roll, fx different from fy."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import yaml

from avdet_ros.rig import default_rig_path, parse_rig


@pytest.fixture
def camera_of():
    """The shipped rig's camera with some keys changed."""
    tree = yaml.safe_load(default_rig_path().read_text(encoding='utf-8'))

    def make(**keys):
        changed = copy.deepcopy(tree)
        changed['camera'] |= keys
        return parse_rig(changed).camera

    return make


def test_yaw_is_about_the_vehicle_axis_and_pitch_about_the_camera(camera_of):
    yaw, pitch = np.radians(30), np.radians(20)
    camera = camera_of(yaw_deg=30.0, pitch_deg=20.0)
    axis = camera.rotation[2]  # the optical axis in base_link
    expected = [np.cos(pitch) * np.cos(yaw), np.cos(pitch) * np.sin(yaw), -np.sin(pitch)]
    assert axis == pytest.approx(expected)
    # The picture's rows stay level: its x axis has no part of z.
    assert camera.rotation[0] == pytest.approx([np.sin(yaw), -np.cos(yaw), 0])


def test_roll_turns_the_picture_about_the_optical_axis(camera_of):
    level = camera_of(yaw_deg=-25.0, pitch_deg=15.0)
    rolled = camera_of(yaw_deg=-25.0, pitch_deg=15.0, roll_deg=10.0)
    assert rolled.rotation[2] == pytest.approx(level.rotation[2])
    roll = np.radians(10)
    # Roll to the right about x ahead: what was to the right is now up in the picture.
    right = np.cos(roll) * level.rotation[0] + np.sin(roll) * level.rotation[1]
    assert rolled.rotation[0] == pytest.approx(right)


def test_each_axis_has_its_own_focal_length(camera_of):
    camera = camera_of(
        focal_px=[1000.0, 500.0],
        principal_px=[900.0, 300.0],
        position_m=[0.0, 0.0, 0.0],
        yaw_deg=0.0,
        pitch_deg=0.0,
        roll_deg=0.0,
    )
    pixels, depth_m = camera.project([10.0, 2.0, -1.0])
    assert depth_m == pytest.approx(10)
    assert pixels == pytest.approx([900 - 200, 300 + 50])
    ray = camera.directions([[700.0, 350.0]])[0]
    assert ray == pytest.approx(np.array([10, 2, -1]) / np.sqrt(105))


def test_camera_without_angles_looks_straight_ahead(camera_of):
    tree = yaml.safe_load(default_rig_path().read_text(encoding='utf-8'))
    for key in ('yaw_deg', 'pitch_deg', 'roll_deg'):
        tree['camera'].pop(key, None)
    camera = parse_rig(tree).camera
    assert camera.rotation == pytest.approx(np.array([[0, -1, 0], [0, 0, -1], [1, 0, 0]]))


def test_directions_are_exact_for_any_pixel_type(camera_of):
    camera = camera_of(yaw_deg=12.3, focal_px=[1003.0, 997.0])
    pixels = np.array([[100.0, 50.0], [1800.0, 640.0]])
    plain = {key: float(getattr(camera, key)) for key in ('fx', 'fy', 'cx', 'cy')}
    camera = replace(camera, **plain)
    exact = camera.directions(pixels)
    for kind in (np.float32, np.int16):
        found = camera.directions(pixels.astype(kind))
        assert found.dtype == np.float64
        assert np.abs(found - exact).max() < 1e-12
