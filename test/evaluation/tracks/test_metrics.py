from __future__ import annotations

import numpy as np
import pytest

from avdet_ros.evaluation.runs.record import TruthFrame
from avdet_ros.evaluation.tracks.metrics import combine, drive_scores, track_metrics
from avdet_ros.tracking import Track

LEFT, RIGHT = [0, 0, 100, 100], [500, 0, 600, 100]


def tracks(*pairs):
    return [Track(track_id, np.array(box, np.float32), 0.9, 0, 0) for track_id, box in pairs]


def two(count=10):
    return [TruthFrame.of([LEFT, RIGHT], [7, 9]) for _ in range(count)]


def test_perfect_tracks_score_one():
    metrics = track_metrics([two()], [[tracks((1, LEFT), (2, RIGHT))] * 10])
    assert metrics.mota == metrics.idf1 == metrics.hota == 1
    assert (metrics.switches, metrics.fragmentations, metrics.boxes) == (0, 0, 20)


def test_identity_switches_lower_mota_and_idf1():
    found = [tracks((1, LEFT), (2, RIGHT))] * 5 + [tracks((2, LEFT), (1, RIGHT))] * 5
    metrics = track_metrics([two()], [found])
    assert metrics.switches == 2
    assert metrics.mota == pytest.approx(1 - 2 / 20)
    assert metrics.idf1 == pytest.approx(0.5)


def test_gap_counts_as_fragmentation_and_misses():
    found = [tracks((1, LEFT), (2, RIGHT))] * 4 + [tracks((1, LEFT))] * 2
    found += [tracks((1, LEFT), (2, RIGHT))] * 4
    metrics = track_metrics([two()], [found])
    assert (metrics.fragmentations, metrics.false_negatives, metrics.switches) == (1, 2, 0)
    assert (metrics.boxes, metrics.false_positives) == (20, 0)
    assert metrics.mota == pytest.approx(0.9)


def test_false_tracks_count_as_false_positives():
    found = [tracks((1, LEFT), (2, RIGHT), (3, [900, 0, 950, 90]))] * 10
    metrics = track_metrics([two()], [found])
    assert metrics.false_positives == 10
    assert metrics.mota == pytest.approx(0.5)


def test_metrics_handle_missing_tracks_and_vehicles():
    silent = track_metrics([two()], [[[]] * 10])
    assert (silent.mota, silent.idf1, silent.hota, silent.false_negatives) == (0, 0, 0, 20)
    empty = [TruthFrame.of([], [])] * 10
    lost = track_metrics([empty], [[tracks((1, LEFT))] * 10])
    assert np.isnan(lost.mota)
    assert lost.false_positives == 10
    assert track_metrics([], []).boxes == 0
    # False alarms of a drive without vehicles still count in the total.
    both = track_metrics(
        [two(), empty], [[tracks((1, LEFT), (2, RIGHT))] * 10, [tracks((1, LEFT))] * 10]
    )
    assert both.mota == pytest.approx(0.5)


def test_identities_are_local_to_a_drive():
    good = drive_scores(two(), [tracks((1, LEFT), (2, RIGHT))] * 10)
    other = drive_scores(two(), [tracks((2, LEFT), (1, RIGHT))] * 10)
    assert combine([good, other]).switches == 0
    assert combine([good, other]).mota == 1


def test_hota_is_the_mean_over_nineteen_thresholds():
    # Every box is shifted so that its IoU is 0.6: a match at 0.05, 0.10, ... 0.60 and not above.
    shift = 100 * (1 - 0.6) / (1 + 0.6)
    moved = tracks((1, [shift, 0, 100 + shift, 100]), (2, [500 + shift, 0, 600 + shift, 100]))
    metrics = track_metrics([two()], [[moved] * 10])
    assert 11 / 19 - 1e-6 <= metrics.hota <= 12 / 19 + 1e-6
