"""Start, confirmation, coasting and end of tracks on the ground plane."""

from __future__ import annotations

from dataclasses import replace
import math

import numpy as np
import pytest

from avdet_ros.detection.boxes import Detections
from avdet_ros.errors import AvdetError
from avdet_ros.rig import load_rig
from avdet_ros.tracking import GroundTracker
from avdet_ros.tracking.ego_motion import PlanarPose

RIG = load_rig()
HERE = PlanarPose(0.0, 0.0, 0.0)


def detections_at(*vehicles):
    """Detections of vehicles at x, y with a score, highest score first."""
    boxes, ranges, angles, scores = [], [], [], []
    for x, y, score in sorted(vehicles, key=lambda each: -each[2]):
        place = np.array([x, y, 0.8])
        (px, py), _ = RIG.camera.project(place)
        boxes.append([px - 40, py - 25, px + 40, py + 25])
        ranges.append(np.array([0.8, 1.0, 1.25]) * np.linalg.norm(place - RIG.array_position_m))
        angles.append(math.atan2(y, x))
        scores.append(score)
    return Detections(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(scores, np.float32),
        np.array(ranges, np.float32).reshape(-1, 3),
        np.array(angles, np.float32),
    )


def ids(tracks):
    return [track.track_id for track in tracks]


ONE, TWO = (20.0, 6.0, 0.9), (25.0, -8.0, 0.8)


def run(tracker, count, *vehicles, start_s=10.0, step_s=0.1, ego=HERE):
    for step in range(count):
        tracks = tracker.update(start_s + step * step_s, detections_at(*vehicles), ego)
    return tracks


def test_track_is_reported_once_its_detections_span_confirm_s():
    tracker, reported = GroundTracker(RIG, confirm_s=0.3), []
    for step in range(5):
        reported.append(ids(tracker.update(10 + step / 10, detections_at(ONE), HERE)))
        assert ids(tracker.vehicles()) == reported[-1]
    assert reported == [[], [], [], [1], [1]]
    (vehicle,) = tracker.vehicles()
    assert (vehicle.age_s, vehicle.unseen_s) == pytest.approx((0.4, 0.0))
    assert (vehicle.score, vehicle.over_ground) == (pytest.approx(0.9), True)
    tracker.update(10.6, detections_at(), HERE)
    (vehicle,) = tracker.vehicles()
    assert (vehicle.age_s, vehicle.unseen_s) == pytest.approx((0.6, 0.2))


def test_single_detection_gives_no_vehicle():
    tracker = GroundTracker(RIG)
    run(tracker, 1, ONE)
    tracker.update(10.1, detections_at(), HERE)
    assert tracker.update(10.2, detections_at(ONE), HERE) == []
    assert ids(tracker.update(10.3, detections_at(ONE), HERE)) == [2]


def test_high_and_low_scores_are_linked_in_two_stages():
    tracker = GroundTracker(RIG, new_track_threshold=0.5, high_threshold=0.5, low_threshold=0.2)
    assert ids(run(tracker, 3, ONE, TWO)) == [1, 2]
    # The first one has a strong detection, the second a weak one; another is near the first.
    weak = [(20.0, 6.2, 0.4), (25.0, -8.0, 0.3)]
    tracks = tracker.update(10.3, detections_at((20.0, 5.8, 0.9), *weak), HERE)
    assert [round(track.score, 1) for track in tracks] == [0.9, 0.3]
    # A score equal to the low threshold is ignored.
    tracks = tracker.update(10.4, detections_at(ONE, (25.0, -8.0, 0.2)), HERE)
    assert ids(tracks) == [1]
    # A score equal to the threshold of new tracks starts none.
    assert ids(run(tracker, 3, ONE, (15.0, -14.0, 0.5), start_s=10.5)) == [1]


def test_unheard_vehicle_is_kept_for_hidden_s():
    tracker = GroundTracker(RIG, hidden_s=0.5)
    run(tracker, 8, ONE)
    lived = []
    for step in range(8):
        assert tracker.update(10.8 + step / 10, detections_at(), HERE) == []
        lived.append(len(tracker.vehicles()))
    assert lived == [1] * 5 + [0] * 3


def test_unheard_vehicle_is_kept_at_most_twice_its_detected_span():
    tracker = GroundTracker(RIG, hidden_s=2.0)
    run(tracker, 3, ONE)
    lived = []
    for step in range(7):
        tracker.update(10.3 + step / 10, detections_at(), HERE)
        lived.append(len(tracker.vehicles()))
    assert lived == [1] * 4 + [0] * 3


