"""Odometry of the ego vehicle of a simulated drive."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from avdet_ros.rig import load_rig
from avdet_ros.simulation.ego_odometry import ego_odometry, ego_state
from avdet_ros.simulation.traffic import random_scene

START_NS = 1_700_000_000_000_000_000


def test_odometry_reports_10_mps_at_every_stamp(world):
    way = ego_odometry(world(ego_speed=10.0), START_NS)
    assert len(way) == 81
    assert np.diff(way.stamps_ns).tolist() == [50_000_000] * 80
    np.testing.assert_allclose(way.ahead_mps, 10, atol=1e-3)
    middle = START_NS + 2_000_000_000
    assert way.ahead_at(middle) == pytest.approx(10, abs=1e-3)
    gone = np.hypot(way.x_m[-1] - way.x_m[0], way.y_m[-1] - way.y_m[0])
    assert gone == pytest.approx(40, abs=0.01)


def test_standing_vehicle_reports_zero_speed(world):
    way = ego_odometry(world(), START_NS)
    np.testing.assert_allclose(way.ahead_mps, 0, atol=1e-9)
    np.testing.assert_allclose(way.x_m, way.x_m[0])


def test_odometry_speed_matches_pose_change_along_heading():
    scene = random_scene(7, load_rig(), 6.0)
    way = ego_odometry(scene, START_NS)
    time_s = (way.stamps_ns - START_NS) * 1e-9
    # A lane has another curvature than the road.
    np.testing.assert_allclose(np.abs(way.ahead_mps), scene.ego.speed_mps(time_s), rtol=0.02)
    steps = np.diff(way.x_m), np.diff(way.y_m)
    along = np.cos(way.yaw_rad[:-1]) * steps[0] + np.sin(way.yaw_rad[:-1]) * steps[1]
    np.testing.assert_allclose(along / 0.05, way.ahead_mps[:-1], atol=0.2)


def test_ego_state_of_one_time_equals_that_of_many(world):
    scene = world(ego_speed=12.0, ego_turn_deg=5.0, body_sway=((1.0, 2.0, 0.0), (2.0, 3.0, 1.0)))
    many, one = ego_state(scene, [0.5, 1.5]), ego_state(scene, 1.5)
    for name in ('position_m', 'rotation', 'velocity_mps', 'turning_rad_s'):
        np.testing.assert_allclose(getattr(many, name)[1], getattr(one, name), atol=1e-12)
    turned = Rotation.from_matrix(one.rotation.T @ ego_state(scene, 1.51).rotation)
    np.testing.assert_allclose(turned.as_rotvec() / 0.01, one.turning_rad_s, atol=0.01)
