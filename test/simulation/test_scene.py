"""Truth and labels: geometry matches hand-calculated projections, and label rules hold."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from helpers.examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

from avdet_ros.rig import load_rig
from avdet_ros.simulation import truth as truth_module
from avdet_ros.simulation.road import random_road, straight_road
from avdet_ros.simulation.scene import Noise
from avdet_ros.simulation.traffic import random_scene


def test_known_points_are_projected_to_their_pixels():
    camera = load_rig().camera
    points = np.array([[10.3, 0, 1.55], [10.3, 1, 1.55], [10.3, 0, 0.55], [20.3, -2, 2.55]])
    pixels, depth = camera.project(points)
    expected = [[960, 300], [860, 300], [960, 400], [1060, 250]]
    np.testing.assert_allclose(pixels, expected, atol=1e-6)
    np.testing.assert_allclose(depth, [10, 10, 10, 20])


def test_box_of_car_ahead_matches_hand_calculation(world):
    """A car seen from behind: its rear face is nearest and determines width and bottom."""
    scene = world((20.0, 0.0, 10.0), ego_speed=10.0)
    x0, y0, x1, y1 = scene.truth(2.0).boxes_px[0]
    depth = 20 - 2.1 - 0.3
    assert x1 - x0 == pytest.approx(1000 * 1.8 / depth, abs=0.5)
    assert (x0 + x1) / 2 == pytest.approx(960, abs=0.5)
    # the wheels are lowest, 0.15 of the length in front of the rear end
    assert y1 == pytest.approx(300 + 1000 * 1.55 / (depth + 0.15 * 4.2), abs=0.5)
    assert y0 == pytest.approx(300 + 1000 * 0.05 / (depth + 4.2 * 0.5), abs=2)


def test_left_vehicle_is_left_in_image_and_one_behind_is_outside(world):
    truth = world((15.0, 4.0, 10.0), (15.0, -4.0, 10.0), (-15.0, 3.0, 10.0)).truth(2.0)
    by_id = dict(zip(truth.ids, truth.boxes_px, strict=True))
    assert by_id[1][2] < 960 < by_id[2][0]
    assert not by_id[3].any()
    assert truth.in_image[truth.ids == 3] == 0


def test_body_beside_camera_is_clipped_at_image_edge(world):
    truth = world((1.0, 3.0, 10.0)).truth(2.0)
    box = truth.boxes_px[0]
    assert box[0] == 0
    assert 0 < box[2] < 700
    assert 0 < truth.in_image[0] < 1


def test_occluded_vehicle_is_labelled_with_low_visible_fraction(world):
    scene = world((15.0, 0.0, 10.0), (30.0, 0.0, 10.0))
    truth = scene.labels(2.0)
    np.testing.assert_array_equal(truth.ids, [1, 2])
    assert truth.visible_fraction[0] == pytest.approx(1)
    assert truth.visible_fraction[1] < 0.2


def test_far_masked_and_parked_vehicles_are_not_labelled(world):
    far = world((truth_module.LABEL_DISTANCE_M + 5, 0.0, 10.0)).labels(2.0)
    assert len(far) == 0
    loud_wind = Noise(wind_db=110)
    assert len(world((20.0, 3.0, 10.0), ego_speed=10.0, noise=loud_wind).labels(2.0)) == 0
    scene = world((20.0, 3.0, 10.0))
    assert len(scene.labels(2.0)) == 1
    vehicle = scene.vehicles[0]
    parked = replace(vehicle, sound=replace(vehicle.sound, running=False))
    scene = replace(scene, vehicles=(parked,))
    assert len(scene.labels(2.0)) == 0
    assert np.isneginf(scene.truth(2.0).level_db[0])


@settings(max_examples=examples(25), deadline=None)
@given(st.integers(0, 99_999), st.floats(0, 8))
def test_truth_of_any_drive_is_consistent(seed, t):
    scene = random_scene(seed)
    truth = scene.truth(t)
    boxes = truth.boxes_px
    camera = scene.rig.camera
    assert np.all(boxes[:, 0] <= boxes[:, 2])
    assert np.all(boxes[:, 1] <= boxes[:, 3])
    assert np.all(boxes >= 0)
    assert np.all(boxes[:, 2] <= camera.width_px)
    assert np.all(boxes[:, 3] <= camera.height_px)
    assert len(set(truth.ids.tolist())) == len(truth)
    assert np.all(np.diff(truth.distance_m) >= 0)
    assert np.all(truth.visible_fraction <= truth.in_image + 1e-6)
    labels = scene.labels(t)
    assert set(labels.ids) <= set(truth.ids)
    assert np.all(labels.audible)
    assert np.all(labels.boxes_px[:, 3] - labels.boxes_px[:, 1] >= truth_module.LABEL_HEIGHT_PX)


@settings(max_examples=examples(25), deadline=None)
@given(st.integers(0, 10_000))
def test_roads_are_smooth_and_frames_orthonormal(seed):
    road = random_road(np.random.default_rng(seed), -150, 250, 1 / 150, 0.04, 3.2)
    along = np.linspace(-200, 300, 2001)
    position, forward, left, up = road.frame(along)
    axes = np.stack([forward, left, up], axis=-1)
    np.testing.assert_allclose(np.swapaxes(axes, 1, 2) @ axes - np.eye(3), 0, atol=1e-9)
    assert np.allclose(np.linalg.det(axes), 1)
    step = np.linalg.norm(np.diff(position, axis=0), axis=1)
    np.testing.assert_allclose(step, 0.25, rtol=0.02)
    np.testing.assert_allclose(position[np.argmin(np.abs(along))], 0, atol=1e-9)


@pytest.mark.slow
def test_drives_vary_in_settings_kinds_and_label_counts():
    counts, settings_seen, kinds = [], set(), set()
    for seed in range(120):
        scene = random_scene(seed)
        labels = scene.labels(3.0)
        counts.append(len(labels))
        settings_seen.add(scene.setting)
        kinds.update(v.kind for v in scene.vehicles)
    assert len(settings_seen) == 5
    assert len(kinds) == 5
    assert 0.7 < np.mean(counts) < 2.5
    assert 0.1 < np.mean(np.array(counts) == 0) < 0.5


def test_straight_road_is_straight():
    road = straight_road(heading_rad=np.pi / 2)
    np.testing.assert_allclose(road.point(1000.0, 2.0), [-2, 1000, 0], atol=1e-6)


@pytest.mark.parametrize('seed', [0, 1])
def test_vehicles_in_one_lane_never_overlap(seed):
    scene = random_scene(seed, duration_s=30.0)
    for t in (0.0, 10.0, 30.0):
        lanes: dict[tuple, list] = {}
        for v in scene.vehicles:
            lanes.setdefault((id(v.road), v.motion.lane), []).append(
                (float(v.motion.along_m(t)), v)
            )
        for members in lanes.values():
            members.sort(key=lambda m: m[0])
            for (a, first), (b, second) in pairwise(members):
                assert b - a > (first.length_m + second.length_m) / 2