def test_box_of_an_unheard_vehicle_is_reported_for_coast_s():
    tracker = GroundTracker(RIG, coast_s=0.3, hidden_s=0.0)
    run(tracker, 6, ONE)
    reported = [tracker.update(10.6 + step / 10, detections_at(), HERE) for step in range(5)]
    assert [len(tracks) for tracks in reported] == [1, 1, 1, 0, 0]
    assert reported[0][0].coasting
    assert tracker.vehicles() == []


@pytest.mark.parametrize(('step_s', 'identity'), [(1.5, 1), (1.6, 3)])
def test_gap_in_time_ends_all_tracks(step_s, identity):
    tracker = GroundTracker(RIG, confirm_s=0.0)
    assert ids(run(tracker, 3, ONE, start_s=10.0, step_s=step_s)) == [identity]


def test_ids_start_at_the_value_given_to_reset():
    tracker = GroundTracker(RIG, confirm_s=0.0)
    tracker.reset(7)
    assert ids(run(tracker, 1, ONE, TWO)) == [7, 8]
    tracker.reset()
    assert ids(run(tracker, 1, ONE)) == [1]


def test_unheard_vehicle_near_a_heard_one_is_dropped():
    """Within three degrees at a similar range it is the same vehicle."""
    for bearing_deg, left in ((8.5, 1), (12.0, 2)):
        tracker = GroundTracker(RIG, gate=1.0)
        run(tracker, 5, (20.0, 2.0, 0.9))  # 5.7 degrees
        x, y = 20 * math.cos(math.radians(bearing_deg)), 20 * math.sin(math.radians(bearing_deg))
        for step in range(3):
            tracker.update(10.5 + step / 10, detections_at((x, y, 0.9)), HERE)
        assert len(tracker.vehicles()) == left


def test_vehicle_outside_the_image_has_a_position_but_no_box():
    tracker = GroundTracker(RIG)
    aside = detections_at((3.0, 6.0, 0.9))
    assert aside.boxes_px[0, 2] < 0
    for step in range(4):
        tracks = tracker.update(10 + step / 10, aside, HERE)
    assert tracks == []
    assert ids(tracker.vehicles()) == [1]


def test_detection_beyond_the_bearing_gate_starts_a_new_track():
    for degrees, identity in ((3.0, 1), (9.0, 2)):
        tracker = GroundTracker(RIG, confirm_s=0.0)
        run(tracker, 10, (30.0, 0.0, 0.9))
        angle = math.radians(degrees)
        place = (30 * math.cos(angle), 30 * math.sin(angle), 0.9)
        tracks = tracker.update(11.0, detections_at(place), HERE)
        assert ids(tracks) == [identity]


def test_odometry_drift_is_two_percent_of_the_distance():
    drift = GroundTracker._drift(np.array([10.0, 20.0]), np.array([13.0, 16.0]))
    assert drift == pytest.approx(0.1)


def test_prediction_without_a_pose_continues_the_ego_motion():
    """The ego vehicle moves at 10 m/s to the left of its x axis; the other one stands."""
    tracker = GroundTracker(RIG)
    for step in range(30):
        y = step * 1.0
        tracker.update(
            10 + step / 10, detections_at((20.0, 40.0 - y, 0.9)), PlanarPose(5.0, y, 0.0)
        )
    (expected,) = tracker.vehicles(0.5, PlanarPose(5.0, 34.0, 0.0))
    (guessed,) = tracker.vehicles(0.5)
    assert guessed.position_m == pytest.approx(expected.position_m, abs=0.3)
    (now,) = tracker.vehicles()
    assert expected.position_m[1] - now.position_m[1] == pytest.approx(-5, abs=0.5)
    # Uncertainty grows by two percent of the five metres, and with time.
    assert expected.covariance[:2, :2].trace() > now.covariance[:2, :2].trace()
    assert tracker._ego_mps == pytest.approx([0, 10], abs=0.1)


