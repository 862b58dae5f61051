"""The tracker with a motion model."""

from __future__ import annotations

from helpers.tracks import detections_of
import numpy as np
import pytest

from avdet_ros.errors import AvdetError
from avdet_ros.tracking import MotionTracker
from avdet_ros.tracking.motion import grow


@pytest.mark.parametrize('rate_hz', [5, 10, 20])
def test_motion_keeps_a_fast_vehicle_through_silence(rate_hz):
    tracker, seen = MotionTracker(), []
    for step in range(3 * rate_hz):
        t = step / rate_hz
        silent = 1.5 < t < 1.95
        box = (100 + 300 * t, 300, 120, 90, 0.9)
        tracks = tracker.update(t, detections_of() if silent else detections_of(box))
        if t > 0.5:
            (track,) = tracks
            seen.append(track.track_id)
            assert track.coasting == silent
            assert abs(track.box_px[0] - box[0]) < 25, 'the box moves with its velocity'
    assert set(seen) == {1}


def test_motion_coasting_ends_after_coast_s():
    tracker = MotionTracker(coast_s=0.3)
    for step in range(5):
        tracker.update(step / 10, detections_of((0, 0, 100, 100, 0.9)))
    assert [len(tracker.update(0.5 + step / 10, detections_of())) for step in range(5)] == [
        1,
        1,
        1,
        0,
        0,
    ]


def test_motion_links_strong_before_weak_detections():
    tracker = MotionTracker()
    for step in range(3):
        tracker.update(step / 10, detections_of((0, 0, 100, 100, 0.9)))
    # The weak box is nearer, but the strong one is linked first.
    (track,) = tracker.update(0.3, detections_of((0, 0, 100, 100, 0.2), (20, 0, 100, 100, 0.9)))
    assert track.score == pytest.approx(0.9)
    (track,) = tracker.update(0.4, detections_of((15, 0, 100, 100, 0.2)))
    assert not track.coasting
    assert track.score == pytest.approx(0.2)
    assert MotionTracker().update(0, detections_of((0, 0, 9, 9, 0.2))) == []


def test_motion_single_detection_gives_no_vehicle():
    tracker = MotionTracker()
    assert tracker.update(0, detections_of((0, 0, 100, 100, 0.95))) == []
    assert tracker.update(0.1, detections_of()) == []
    assert tracker.update(0.2, detections_of()) == []


def test_motion_crossing_vehicles_keep_their_ids():
    tracker = MotionTracker()
    for step in range(40):
        t = step / 10
        left, right = 200 * t, 700 - 200 * t
        tracks = tracker.update(
            t, detections_of((left, 300, 100, 80, 0.9), (right, 330, 100, 80, 0.89))
        )
    by_id = {track.track_id: track.box_px[0] for track in tracks}
    assert set(by_id) == {1, 2}
    assert by_id[1] == pytest.approx(200 * 3.9, abs=15)
    assert by_id[2] == pytest.approx(700 - 200 * 3.9, abs=15)


BOX = (0, 0, 50, 200, 0.9)


def moved(right=0.0, down=0.0, score=0.9):
    return detections_of((BOX[0] + right, BOX[1] + down, BOX[2], BOX[3], score))


@pytest.mark.parametrize(
    ('right', 'down', 'linked'),
    [(45, 0, True), (51, 0, False), (-45, 0, True), (0, 180, True), (0, 204, False)],
)
def test_motion_boxes_are_grown_by_a_fifth_before_comparison(right, down, linked):
    """Grown to 70 x 280 px: 45 px apart they share 25 of 115 columns, 51 px apart 19 of 121."""
    tracker = MotionTracker(confirm_s=0.0)
    tracker.update(0.0, moved())
    (track,) = [t for t in tracker.update(0.1, moved(right, down)) if not t.coasting]
    assert track.track_id == (1 if linked else 2)


def test_boxes_grow_by_a_share_of_each_side():
    grown = grow(np.array([[10.0, 20.0, 60.0, 220.0]]), 0.2)
    assert grown.tolist() == [[0, -20, 70, 260]]


def test_motion_track_is_reported_once_its_detections_span_confirm_s():
    tracker, first = MotionTracker(confirm_s=0.3, coast_s=0.6), []
    for step in range(5):
        first.append(tracker.update(10 + step / 10, moved()))
    assert [len(tracks) for tracks in first] == [0, 0, 0, 1, 1]
    (track,) = first[-1]
    assert (track.age_s, track.last_seen_s) == pytest.approx((0.4, 10.4))
    (track,) = tracker.update(10.5, detections_of())
    assert (track.age_s, track.last_seen_s, track.coasting) == pytest.approx((0.5, 10.4, True))
    assert track.score == pytest.approx(0.9)


def test_motion_track_coasts_no_longer_than_its_detections_span():
    tracker = MotionTracker(coast_s=0.6)
    for step in range(3):
        tracker.update(step / 10, moved())
    lived = [len(tracker.update(0.3 + step / 10, detections_of())) for step in range(4)]
    assert lived == [1, 1, 0, 0]


@pytest.mark.parametrize(('step_s', 'identity'), [(1.4, 1), (1.6, 3)])
def test_motion_gap_in_time_ends_tracks(step_s, identity):
    tracker = MotionTracker(confirm_s=0.0)
    for step in range(3):
        (track,) = tracker.update(step * step_s, moved())
    assert track.track_id == identity


def test_motion_thresholds_are_exclusive():
    tracker = MotionTracker(new_track_threshold=0.5, high_threshold=0.5, low_threshold=0.25)
    tracker.update(0.0, moved(score=0.5))
    assert tracker.update(0.2, moved(score=0.5)) == []
    tracker.update(0.3, moved())
    tracker.update(0.5, moved())
    (track,) = tracker.update(0.6, moved(score=0.5))  # continues, though its score is not high
    assert not track.coasting
    (track,) = tracker.update(0.7, moved(score=0.25))
    assert track.coasting


def test_motion_ids_start_at_the_value_given_to_reset():
    tracker = MotionTracker(confirm_s=0.0)
    assert [track.track_id for track in tracker.update(0, moved())] == [1]
    tracker.reset(7)
    found = detections_of(BOX, (500, 0, 50, 200, 0.8), (900, 0, 50, 200, 0.3))
    assert [track.track_id for track in tracker.update(0.1, found)] == [7, 8]
    tracker.reset()
    assert [track.track_id for track in tracker.update(0.2, moved())] == [1]


def test_motion_out_of_range_parameters_are_rejected():
    for name, value in {
        'new_track_threshold': 1.1,
        'high_threshold': -0.1,
        'low_threshold': 1.1,
        'iou_threshold': -0.1,
        'margin': 10.1,
        'confirm_s': 60.1,
        'coast_s': -0.1,
        'longest_gap_s': 3600.1,
    }.items():
        with pytest.raises(AvdetError, match=f'^tracker: {name}: expected a number from 0 to'):
            MotionTracker(**{name: value})
    MotionTracker(1, 1, 1, 1, 10, 60, 60, 3600)
    MotionTracker(0, 0, 0, 0, 0, 0, 0, 0)
