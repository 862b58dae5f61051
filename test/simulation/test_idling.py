"""Scenes with one idling vehicle and no traffic: its position, its engine and its label."""

from __future__ import annotations

import numpy as np
import pytest

from avdet_ros.simulation.array_windows import WindowPlan, draw_world
from avdet_ros.simulation.idling import AZIMUTH_DEG, DISTANCE_M, KINDS
from avdet_ros.simulation.window_rows import label_row

PLAN = WindowPlan('mixed', idling=True)


@pytest.fixture(scope='module')
def scenes(rig):
    return [draw_world(seed, rig, PLAN) for seed in range(40)]


def test_one_running_vehicle_stands_in_view_of_standing_ego_vehicle(scenes):
    for scene in scenes:
        (vehicle,) = scene.vehicles
        assert vehicle.sound.running
        assert vehicle.kind in KINDS
        assert float(scene.ego.speed_mps(0.5)) == 0
        for t_s in (0.0, scene.duration_s):
            position, rotation = scene.ego_pose(t_s)
            apart = (vehicle.pose(t_s)[0] - position) @ rotation
            away_m = np.hypot(*apart[:2])
            # with tolerance, as vehicles stand along a bend and have some length
            assert 0.7 * DISTANCE_M[0] <= away_m <= 1.3 * DISTANCE_M[1]
            assert abs(np.degrees(np.arctan2(apart[1], apart[0]))) <= AZIMUTH_DEG + 15
        moved = vehicle.pose(scene.duration_s)[0] - vehicle.pose(0.0)[0]
        assert np.abs(moved).max() < 1e-6


def test_vehicles_face_both_ways_and_half_of_ego_engines_run(scenes):
    facing = []
    for scene in scenes:
        turn = scene.vehicles[0].pose(0.0)[1]
        facing.append(float(turn[:, 0] @ scene.ego.pose(0.0)[1][:, 0]) > 0)
    running = [scene.ego.sound.running for scene in scenes]
    assert 0.25 < np.mean(facing) < 0.75
    assert 0.25 < np.mean(running) < 0.75


def test_most_idling_vehicles_are_labelled(scenes):
    """Some are masked by wind, traffic noise or other sounds."""
    counts = [int(label_row(scene, 1.0, 1.0)['count']) for scene in scenes]
    assert set(counts) <= {0, 1}
    assert np.mean(counts) > 0.6
