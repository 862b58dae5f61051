"""Properties that hold for every tracker."""

from __future__ import annotations

from helpers.examples import examples
from helpers.tracks import detections_of, drives, ids
from hypothesis import given, settings
import numpy as np
import pytest

from avdet_ros.errors import AvdetError
from avdet_ros.tracking import TRACKERS, make_tracker

NAMES = sorted(TRACKERS.names())


def plain(results):
    return [
        [
            (t.track_id, *t.box_px.tolist(), t.score, t.age_s, t.last_seen_s, t.coasting)
            for t in tracks
        ]
        for tracks in results
    ]


@pytest.mark.parametrize('name', NAMES)
@settings(max_examples=examples(60), deadline=None)
@given(windows=drives())
def test_every_tracker_obeys_the_common_rules(name, windows):
    tracker, other = make_tracker(name), make_tracker(name)
    results = [tracker.update(*window) for window in windows]
    ended, alive = set(), set()
    for (stamp_s, detections), tracks in zip(windows, results, strict=True):
        seen = ids(tracks)
        assert seen == sorted(set(seen)), 'each id belongs to one track, listed by id'
        remembers = getattr(tracker, 'remembers', False)
        assert remembers or not ended & set(seen), 'an id that ended is not used again'
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
@settings(max_examples=examples(30), deadline=None)
@given(windows=drives())
def test_jump_back_in_time_restarts_the_tracker(name, windows):
    fresh, tracker = make_tracker(name), make_tracker(name)
    tracker.update(windows[-1][0] + 5.0, detections_of((0, 0, 50, 50, 0.95)))
    expected = plain(fresh.update(*window) for window in windows)
    assert plain(tracker.update(*window) for window in windows) == expected


@pytest.mark.parametrize('name', NAMES)
@settings(max_examples=examples(30), deadline=None)
@given(windows=drives())
def test_ids_are_first_published_in_ascending_order(name, windows):
    tracker = make_tracker(name)
    for first_id in (1, 100):
        tracker.reset(first_id)
        published = []
        for window in windows:
            published += [
                identity for identity in ids(tracker.update(*window)) if identity not in published
            ]
        assert published == sorted(published)
        assert all(identity >= first_id for identity in published)


@pytest.mark.parametrize('name', NAMES)
def test_invalid_input_raises_and_changes_nothing(name):
    tracker = make_tracker(name)
    for step in range(3):
        tracker.update(step / 10, detections_of((0, 0, 100, 100, 0.9)))
    with pytest.raises(AvdetError, match='finite'):
        tracker.update(float('nan'), detections_of())
    with pytest.raises(AvdetError, match='finite'):
        tracker.update(0.3, detections_of((0, 0, float('inf'), 5, 0.9)))
    assert ids(tracker.update(0.3, detections_of((0, 0, 100, 100, 0.9)))) == [1]


def test_invalid_tracker_names_and_parameters_are_rejected():
    with pytest.raises(AvdetError, match="expected one of ground, iou, motion, found 'sort'"):
        make_tracker('sort')
    with pytest.raises(AvdetError, match=r"among new_track_threshold, .*found 'coast_s'"):
        make_tracker('iou', coast_s=1.0)
    with pytest.raises(
        AvdetError, match=r'new_track_threshold: expected a number from 0 to 1, found 1\.5'
    ):
        make_tracker('iou', new_track_threshold=1.5)
    with pytest.raises(AvdetError, match=r'coast_s: expected .* found nan'):
        make_tracker('motion', coast_s=float('nan'))


def test_old_parameter_names_still_work(caplog):
    old = make_tracker('motion', start_score=0.9, sure_score=0.6)
    assert (old._new_track_threshold, old._high_threshold) == (0.9, 0.6)
    assert 'parameter start_score is now new_track_threshold' in caplog.text