def test_out_of_range_parameters_are_rejected():
    for name, value in {
        'new_track_threshold': 1.5,
        'high_threshold': -0.1,
        'low_threshold': 2.0,
        'gate': 0.05,
        'confirm_s': 61.0,
        'coast_s': -1.0,
        'hidden_s': 61.0,
        'longest_gap_s': 3601.0,
    }.items():
        with pytest.raises(AvdetError, match=f'tracker: {name}: expected a number from'):
            GroundTracker(RIG, **{name: value})
    kept = GroundTracker(RIG, gate=0.1, confirm_s=60.0, coast_s=60.0, hidden_s=60.0)
    assert kept._longest_gap_s == 1.5
    assert GroundTracker()._rig.microphones_m.shape == (8, 3)
    noise = replace(kept._noise, acceleration=9.0)
    assert GroundTracker(RIG, noise=noise)._noise.acceleration == 9.0


def test_range_separates_two_vehicles_at_one_bearing():
    """The score of the nearer one alternates, so that it is listed first and second in turn."""
    tracker = GroundTracker(RIG)
    for step in range(10):
        near = 0.9 if step % 2 else 0.7
        tracker.update(10 + step / 10, detections_at((12.0, 1.2, near), (40.0, 4.0, 0.8)), HERE)
    ranges = {vehicle.track_id: vehicle.range_m for vehicle in tracker.vehicles()}
    assert ranges == {1: pytest.approx(40, rel=0.1), 2: pytest.approx(12, rel=0.1)}


@pytest.mark.parametrize(('ego', 'own_mps'), [(HERE, 0.0), (None, 20.0)])
def test_first_velocity_is_less_certain_along_the_road_without_odometry(ego, own_mps):
    tracker = GroundTracker(RIG, confirm_s=0.0)
    tracker.update(10.0, detections_at(ONE), ego)
    (vehicle,) = tracker.vehicles()
    expected = [tracker._noise.speed_mps**2 + own_mps**2, tracker._noise.speed_mps**2]
    assert np.diag(vehicle.covariance)[2:] == pytest.approx(expected)


def without_ranges(detections):
    """The same detections with boxes and scores only, as from an older model."""
    return Detections(detections.boxes_px, detections.scores)


@pytest.mark.parametrize('drop_ranges', [True, False])
def test_first_velocity_variance_includes_the_ego_speed(drop_ranges):
    """The ego vehicle drives 20 m/s to the left, so others may drive along or against it."""
    tracker, step_s = GroundTracker(RIG, confirm_s=0.0), 0.1
    for step in range(30):
        ego = PlanarPose(0.0, 2.0 * step, math.pi / 2)
        found = detections_at(ONE) if step == 29 else detections_at()
        tracker.update(10 + step * step_s, without_ranges(found) if drop_ranges else found, ego)
    (vehicle,) = tracker.vehicles()
    assert np.diag(vehicle.covariance)[2:] == pytest.approx([10.0**2 + 20.0**2, 10.0**2], rel=0.02)


@pytest.mark.parametrize(('drop_ranges', 'reported'), [(True, 3), (False, 11)])
def test_unheard_vehicle_ends_earlier_without_measured_ranges(drop_ranges, reported):
    """It is kept for 0.2 s instead of ten windows; when detected again it has the same id."""
    kind = without_ranges if drop_ranges else lambda found: found
    tracker, seen = GroundTracker(RIG), []
    for step in range(20):
        tracker.update(
            10 + step / 10, kind(detections_at(ONE) if step < 10 else detections_at()), HERE
        )
        if step >= 9:
            seen.append(ids(tracker.vehicles()))
    assert seen == [[1]] * reported + [[]] * (11 - reported)
    tracker.update(12.0, kind(detections_at(ONE)), HERE)
    assert ids(tracker.vehicles()) == [1]


@pytest.mark.parametrize(('ego', 'speed_mps', 'restarted'), [(HERE, 60, True), (None, 60, False)])
def test_implausible_vehicle_is_restarted_and_keeps_its_id(ego, speed_mps, restarted):
    """No vehicle is this fast over ground; relative to unknown ego motion it may be."""
    tracker = GroundTracker(RIG)
    run(tracker, 6, ONE, ego=ego)
    (vehicle,) = tracker._vehicles
    vehicle.filter.state[2:4] = [speed_mps, 0.0]
    vehicle.filter.covariance[[2, 3], [2, 3]] = 1.0
    tracker.update(10.501, detections_at(ONE), ego)
    (track,) = tracker.vehicles()
    assert track.track_id == 1
    assert (np.hypot(*track.velocity_mps) < 1.0) == restarted
    assert (math.sqrt(track.covariance[3, 3]) > 9.0) == restarted
