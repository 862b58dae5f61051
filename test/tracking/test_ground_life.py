"""When tracks on the ground plane begin, are told, go on unheard and end."""

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


def heard(*vehicles):
    """Detections of vehicles at x, y with a score, best first."""
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
        tracks = tracker.update(start_s + step * step_s, heard(*vehicles), ego)
    return tracks


def test_a_track_is_told_once_its_detections_span_long_enough():
    tracker, told = GroundTracker(RIG, confirm_s=0.3), []
    for step in range(5):
        told.append(ids(tracker.update(10 + step / 10, heard(ONE), HERE)))
        assert ids(tracker.vehicles()) == told[-1]
    assert told == [[], [], [], [1], [1]]
    (vehicle,) = tracker.vehicles()
    assert (vehicle.age_s, vehicle.unseen_s) == pytest.approx((0.4, 0.0))
    assert (vehicle.score, vehicle.over_ground) == (pytest.approx(0.9), True)
    tracker.update(10.6, heard(), HERE)
    (vehicle,) = tracker.vehicles()
    assert (vehicle.age_s, vehicle.unseen_s) == pytest.approx((0.6, 0.2))


def test_a_click_is_no_vehicle():
    tracker = GroundTracker(RIG)
    run(tracker, 1, ONE)
    tracker.update(10.1, heard(), HERE)
    assert tracker.update(10.2, heard(ONE), HERE) == []
    assert ids(tracker.update(10.3, heard(ONE), HERE)) == [2]


def test_scores_are_linked_in_two_stages():
    tracker = GroundTracker(RIG, new_track_threshold=0.5, high_threshold=0.5, low_threshold=0.2)
    assert ids(run(tracker, 3, ONE, TWO)) == [1, 2]
    # The first one has a sure detection, the second a weak one; another stands by the first.
    weak = [(20.0, 6.2, 0.4), (25.0, -8.0, 0.3)]
    tracks = tracker.update(10.3, heard((20.0, 5.8, 0.9), *weak), HERE)
    assert [round(track.score, 1) for track in tracks] == [0.9, 0.3]
    # What is as low as the threshold, or lower, is ignored.
    tracks = tracker.update(10.4, heard(ONE, (25.0, -8.0, 0.2)), HERE)
    assert ids(tracks) == [1]
    # As high as the threshold of new ones is not enough.
    assert ids(run(tracker, 3, ONE, (15.0, -14.0, 0.5), start_s=10.5)) == [1]


def test_unheard_it_goes_on_in_metres_for_as_long_as_hidden_s():
    tracker = GroundTracker(RIG, hidden_s=0.5)
    run(tracker, 8, ONE)
    lived = []
    for step in range(8):
        assert tracker.update(10.8 + step / 10, heard(), HERE) == []
        lived.append(len(tracker.vehicles()))
    assert lived == [1] * 5 + [0] * 3


def test_but_not_for_longer_than_twice_what_its_detections_span():
    tracker = GroundTracker(RIG, hidden_s=2.0)
    run(tracker, 3, ONE)
    lived = []
    for step in range(7):
        tracker.update(10.3 + step / 10, heard(), HERE)
        lived.append(len(tracker.vehicles()))
    assert lived == [1] * 4 + [0] * 3


def test_its_box_is_reported_for_as_long_as_coast_s():
    tracker = GroundTracker(RIG, coast_s=0.3, hidden_s=0.0)
    run(tracker, 6, ONE)
    told = [tracker.update(10.6 + step / 10, heard(), HERE) for step in range(5)]
    assert [len(tracks) for tracks in told] == [1, 1, 1, 0, 0]
    assert told[0][0].coasting
    assert tracker.vehicles() == []


@pytest.mark.parametrize(('step_s', 'identity'), [(1.5, 1), (1.6, 3)])
def test_a_gap_in_time_ends_all(step_s, identity):
    tracker = GroundTracker(RIG, confirm_s=0.0)
    assert ids(run(tracker, 3, ONE, start_s=10.0, step_s=step_s)) == [identity]


def test_identities_count_from_what_a_reset_says():
    tracker = GroundTracker(RIG, confirm_s=0.0)
    tracker.reset(7)
    assert ids(run(tracker, 1, ONE, TWO)) == [7, 8]
    tracker.reset()
    assert ids(run(tracker, 1, ONE)) == [1]


def test_one_that_is_not_heard_where_another_is_heard_is_left_out():
    """It turns out to be the same vehicle: within three degrees, at a like range."""
    for bearing_deg, left in ((8.5, 1), (12.0, 2)):
        tracker = GroundTracker(RIG, gate=1.0)
        run(tracker, 5, (20.0, 2.0, 0.9))  # 5.7 degrees
        x, y = 20 * math.cos(math.radians(bearing_deg)), 20 * math.sin(math.radians(bearing_deg))
        for step in range(3):
            tracker.update(10.5 + step / 10, heard((x, y, 0.9)), HERE)
        assert len(tracker.vehicles()) == left


def test_a_vehicle_outside_the_image_is_told_in_metres_alone():
    tracker = GroundTracker(RIG)
    aside = heard((3.0, 6.0, 0.9))
    assert aside.boxes_px[0, 2] < 0
    for step in range(4):
        tracks = tracker.update(10 + step / 10, aside, HERE)
    assert tracks == []
    assert ids(tracker.vehicles()) == [1]


