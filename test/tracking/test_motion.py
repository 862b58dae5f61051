"""The tracker with a motion model."""

from __future__ import annotations

from helpers.tracks import detections_of
import pytest

from avdet_ros.tracking import MotionTracker


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
            assert abs(track.box_px[0] - box[0]) < 25, 'the velocity carries it'
    assert set(seen) == {1}


def test_motion_coasting_ends():
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


def test_motion_two_stages():
    tracker = MotionTracker()
    for step in range(3):
        tracker.update(step / 10, detections_of((0, 0, 100, 100, 0.9)))
    # The weak box lies nearer, the sure one is linked first.
    (track,) = tracker.update(0.3, detections_of((0, 0, 100, 100, 0.2), (20, 0, 100, 100, 0.9)))
    assert track.score == pytest.approx(0.9)
    (track,) = tracker.update(0.4, detections_of((15, 0, 100, 100, 0.2)))
    assert not track.coasting
    assert track.score == pytest.approx(0.2)
    assert MotionTracker().update(0, detections_of((0, 0, 9, 9, 0.2))) == []


def test_motion_a_single_click_is_no_vehicle():
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
