"""Blind corners: only junctions, correct sides, windows chosen for coming vehicles."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from avdet_ros.simulation.blind_corners import (
    LEAST_SIDE_DEG,
    WITHIN_S,
    blind_corner,
    coming_sides,
    corner_starts_s,
)
from avdet_ros.simulation.buildings import sight, stacked

SEEDS = range(12)
LENGTH_S = 18.0


@pytest.fixture(scope='module')
def drives(rig):
    return [blind_corner(seed, rig, LENGTH_S) for seed in SEEDS]


def in_line_of_sight(scene, identity, t_s):
    """Whether no building hides a vehicle's middle from the camera, and its azimuth in rad."""
    vehicle = next(v for v in scene.vehicles if v.vehicle_id == identity)
    position, rotation = scene.ego_pose(t_s)
    eye = position + rotation @ scene.rig.camera.position_m
    place = vehicle.pose(t_s)[0]
    ahead, left, _ = (place - eye) @ rotation
    return bool(sight(stacked(scene.buildings), eye, place[None, :2])[0]), np.arctan2(left, ahead)


def test_every_drive_is_at_a_junction_and_some_ego_vehicles_approach_it(drives):
    assert {scene.setting for scene in drives} == {'junction'}
    speeds = [float(scene.ego.speed_mps(1.0)) for scene in drives]
    assert 0 < sum(speed > 0 for speed in speeds) < len(drives)
    assert max(speeds) <= 7.0


def test_coming_vehicle_is_hidden_now_and_in_sight_within_four_seconds(drives):
    reported = 0
    for scene in drives:
        for t_s in np.arange(1.0, LENGTH_S, 1.0):
            sides = coming_sides(scene, float(t_s))
            for index in np.flatnonzero(sides == 1):
                sign = 1 if index == 0 else -1
                truth = scene.truth(float(t_s))
                coming = []
                for identity in truth.ids[truth.audible & (truth.distance_m <= 75)].tolist():
                    clear, azimuth = in_line_of_sight(scene, identity, float(t_s))
                    ahead = np.arange(0.25, WITHIN_S + 0.01, 0.25)
                    soon = any(in_line_of_sight(scene, identity, t_s + s)[0] for s in ahead)
                    if not clear and soon and sign * np.degrees(azimuth) >= LEAST_SIDE_DEG / 2:
                        coming.append(identity)
                assert coming, f'seed {scene.seed} at {t_s} s: no vehicle comes on that side'
                reported += 1
    assert reported >= 5


def test_no_vehicle_is_coming_without_buildings(drives):
    for scene in drives[:3]:
        bare = replace(scene, buildings=())
        assert coming_sides(bare, 5.0).tolist() == [0, 0]


def test_inaudible_coming_vehicle_is_left_unlabelled(drives):
    for scene in drives:
        loud = replace(scene, noise=replace(scene.noise, ambient_db=120.0))
        for t_s in np.arange(1.0, LENGTH_S, 1.0):
            sides, masked = coming_sides(scene, float(t_s)), coming_sides(loud, float(t_s))
            np.testing.assert_array_equal(masked, np.where(sides == 0, 0, -1))


def test_no_vehicle_is_coming_for_a_camera_that_looks_back(drives):
    """Vehicles in front of the ego vehicle never come into sight of a camera that looks back."""
    scene = next(s for s in drives if any(coming_sides(s, t).any() for t in range(1, 18)))
    times = [t for t in range(1, 18) if (coming_sides(scene, t) == 1).any()]
    camera = scene.rig.camera
    back = np.array([[-1, 0, 0], [0, -1, 0], [0, 0, 1.0]])
    turned = replace(
        scene, rig=replace(scene.rig, camera=replace(camera, rotation=camera.rotation @ back))
    )
    assert all((coming_sides(turned, t) != 1).all() for t in times)


def test_window_starts_fit_drive_and_repeat_for_same_seed(drives):
    for scene in drives:
        starts_s = np.array(corner_starts_s(scene, 6, LENGTH_S, 1.0))
        assert starts_s.shape == (6,)
        assert (starts_s >= 0).all()
        assert (starts_s + 1.0 <= LENGTH_S + 1e-9).all()
        assert starts_s.tolist() == corner_starts_s(scene, 6, LENGTH_S, 1.0), 'repeatable'
    ends = [start + 1.0 for scene in drives for start in corner_starts_s(scene, 6, LENGTH_S, 1.0)]
    assert len(set(ends)) > len(drives)


def test_chosen_windows_have_coming_vehicle_more_often_than_by_chance(drives):
    chosen, chance = [], []
    for scene in drives:
        for start_s in corner_starts_s(scene, 6, LENGTH_S, 1.0)[::2]:
            chosen.append((coming_sides(scene, start_s + 1.0) != 0).any())
        chance += [(coming_sides(scene, t) != 0).any() for t in np.arange(1.0, LENGTH_S, 2.0)]
    assert np.mean(chosen) > 1.5 * np.mean(chance)