def test_the_gate_is_in_standard_deviations_of_the_bearing():
    for degrees, identity in ((3.0, 1), (9.0, 2)):
        tracker = GroundTracker(RIG, confirm_s=0.0)
        run(tracker, 10, (30.0, 0.0, 0.9))
        angle = math.radians(degrees)
        place = (30 * math.cos(angle), 30 * math.sin(angle), 0.9)
        tracks = tracker.update(11.0, heard(place), HERE)
        assert ids(tracks) == [identity]


def test_odometry_errs_by_a_fiftieth_of_the_way():
    drift = GroundTracker._drift(np.array([10.0, 20.0]), np.array([13.0, 16.0]))
    assert drift == pytest.approx(0.1)


def test_without_a_pose_of_then_the_ego_vehicle_goes_on_as_before():
    """It drives at 10 m/s to the left of its x axis; the other one stands."""
    tracker = GroundTracker(RIG)
    for step in range(30):
        y = step * 1.0
        tracker.update(10 + step / 10, heard((20.0, 40.0 - y, 0.9)), PlanarPose(5.0, y, 0.0))
    (told,) = tracker.vehicles(0.5, PlanarPose(5.0, 34.0, 0.0))
    (guessed,) = tracker.vehicles(0.5)
    assert guessed.position_m == pytest.approx(told.position_m, abs=0.3)
    (now,) = tracker.vehicles()
    assert told.position_m[1] - now.position_m[1] == pytest.approx(-5, abs=0.5)
    # Uncertain by a fiftieth of the five metres, and by more the later it is.
    assert told.covariance[:2, :2].trace() > now.covariance[:2, :2].trace()
    assert tracker._ego_mps == pytest.approx([0, 10], abs=0.1)


def test_values_out_of_range_are_named():
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


def test_a_range_tells_which_of_two_vehicles_in_one_bearing_it_is():
    """The nearer one is sure in every other window, so that it comes first and second in turn."""
    tracker = GroundTracker(RIG)
    for step in range(10):
        near = 0.9 if step % 2 else 0.7
        tracker.update(10 + step / 10, heard((12.0, 1.2, near), (40.0, 4.0, 0.8)), HERE)
    ranges = {vehicle.track_id: vehicle.range_m for vehicle in tracker.vehicles()}
    assert ranges == {1: pytest.approx(40, rel=0.1), 2: pytest.approx(12, rel=0.1)}


@pytest.mark.parametrize(('ego', 'own_mps'), [(HERE, 0.0), (None, 20.0)])
def test_a_first_velocity_is_unknown_and_without_odometry_more_so_along_the_road(ego, own_mps):
    tracker = GroundTracker(RIG, confirm_s=0.0)
    tracker.update(10.0, heard(ONE), ego)
    (vehicle,) = tracker.vehicles()
    expected = [tracker._noise.speed_mps**2 + own_mps**2, tracker._noise.speed_mps**2]
    assert np.diag(vehicle.covariance)[2:] == pytest.approx(expected)


def by_size(detections):
    """The same from an older model, which says boxes and scores only."""
    return Detections(detections.boxes_px, detections.scores)


@pytest.mark.parametrize('sized', [True, False])
def test_who_drives_along_is_as_likely_as_who_stands(sized):
    """The ego vehicle drives 20 m/s to the left, so that a vehicle may drive so, or against it."""
    tracker, step_s = GroundTracker(RIG, confirm_s=0.0), 0.1
    for step in range(30):
        ego = PlanarPose(0.0, 2.0 * step, math.pi / 2)
        found = heard(ONE) if step == 29 else heard()
        tracker.update(10 + step * step_s, by_size(found) if sized else found, ego)
    (vehicle,) = tracker.vehicles()
    assert np.diag(vehicle.covariance)[2:] == pytest.approx([10.0**2 + 20.0**2, 10.0**2], rel=0.02)


@pytest.mark.parametrize(('sized', 'told'), [(True, 3), (False, 11)])
def test_an_unheard_vehicle_is_told_for_less_long_where_ranges_are_sizes(sized, told):
    """For a fifth of a second in place of all ten windows; heard again, it is the same vehicle."""
    kind = by_size if sized else lambda found: found
    tracker, seen = GroundTracker(RIG), []
    for step in range(20):
        tracker.update(10 + step / 10, kind(heard(ONE) if step < 10 else heard()), HERE)
        if step >= 9:
            seen.append(ids(tracker.vehicles()))
    assert seen == [[1]] * told + [[]] * (11 - told)
    tracker.update(12.0, kind(heard(ONE)), HERE)
    assert ids(tracker.vehicles()) == [1]


@pytest.mark.parametrize(('ego', 'speed_mps', 'anew'), [(HERE, 60, True), (None, 60, False)])
def test_one_that_was_led_astray_is_begun_anew_and_stays_itself(ego, speed_mps, anew):
    """Over ground no vehicle is so fast; against an ego vehicle that is not known it may be."""
    tracker = GroundTracker(RIG)
    run(tracker, 6, ONE, ego=ego)
    (vehicle,) = tracker._vehicles
    vehicle.filter.state[2:4] = [speed_mps, 0.0]
    vehicle.filter.covariance[[2, 3], [2, 3]] = 1.0
    tracker.update(10.501, heard(ONE), ego)
    (track,) = tracker.vehicles()
    assert track.track_id == 1
    assert (np.hypot(*track.velocity_mps) < 1.0) == anew
    assert (math.sqrt(track.covariance[3, 3]) > 9.0) == anew
