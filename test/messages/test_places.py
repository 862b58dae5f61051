"""Positions of detections in the camera frame, against hand calculations for a turned camera."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from avdet_ros.detection.boxes import Detections
from avdet_ros.messages.places import TURN_VARIANCE, covariance36, find_places, with_places
from avdet_ros.tracking.bearing_range import QUANTILE_WIDTH

RANGES = np.array([[8.0, 10.0, 12.5], [15.0, 20.0, 40.0]], np.float32)
AZIMUTHS = np.radians([30.0, -50.0]).astype(np.float32)
BOXES = np.array([[100.0, 200, 300, 280], [900, 200, 950, 400]], np.float32)


@pytest.fixture
def turned_rig(rig):
    """A rig with the array off centre and the camera turned and tilted."""
    turn = Rotation.from_euler('ZYX', [25, 10, -5], degrees=True).as_matrix()
    camera = replace(
        rig.camera,
        rotation=rig.camera.rotation @ turn.T,
        position_m=np.array([0.3, 0.4, 1.5]),
    )
    return replace(rig, camera=camera, array_position_m=np.array([-0.5, 0.2, 1.7]))


def found(ranges=RANGES, azimuths=AZIMUTHS):
    return Detections(BOXES[: len(ranges)], np.array([0.9, 0.8])[: len(ranges)], ranges, azimuths)


def test_place_follows_from_range_bearing_and_vehicle_height(turned_rig):
    places, covariances = find_places(found(), turned_rig)
    camera = turned_rig.camera
    for index in range(2):
        place = camera.rotation.T @ places[index] + camera.position_m
        away = place - turned_rig.array_position_m
        assert place[2] == pytest.approx(0.8)
        assert np.linalg.norm(away) == pytest.approx(RANGES[index, 1], rel=1e-6)
        assert np.arctan2(away[1], away[0]) == pytest.approx(AZIMUTHS[index])
        flat_m = np.sqrt(RANGES[index, 1] ** 2 - 0.9**2)
        cos, sin = np.cos(AZIMUTHS[index]), np.sin(AZIMUTHS[index])
        axes = np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]])
        spread = axes @ camera.rotation.T @ covariances[index] @ camera.rotation @ axes.T
        octaves = np.log(RANGES[index, 2] / RANGES[index, 0])
        expected = [octaves * flat_m / QUANTILE_WIDTH, flat_m * np.radians(1.2), 0.5]
        np.testing.assert_allclose(spread, np.diag(np.square(expected)), rtol=1e-5, atol=1e-5)


def test_range_below_the_array_height_gives_a_distance_of_10_cm(turned_rig):
    places, _ = find_places(found(RANGES[:1] / 100, AZIMUTHS[:1]), turned_rig)
    place = turned_rig.camera.rotation.T @ places[0] + turned_rig.camera.position_m
    assert np.hypot(*(place - turned_rig.array_position_m)[:2]) == pytest.approx(0.1)


def test_ranges_and_bearings_round_trip_through_places(turned_rig):
    places, covariances = find_places(found(), turned_rig)
    back = with_places(Detections(BOXES, np.array([0.9, 0.8])), places, covariances, turned_rig)
    middle, ratio = RANGES[:, 1], np.sqrt(RANGES[:, 2] / RANGES[:, 0])
    expected = np.stack([middle / ratio, middle, middle * ratio], axis=1)
    np.testing.assert_allclose(back.range_m, expected, rtol=1e-5)
    np.testing.assert_allclose(back.azimuth_rad, AZIMUTHS, atol=1e-6)
    assert back.range_m.dtype == back.azimuth_rad.dtype == np.float32
    assert (back.boxes_px == BOXES).all()


@pytest.mark.parametrize(('scale', 'std'), [(1e-6, 0.01), (1e6, 2.0)])
def test_range_uncertainty_is_limited_on_both_sides(turned_rig, scale, std):
    places, covariances = find_places(found(), turned_rig)
    back = with_places(found(), places, covariances * scale, turned_rig)
    np.testing.assert_allclose(
        np.log(back.range_m[:, 2] / back.range_m[:, 0]), std * QUANTILE_WIDTH, rtol=1e-4
    )


def test_ranges_require_valid_places(turned_rig):
    places, covariances = find_places(found(), turned_rig)
    plain = Detections(BOXES, np.array([0.9, 0.8]))
    assert find_places(plain, turned_rig) is None
    assert find_places(replace(plain, range_m=RANGES), turned_rig) is None
    assert find_places(replace(plain, azimuth_rad=AZIMUTHS), turned_rig) is None
    empty = places.copy()
    empty[1] = 0
    unknown = covariances.copy()
    unknown[0, 0, 0] = np.inf
    nowhere = places.copy()
    nowhere[0, 1] = np.nan
    for bad in ((empty, covariances), (places, unknown), (nowhere, covariances)):
        assert with_places(plain, *bad, turned_rig).range_m is None
    none = Detections()
    assert with_places(none, np.zeros((0, 3)), np.zeros((0, 3, 3)), turned_rig) is none


def test_pose_covariance_has_position_first_and_unknown_rotation():
    whole = covariance36(np.arange(9).reshape(3, 3)).reshape(6, 6)
    assert whole[:3, :3].tolist() == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    assert np.diag(whole)[3:] == pytest.approx([TURN_VARIANCE] * 3)
    anywhere = np.linspace(-np.pi, np.pi, 100_001)
    assert np.var(anywhere) == pytest.approx(TURN_VARIANCE, rel=1e-3)
    assert not whole[:3, 3:].any()
    assert not whole[3:, :3].any()
    assert covariance36(np.eye(3), 2.0).reshape(6, 6)[4, 4] == 2
