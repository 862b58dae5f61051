"""The tracker on the ground plane."""

from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

from avdet_ros.detection.boxes import Detections
from avdet_ros.rig import load_rig
from avdet_ros.tracking import GroundTracker
from avdet_ros.tracking.ego_motion import PlanarPose

RIG = load_rig()


def detections_at(*vehicles, factor=1.0):
    """Detections of vehicles at x, y in base_link, with ranges scaled by a factor."""
    boxes, ranges, angles = [], [], []
    for x, y in vehicles:
        place = np.array([x, y, 0.8])
        range_m = float(np.linalg.norm(place - RIG.array_position_m))
        (px, py), _ = RIG.camera.project(place)
        half = 800.0 / max(x, 1.0)
        boxes.append([px - half, py - half, px + half, py + half])
        ranges.append(np.array([0.7, 1.0, 1.4]) * range_m * factor)
        angles.append(math.atan2(y, x))
    return Detections(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.full(len(boxes), 0.9, np.float32),
        np.array(ranges, np.float32).reshape(-1, 3),
        np.array(angles, np.float32),
    )


def test_crossing_vehicle_keeps_its_id_through_two_silent_seconds():
    tracker = GroundTracker(RIG)
    for step in range(55):
        t = step / 10
        y = 15 - 6 * t
        silent = 2.0 < t < 4.0
        tracks = tracker.update(
            t, detections_at() if silent else detections_at((20, y)), PlanarPose(0, 0, 0)
        )
        if t > 0.5:
            (vehicle,) = tracker.vehicles()
            assert vehicle.track_id == 1
            assert vehicle.position_m == pytest.approx([20, y], abs=6.0)
            assert vehicle.distance2(np.array([20, y])) < 4.6
            assert len(tracks) == (not silent)
    assert vehicle.velocity_mps == pytest.approx([0, -6], abs=2.0)


@pytest.mark.parametrize('yaw_rate', [0.0, 0.3])
def test_ego_motion_is_compensated(yaw_rate):
    """A standing vehicle has no speed over ground while the ego vehicle approaches it."""
    tracker, place = GroundTracker(RIG), np.array([25.0, 8.0])
    for step in range(40):
        t = step / 10
        yaw = yaw_rate * t
        pose = PlanarPose(6 * t, 0.5 * t, yaw)
        turn = np.array([[math.cos(yaw), math.sin(yaw)], [-math.sin(yaw), math.cos(yaw)]])
        local = turn @ (place - [pose.x_m, pose.y_m])
        tracker.update(t, detections_at(tuple(local)) if local[0] > 3 else detections_at(), pose)
    (vehicle,) = tracker.vehicles()
    assert vehicle.over_ground
    assert np.hypot(*vehicle.velocity_mps) < 2.0
    assert vehicle.position_m == pytest.approx(local, abs=4.0)
    assert tracker.update(4.0, detections_at(), pose) == []


def test_wrong_range_does_not_break_a_track():
    tracker = GroundTracker(RIG)
    for step in range(30):
        factor = 1.0 if step % 3 else 2.2
        tracks = tracker.update(step / 10, detections_at((25, 2 + 0.1 * step), factor=factor))
    assert [track.track_id for track in tracks] == [1]


def test_two_vehicles_at_one_bearing_stay_separate():
    tracker = GroundTracker(RIG)
    for step in range(20):
        tracks = tracker.update(step / 10, detections_at((12, 1.2), (40, 4.0)))
    assert [track.track_id for track in tracks] == [1, 2]
    ranges = sorted(vehicle.range_m for vehicle in tracker.vehicles())
    assert ranges == pytest.approx([12, 40], rel=0.2)


def test_tracks_without_odometry_are_marked_and_less_certain():
    known, unknown = GroundTracker(RIG), GroundTracker(RIG)
    for step in range(20):
        known.update(step / 10, detections_at((20, 3)), PlanarPose(0, 0, 0))
        unknown.update(step / 10, detections_at((20, 3)))
    (certain,), (uncertain,) = known.vehicles(0.5), unknown.vehicles(0.5)
    assert certain.over_ground
    assert not uncertain.over_ground
    assert uncertain.covariance[:2, :2].trace() > certain.covariance[:2, :2].trace()
    assert uncertain.covariance[2:, 2:].trace() > certain.covariance[2:, 2:].trace()


def test_interrupted_odometry_does_not_rotate_vehicles():
    tracker = GroundTracker(RIG)
    for step in range(60):
        pose = PlanarPose(100.0, -50.0, 2.0)
        tracker.update(step / 10, detections_at((20, 3)), None if 20 <= step < 40 else pose)
        if step >= 1:
            (vehicle,) = tracker.vehicles()
            assert vehicle.track_id == 1
            assert vehicle.bearing_rad == pytest.approx(math.atan2(3, 20), abs=0.05)


def test_predicted_vehicles_follow_their_velocity():
    tracker = GroundTracker(RIG)
    for step in range(40):
        tracker.update(step / 10, detections_at((30, 10 - 0.5 * step)), PlanarPose(0, 0, 0))
    (now,), (later,) = tracker.vehicles(), tracker.vehicles(0.5)
    assert later.position_m[1] - now.position_m[1] == pytest.approx(-2.5, abs=0.8)
    assert later.covariance[:2, :2].trace() > now.covariance[:2, :2].trace()
    # Motion of the ego vehicle during the prediction reduces the distance.
    (nearer,) = tracker.vehicles(0.5, PlanarPose(5, 0, 0))
    assert later.position_m[0] - nearer.position_m[0] == pytest.approx(5, abs=0.8)


def test_missing_range_is_estimated_from_the_box_size():
    tracker = GroundTracker(RIG)
    for step in range(10):
        # 1.6 m high at 20 m
        box = np.array([[900.0, 260.0, 1020.0, 340.0]], np.float32)
        tracker.update(step / 10, Detections(box, np.array([0.9], np.float32)))
    (vehicle,) = tracker.vehicles()
    assert 18 < vehicle.range_m < 23
    assert np.sqrt(vehicle.covariance[0, 0]) > 4


@settings(max_examples=40, deadline=None)
@given(
    windows=st.lists(
        st.tuples(
            st.sampled_from([0.05, 0.1, 1.0, 5.0, -3.0]),
            st.lists(st.tuples(st.floats(0.5, 90), st.floats(-60, 60)), max_size=3),
            st.one_of(st.none(), st.tuples(st.floats(-50, 50), st.floats(-9, 9))),
            st.floats(0.2, 3),
        ),
        max_size=12,
    )
)
def test_vehicle_values_are_always_finite(windows):
    tracker, stamp_s = GroundTracker(RIG), 100.0
    for step_s, vehicles, ego, factor in windows:
        stamp_s += step_s
        pose = None if ego is None else PlanarPose(ego[0], 0.0, ego[1])
        tracker.update(stamp_s, detections_at(*vehicles, factor=factor), pose)
        for vehicle in tracker.vehicles(0.5, pose):
            values = [*vehicle.position_m, *vehicle.velocity_mps, *vehicle.covariance.ravel()]
            assert np.isfinite(values).all()
            assert np.isfinite(vehicle.size_m).all()
            assert (vehicle.size_m > 0).all()
            long, short, _ = vehicle.ellipse()
            assert long >= short > 0
