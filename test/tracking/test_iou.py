"""The IoU tracker, with the rules of the paper."""

from __future__ import annotations

from helpers.examples import examples
from helpers.tracks import detections_of, drives, ids
from hypothesis import given, settings
import numpy as np
import pytest

from avdet_ros.detection.boxes import box_iou
from avdet_ros.tracking import IouTracker
from avdet_ros.tracking.iou import greatest_first


@settings(max_examples=examples(60), deadline=None)
@given(windows=drives())
def test_iou_tracker_follows_the_rules_of_the_paper(windows):
    tracker, before, last_s = IouTracker(), [], None
    for stamp_s, detections in windows:
        tracks = tracker.update(stamp_s, detections)
        old = {track.track_id: track for track in before}
        for track in tracks:
            index = np.flatnonzero((detections.boxes_px == track.box_px).all(axis=1))
            assert len(index), 'a track is at a detected box'
            if track.track_id in old:
                assert box_iou([old[track.track_id].box_px], [track.box_px])[0, 0] > 0.5
            else:
                assert track.score > np.float32(0.8)
        consecutive = last_s is not None and stamp_s - last_s <= 1.0
        used = [track.box_px.tolist() for track in tracks]
        for track in before if consecutive else []:
            if track.track_id not in ids(tracks):
                overlap = box_iou([track.box_px], detections.boxes_px)[0]
                free = [i for i, box in enumerate(detections.boxes_px) if box.tolist() not in used]
                assert not np.any(overlap[free] > 0.5), 'a track ends only if nothing matches'
        for box, score in zip(detections.boxes_px, detections.scores, strict=True):
            assert score <= np.float32(0.8) or box.tolist() in used, 'a high score starts a track'
        before, last_s = tracks, stamp_s


def test_iou_thresholds_are_exclusive():
    tracker = IouTracker()
    assert tracker.update(0.0, detections_of((0, 0, 100, 100, 0.8 - 1e-6))) == []
    assert ids(tracker.update(0.1, detections_of((0, 0, 100, 100, 0.9)))) == [1]
    # Half as wide: an IoU of exactly 0.5.
    assert tracker.update(0.2, detections_of((0, 0, 50, 100, 0.7))) == []


def test_iou_weak_box_continues_a_track_and_silence_ends_it():
    tracker = IouTracker()
    tracker.update(10.0, detections_of((0, 0, 100, 100, 0.9)))
    (track,) = tracker.update(10.1, detections_of((10, 0, 100, 100, 0.05)))
    assert (track.track_id, track.last_seen_s) == (1, 10.1)
    assert track.age_s == pytest.approx(0.1)
    assert tracker.update(10.2, detections_of()) == []
    assert ids(tracker.update(10.3, detections_of((10, 0, 100, 100, 0.9)))) == [2]


def test_iou_greatest_overlap_wins():
    tracker = IouTracker()
    tracker.update(0, detections_of((0, 0, 100, 100, 0.95), (40, 0, 100, 100, 0.9)))
    tracks = tracker.update(0.1, detections_of((20, 0, 100, 100, 0.9), (38, 0, 100, 100, 0.3)))
    np.testing.assert_array_equal(tracks[1].box_px, [38, 0, 138, 100])
    np.testing.assert_array_equal(tracks[0].box_px, [20, 0, 120, 100])
    assert greatest_first(np.array([[0.6, 0.6], [0.6, 0.6]]), 0.5) == [(0, 0), (1, 1)]
    assert greatest_first(np.zeros((0, 3)), 0.5) == []


def test_iou_gap_in_time_ends_tracks():
    tracker = IouTracker()
    tracker.update(0, detections_of((0, 0, 100, 100, 0.9)))
    assert ids(tracker.update(5.0, detections_of((0, 0, 100, 100, 0.9)))) == [2]


@pytest.mark.parametrize(('step_s', 'identity'), [(1.5, 1), (1.6, 3)])
def test_iou_longest_gap_is_one_and_a_half_seconds(step_s, identity):
    tracker = IouTracker()
    for step in range(3):
        (track,) = tracker.update(10 + step * step_s, detections_of((0, 0, 100, 100, 0.9)))
    assert track.track_id == identity
    assert track.age_s == pytest.approx(2 * step_s if identity == 1 else 0)


def test_iou_ids_start_at_the_reset_value_and_are_listed_in_order():
    tracker = IouTracker()
    tracker.reset(5)
    boxes = [(0, 0, 50, 200, 0.9), (300, 0, 50, 200, 0.85), (600, 0, 50, 200, 0.5)]
    assert ids(tracker.update(0, detections_of(*boxes))) == [5, 6]
    # In another order, and one more.
    tracks = tracker.update(0.1, detections_of((600, 0, 50, 200, 0.95), *boxes[1::-1]))
    assert ids(tracks) == [5, 6, 7]
    assert [track.box_px[0] for track in tracks] == [0, 300, 600]
