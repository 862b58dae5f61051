"""Bearing, range and size of detections against hand calculation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from avdet_ros.detection.boxes import Detections
from avdet_ros.tracking.bearing_range import (
    QUANTILE_WIDTH,
    bearings,
    measure,
    range_from_size,
)
from avdet_ros.tracking.ground_filter import GroundFilter, GroundNoise, PlaneMeasurement
from avdet_ros.tracking.ground_track import CHI2_90, GroundTrack, placed
from avdet_ros.tracking.ground_vehicle import GroundVehicle, inside_image


@pytest.fixture
def offset_rig(rig):
    """A rig with a rotated camera 2 m ahead and 1.5 m left of the array, and fx unlike fy."""
    turn = Rotation.from_euler('ZYX', [20, 5, 0], degrees=True).as_matrix()
    camera = replace(
        rig.camera,
        fx=900.0,
        fy=1200.0,
        rotation=rig.camera.rotation @ turn.T,
        position_m=np.array([2.5, 1.2, 1.4]),
    )
    return replace(rig, camera=camera, array_position_m=np.array([0.5, -0.3, 1.7]))


def box_of(place, rig, half=(40.0, 25.0)):
    (x, y), depth = rig.camera.project(place)
    assert depth > 0
    return [x - half[0], y - half[1], x + half[0], y + half[1]]


PLACES = np.array([[12.0, 6.0, 0.9], [30.0, 4.0, 0.7]])


def test_box_bearing_is_the_direction_from_the_array(offset_rig):
    boxes = np.array([box_of(place, offset_rig) for place in PLACES])
    away = PLACES - offset_rig.array_position_m
    found = bearings(boxes, np.linalg.norm(away, axis=1), offset_rig)
    assert found == pytest.approx(np.arctan2(away[:, 1], away[:, 0]), abs=1e-6)


def test_range_is_projected_to_the_ground_and_less_certain_far_away(rig):
    ranges = np.array([[5.0, 8.0, 12.0], [40.0, 70.0, 100.0]], np.float32)
    found = measure(Detections(np.zeros((2, 4)), np.ones(2), ranges, np.array([0.3, -2.0])), rig)
    assert [each.bearing_rad for each in found] == pytest.approx([0.3, -2.0])
    flat = np.sqrt(np.square([8.0, 70.0]) - 0.9**2)
    assert [each.log_range for each in found] == pytest.approx(np.log(flat))
    own = np.log([12 / 5, 100 / 40]) / QUANTILE_WIDTH
    far = 0.7 * (flat / 70) ** 2
    assert [each.log_range_std for each in found] == pytest.approx(np.hypot(own, far))


@pytest.mark.parametrize(
    ('quantiles', 'log_range', 'std'),
    [
        ([9.99, 10.0, 10.01], np.log(np.sqrt(100 - 0.81)), 0.05),
        ([1.0, 10.0, 1000.0], np.log(np.sqrt(100 - 0.81)), 1.2),
        ([0.5, 0.9, 1.1], 0.0, 0.05),  # nearer than the height of the array
        ([400.0, 500.0, 600.0], np.log(np.sqrt(300**2 - 0.81)), 1.2),
    ],
)
def test_ranges_and_their_errors_are_limited(rig, quantiles, log_range, std):
    ranges = np.array([quantiles], np.float32)
    (found,) = measure(Detections(np.zeros((1, 4)), np.ones(1), ranges, np.zeros(1)), rig)
    assert found.log_range == pytest.approx(log_range, abs=1e-6)
    assert found.log_range_std == pytest.approx(std)
    assert measure(Detections(), rig) == []


def test_missing_range_is_estimated_from_the_box_height(offset_rig):
    # 60 px at a focal length of 1200 px: 1.6 m at 32 m, half a focal length off centre.
    x = offset_rig.camera.cx + 450
    boxes = np.array([[x - 10, 300, x + 10, 360], [x - 10, -5, x + 10, 55], [x, 640, x + 20, 700]])
    range_m, std = range_from_size(boxes, offset_rig)
    assert range_m[0] == pytest.approx(32 * np.hypot(1, 0.5) + 2.5)
    assert std == pytest.approx([0.65, 0.975, 0.975])  # cut off at the top, at the bottom
    edges = np.array([[0, 0.0, 9, 60], [0, 1.0, 9, 650], [0, 1.0, 9, 649.0]])
    assert range_from_size(edges, offset_rig)[1] == pytest.approx([0.975, 0.975, 0.65])
    flat = range_from_size(np.array([[0, 5, 9, 5.2], [0, 5.0, 9, 6000]]), offset_rig)[0]
    assert flat == pytest.approx([300, 0.32 * np.hypot(1, (4.5 - 960) / 900) + 2.5], abs=0.1)
    place = PLACES[1]
    box = np.array([box_of(place, offset_rig)])
    (found,) = measure(Detections(box, np.ones(1)), offset_rig)
    away = place - offset_rig.array_position_m
    assert found.bearing_rad == pytest.approx(np.arctan2(away[1], away[0]), abs=0.02)
    assert found.log_range_std > 0.65


def test_range_from_size_assumes_boxes_of_at_least_one_pixel(rig):
    low = replace(rig, camera=replace(rig.camera, fy=100.0))
    boxes = np.array([[959.0, 300, 961, 301.5], [959, 300, 961, 300.2]])
    ahead = np.hypot(*(rig.camera.position_m - rig.array_position_m)[:2])
    expected = [160 / 1.5 + ahead, 160 + ahead]
    assert range_from_size(boxes, low)[0] == pytest.approx(expected, rel=1e-5)


def test_small_covariance_gives_a_small_ellipse():
    track = GroundTrack(
        1,
        np.array([3.0, 4.0]),
        np.zeros(2),
        np.diag([0.04, 0.01, 1, 1]),
        np.ones(2),
        0.9,
        1.0,
        0.0,
        True,
    )
    assert track.ellipse(1.0)[:2] == pytest.approx((0.2, 0.1))


def test_placed_transforms_the_filter_state_to_base_link():
    """In the frame of the filter, base_link is rotated left by 90 degrees."""
    covariance = np.diag([1.0, 4.0, 9.0, 16.0])
    covariance[0, 3] = covariance[3, 0] = 0.5
    place, velocity, turned = placed(
        np.array([10.0, 3.0, 5.0, -2.0]), covariance, np.pi / 2, np.array([0.5, -0.2])
    )
    assert place == pytest.approx([3.5, -10.2])
    assert velocity == pytest.approx([-2, -5])
    assert np.diag(turned) == pytest.approx([4, 1, 16, 9])
    assert turned[1, 2] == pytest.approx(-0.5)


def test_track_returns_range_bearing_ellipse_and_distance():
    turn = np.array([[0.8, -0.6], [0.6, 0.8]])
    covariance = np.eye(4)
    covariance[:2, :2] = turn @ np.diag([9.0, 1.0]) @ turn.T
    track = GroundTrack(
        1, np.array([-3.0, 4.0]), np.zeros(2), covariance, np.ones(2), 0.9, 1.0, 0.0, True
    )
    assert track.range_m == pytest.approx(5)
    assert track.bearing_rad == pytest.approx(np.arctan2(4, -3))
    long, short, angle = track.ellipse(4.0)
    assert (long, short) == pytest.approx((6, 2))
    assert np.tan(angle) == pytest.approx(0.75)
    assert track.ellipse()[0] == pytest.approx(3 * np.sqrt(CHI2_90))
    # Two standard deviations along the long axis, one across.
    assert track.distance2(track.position_m + turn @ [6, 1]) == pytest.approx(5)
    assert pytest.approx(0.9, abs=1e-3) == 1 - np.exp(-CHI2_90 / 2)


def vehicle(rig, box, range_m=20.0, bearing_rad=0.0, number=1):
    detections = Detections(np.array([box, box], np.float32), np.array([0.9, 0.4]))
    measured = PlaneMeasurement(bearing_rad, np.log(range_m), 0.2)
    ground = GroundFilter(measured, GroundNoise(), 5.0)
    return GroundVehicle(number, ground, detections, 0, 3.0, rig), detections


def test_vehicle_size_is_averaged_from_boxes_and_their_range(offset_rig):
    # 90 x 240 px at 20 m, straight ahead of the camera: 2 m wide and 4 m high.
    middle = offset_rig.camera.cx
    box = [middle - 45, 200, middle + 45, 440]
    one, detections = vehicle(offset_rig, box)
    first = np.array([1.6 * 1.2, 1.6])
    assert one.size_m == pytest.approx(first * (np.array([2.0, 4.0]) / first) ** 0.1)
    for _ in range(100):
        one.see(detections, 1, 3.5)
    assert one.size_m == pytest.approx([2, 4], rel=1e-3)
    track = one.track(4.0)
    assert (track.track_id, track.score, track.age_s, track.last_seen_s) == (
        1,
        pytest.approx(0.4),
        1.0,
        3.5,
    )
    assert not track.coasting
    one.detection = None
    assert one.track(4.0).coasting
    assert track.box_px == pytest.approx(box)


def test_vehicle_size_is_taken_at_its_depth_and_limited(offset_rig):
    x = offset_rig.camera.cx + 900  # 45 degrees to the right
    one, detections = vehicle(offset_rig, [x - 45, 200, x + 45, 440])
    for _ in range(200):
        one.see(detections, 0, 3.1)
    assert one.size_m == pytest.approx(np.array([2, 4]) / np.sqrt(2), rel=1e-2)
    huge, detections = vehicle(offset_rig, [0, 0, 1900, 3], range_m=100.0)
    for _ in range(200):
        huge.see(detections, 0, 3.1)
    assert huge.size_m == pytest.approx([20, 0.5], rel=1e-2)


@pytest.mark.parametrize(
    ('degrees', 'factor', 'same'),
    [
        (2.9, 1.0, True),
        (-2.9, 1.6, True),
        (3.1, 1.0, False),
        (0.0, 1.7, False),
        (0.0, 1 / 1.6, True),
        (0.0, 1 / 1.7, False),
        (360.5, 1.0, True),
    ],
)
def test_like_compares_bearing_and_range_of_two_vehicles(rig, degrees, factor, same):
    box = [900, 200, 1000, 300]
    one, _ = vehicle(rig, box, 20.0, np.pi - 0.01)
    other, _ = vehicle(rig, box, 20.0 * factor, np.pi - 0.01 + np.radians(degrees))
    assert one.matches(other) == other.matches(one) == same


@pytest.mark.parametrize(
    ('box', 'inside'),
    [
        ([-50, 10, 1, 20], True),
        ([-50, 10, 0, 20], False),
        ([1919, 10, 2000, 20], True),
        ([1920, 10, 2000, 20], False),
        ([10, -50, 20, 1], True),
        ([10, -50, 20, 0], False),
        ([10, 649, 20, 800], True),
        ([10, 650, 20, 800], False),
        ([700, 100, 900, 200], True),
    ],
)
def test_box_is_inside_the_image_if_any_part_is(rig, box, inside):
    assert inside_image(np.array(box, float), rig.camera) == inside
    assert vehicle(rig, box)[0].in_image == inside
