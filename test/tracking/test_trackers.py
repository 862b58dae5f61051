"""What holds for every tracker, and what each of them promises."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

from avdet_ros.detection.boxes import Detections, box_iou
from avdet_ros.errors import AvdetError
from avdet_ros.tracking import TRACKERS, IouTracker, MotionTracker, make_tracker
from avdet_ros.tracking.iou import greatest_first

NAMES = sorted(TRACKERS)


def heard(*rows):
    """Detections from x, y, width, height, score."""
    rows = sorted(rows, key=lambda row: -row[4])
    table = np.array(rows, np.float32).reshape(-1, 5)
    return Detections(
        np.concatenate([table[:, :2], table[:, :2] + table[:, 2:4]], axis=1), table[:, 4]
    )


def ids(tracks):
    return [track.track_id for track in tracks]


@st.composite
def drives(draw):
    """Windows of random boxes at random steps of time, some empty."""
    windows, stamp_s = [], draw(st.floats(0, 2e9))
    for _ in range(draw(st.integers(1, 12))):
        stamp_s += draw(st.sampled_from([0.0, 0.05, 0.1, 0.3, 2.0]))
        count = draw(st.integers(0, 4))
        rows = [
            (
                draw(st.integers(0, 8)) * 40.0,
                draw(st.integers(0, 3)) * 40.0,
                draw(st.sampled_from([50.0, 80.0, 200.0])),
                draw(st.sampled_from([50.0, 80.0])),
                draw(st.sampled_from([0.05, 0.3, 0.5, 0.81, 0.95])),
            )
            for _ in range(count)
        ]
        windows.append((stamp_s, heard(*rows)))
    return windows


def plain(results):
    return [
        [
            (t.track_id, *t.box_px.tolist(), t.score, t.age_s, t.last_seen_s, t.coasting)
            for t in tracks
        ]
        for tracks in results
    ]


@pytest.mark.parametrize('name', NAMES)
@settings(max_examples=60, deadline=None)
@given(windows=drives())
def test_laws_of_every_tracker(name, windows):
    tracker, other = make_tracker(name), make_tracker(name)
    results = [tracker.update(*window) for window in windows]
    ended, alive = set(), set()
    for (stamp_s, detections), tracks in zip(windows, results, strict=True):
        seen = ids(tracks)
        assert seen == sorted(set(seen)), 'an identity is held by one track, listed by id'
        assert not ended & set(seen), 'an identity that ended never comes back'
        ended |= alive - set(seen)
        alive = set(seen)
        boxes = [track.box_px for track in tracks]
        assert all(np.isfinite(box).all() and (box[2:] > box[:2]).all() for box in boxes)
        assert sum(not track.coasting for track in tracks) <= len(detections)
        for track in tracks:
            assert track.last_seen_s <= stamp_s
            assert track.coasting or track.last_seen_s == stamp_s
            assert -1e-9 <= track.age_s <= stamp_s - windows[0][0] + 1e-6
    # Deterministic, and without state outside the instance.
    assert plain(other.update(*window) for window in windows) == plain(results)
    tracker.reset()
    assert plain(tracker.update(*window) for window in windows) == plain(results)


@pytest.mark.parametrize('name', NAMES)
@settings(max_examples=30, deadline=None)
@given(windows=drives())
def test_a_jump_back_in_time_starts_anew(name, windows):
    fresh, tracker = make_tracker(name), make_tracker(name)
    tracker.update(windows[-1][0] + 5.0, heard((0, 0, 50, 50, 0.95)))
    expected = plain(fresh.update(*window) for window in windows)
    assert plain(tracker.update(*window) for window in windows) == expected


@pytest.mark.parametrize('name', NAMES)
@settings(max_examples=30, deadline=None)
@given(windows=drives())
def test_identities_are_first_told_in_ascending_order(name, windows):
    tracker = make_tracker(name)
    for first_id in (1, 100):
        tracker.reset(first_id)
        told = []
        for window in windows:
            told += [identity for identity in ids(tracker.update(*window)) if identity not in told]
        assert told == sorted(told)
        assert all(identity >= first_id for identity in told)


@settings(max_examples=60, deadline=None)
@given(windows=drives())
def test_the_papers_rules(windows):
    tracker, before, last_s = IouTracker(), [], None
    for stamp_s, detections in windows:
        tracks = tracker.update(stamp_s, detections)
        old = {track.track_id: track for track in before}
        for track in tracks:
            index = np.flatnonzero((detections.boxes_px == track.box_px).all(axis=1))
            assert len(index), 'a track is where something was detected'
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
                assert not np.any(overlap[free] > 0.5), 'it ends only when nothing matches'
        for box, score in zip(detections.boxes_px, detections.scores, strict=True):
            assert score <= np.float32(0.8) or box.tolist() in used, 'a sure one starts a track'
        before, last_s = tracks, stamp_s


def test_iou_thresholds_are_exclusive():
    tracker = IouTracker()
    assert tracker.update(0.0, heard((0, 0, 100, 100, 0.8 - 1e-6))) == []
    assert ids(tracker.update(0.1, heard((0, 0, 100, 100, 0.9)))) == [1]
    # Half as wide: an IoU of exactly 0.5.
    assert tracker.update(0.2, heard((0, 0, 50, 100, 0.7))) == []


def test_iou_weak_box_continues_and_silence_ends():
    tracker = IouTracker()
    tracker.update(10.0, heard((0, 0, 100, 100, 0.9)))
    (track,) = tracker.update(10.1, heard((10, 0, 100, 100, 0.05)))
    assert (track.track_id, track.last_seen_s) == (1, 10.1)
    assert track.age_s == pytest.approx(0.1)
    assert tracker.update(10.2, heard()) == []
    assert ids(tracker.update(10.3, heard((10, 0, 100, 100, 0.9)))) == [2]


def test_iou_greatest_overlap_wins():
    tracker = IouTracker()
    tracker.update(0, heard((0, 0, 100, 100, 0.95), (40, 0, 100, 100, 0.9)))
    tracks = tracker.update(0.1, heard((20, 0, 100, 100, 0.9), (38, 0, 100, 100, 0.3)))
    np.testing.assert_array_equal(tracks[1].box_px, [38, 0, 138, 100])
    np.testing.assert_array_equal(tracks[0].box_px, [20, 0, 120, 100])
    assert greatest_first(np.array([[0.6, 0.6], [0.6, 0.6]]), 0.5) == [(0, 0), (1, 1)]
    assert greatest_first(np.zeros((0, 3)), 0.5) == []


def test_iou_a_gap_in_time_ends_tracks():
    tracker = IouTracker()
    tracker.update(0, heard((0, 0, 100, 100, 0.9)))
    assert ids(tracker.update(5.0, heard((0, 0, 100, 100, 0.9)))) == [2]


@pytest.mark.parametrize('rate_hz', [5, 10, 20])
def test_motion_keeps_a_fast_vehicle_through_silence(rate_hz):
    tracker, seen = MotionTracker(), []
    for step in range(3 * rate_hz):
        t = step / rate_hz
        silent = 1.5 < t < 1.95
        box = (100 + 300 * t, 300, 120, 90, 0.9)
        tracks = tracker.update(t, heard() if silent else heard(box))
        if t > 0.5:
            (track,) = tracks
            seen.append(track.track_id)
            assert track.coasting == silent
            assert abs(track.box_px[0] - box[0]) < 25, 'the velocity carries it'
    assert set(seen) == {1}


def test_motion_coasting_ends():
    tracker = MotionTracker(coast_s=0.3)
    for step in range(5):
        tracker.update(step / 10, heard((0, 0, 100, 100, 0.9)))
    assert [len(tracker.update(0.5 + step / 10, heard())) for step in range(5)] == [1, 1, 1, 0, 0]


def test_motion_two_stages():
    tracker = MotionTracker()
    for step in range(3):
        tracker.update(step / 10, heard((0, 0, 100, 100, 0.9)))
    # The weak box lies nearer, the sure one is linked first.
    (track,) = tracker.update(0.3, heard((0, 0, 100, 100, 0.2), (20, 0, 100, 100, 0.9)))
    assert track.score == pytest.approx(0.9)
    (track,) = tracker.update(0.4, heard((15, 0, 100, 100, 0.2)))
    assert not track.coasting
    assert track.score == pytest.approx(0.2)
    assert MotionTracker().update(0, heard((0, 0, 9, 9, 0.2))) == []


def test_motion_a_single_click_is_no_vehicle():
    tracker = MotionTracker()
    assert tracker.update(0, heard((0, 0, 100, 100, 0.95))) == []
    assert tracker.update(0.1, heard()) == []
    assert tracker.update(0.2, heard()) == []


def test_motion_crossing_vehicles_keep_their_ids():
    tracker = MotionTracker()
    for step in range(40):
        t = step / 10
        left, right = 200 * t, 700 - 200 * t
        tracks = tracker.update(t, heard((left, 300, 100, 80, 0.9), (right, 330, 100, 80, 0.89)))
    by_id = {track.track_id: track.box_px[0] for track in tracks}
    assert set(by_id) == {1, 2}
    assert by_id[1] == pytest.approx(200 * 3.9, abs=15)
    assert by_id[2] == pytest.approx(700 - 200 * 3.9, abs=15)


@pytest.mark.parametrize('name', NAMES)
def test_bad_input_changes_nothing(name):
    tracker = make_tracker(name)
    for step in range(3):
        tracker.update(step / 10, heard((0, 0, 100, 100, 0.9)))
    with pytest.raises(AvdetError, match='finite'):
        tracker.update(float('nan'), heard())
    with pytest.raises(AvdetError, match='finite'):
        tracker.update(0.3, heard((0, 0, float('inf'), 5, 0.9)))
    assert ids(tracker.update(0.3, heard((0, 0, 100, 100, 0.9)))) == [1]


def test_names_and_parameters():
    with pytest.raises(AvdetError, match="expected one of iou, motion, found 'sort'"):
        make_tracker('sort')
    with pytest.raises(AvdetError, match=r"among start_score, .*found 'coast_s'"):
        make_tracker('iou', coast_s=1.0)
    with pytest.raises(
        AvdetError, match=r'start_score: expected a number from 0 to 1, found 1\.5'
    ):
        make_tracker('iou', start_score=1.5)
    with pytest.raises(AvdetError, match=r'coast_s: expected .* found nan'):
        make_tracker('motion', coast_s=float('nan'))
