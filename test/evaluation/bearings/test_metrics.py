"""Bearing metrics against worked examples and a slow implementation of the definition."""

from __future__ import annotations

import math

from helpers.examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

from avdet_ros.evaluation.bearings.metrics import (
    FoundBearings,
    TrueBearings,
    average_precision,
    bootstrap,
    difference_deg,
    match_bearings,
    match_window,
    merge_close,
    operating_point,
    recall_at,
)
from avdet_ros.evaluation.bearings.scores import (
    bearing_scores,
    calibration,
    f_score,
    range_scores,
)


def found(*pairs, range_m=None):
    azimuth, scores = np.array(pairs, float).reshape(-1, 2).T
    return FoundBearings(azimuth, scores, range_m)


def true(*azimuth, distance=15.0, level=0.0, visible=1.0):
    count = len(azimuth)
    return TrueBearings(
        np.array(azimuth, float),
        np.broadcast_to(np.array(distance, float), count),
        np.broadcast_to(np.array(level, float), count),
        np.broadcast_to(np.array(visible, float), count),
    )


def test_angles_wrap():
    np.testing.assert_allclose(difference_deg([179, -179, 5], [-179, 179, 2]), [-2, 2, 3])


def test_close_bearings_are_merged():
    merged = merge_close(found((10, 0.5), (11.9, 0.9), (13.8, 0.4), (14.1, 0.3), (-40, 0.2)))
    # 10 and 13.8 lie within 2 degrees of 11.9; 14.1 is near 13.8 only, which was merged.
    assert merged.azimuth_deg.tolist() == [11.9, 14.1, -40]
    assert merged.scores.tolist() == [0.9, 0.3, 0.2]


def test_best_bearing_takes_the_nearest_free_label():
    # The first bearing is 1 from the label at 10 and takes it; the second gets the one at 13.
    assert match_window(np.array([11, 10.5, 9]), np.array([10.0, 13.0]), 3).tolist() == [0, 1, -1]
    assert match_window(np.array([5.0]), np.array([8.0]), 3).tolist() == [0]
    assert match_window(np.array([5.0]), np.array([8.1]), 3).tolist() == [-1]
    assert match_window(np.zeros(2), np.zeros(0), 3).tolist() == [-1, -1]


EXAMPLE = [
    [(found((0, 0.9), (30, 0.6)), true(1.0, 31.0)), (found((-20, 0.8)), true(-10.0))],
    [(found((5, 0.7)), true(5.5)), (found(), true())],
]
"""Four windows, four labels; best first: hit, false, hit, hit."""


def test_average_precision_matches_hand_calculation():
    matched = match_bearings(EXAMPLE, 3)
    assert matched.hit.tolist() == [True, False, True, True]
    assert average_precision(matched) == pytest.approx((1 + 2 / 3 + 3 / 4) / 4)
    np.testing.assert_allclose(matched.error_deg, [-1, np.nan, -0.5, -1])


def test_recall_is_read_at_the_false_bearing_rate():
    matched = match_bearings(EXAMPLE, 3)
    point = operating_point(matched, 0.1)
    assert (point.threshold, point.bearings, point.false_a_window) == (0.9, 1, 0)
    assert recall_at(matched, point) == 1 / 4
    point = operating_point(matched, 0.25)
    assert (point.threshold, point.false_a_window) == (0.6, 0.25)
    assert recall_at(matched, point) == 3 / 4


def test_bearings_of_equal_score_are_kept_or_dropped_together():
    windows = [[(found((0, 0.5), (50, 0.5)), true(0.0))] * 3]
    matched = match_bearings(windows, 3)
    assert average_precision(matched) == pytest.approx(0.5)
    assert operating_point(matched, 0.9).bearings == 0
    assert math.isinf(operating_point(matched, 0.9).threshold)
    assert recall_at(matched, operating_point(matched, 1.0)) == 1


def test_subset_ignores_bearings_matched_to_other_labels():
    matched = match_bearings(EXAMPLE, 3)
    first = matched.every_label
    first[1:] = False
    assert average_precision(matched, first) == 1
    last = ~matched.every_label
    last[3] = True
    # The hit at 0.9 belongs to another label; the false bearing at 0.8 counts.
    assert average_precision(matched, last) == pytest.approx(1 / 2)
    assert recall_at(matched, operating_point(matched, 0.25), last) == 1


def test_metrics_are_nan_without_labels():
    matched = match_bearings([[(found((0, 0.5)), true())]], 3)
    ap, recall = bootstrap(matched)
    assert all(math.isnan(x) for x in (ap.value, ap.low, recall.value, recall.high))
    nothing_found = match_bearings([[(found(), true(3.0))]], 3)
    assert average_precision(nothing_found) == 0
    assert bootstrap(nothing_found)[1].value == 0


def slow_scores(drives, within, most_false):
    """AP and recall by the definition: every window is matched again for each threshold."""
    windows = [window for drive in drives for window in drive]
    labels = sum(len(true.azimuth_deg) for _, true in windows)
    thresholds = sorted({float(s) for f, _ in windows for s in f.scores}, reverse=True)
    area, last, recall = 0.0, 0.0, 0.0
    for threshold in thresholds:
        hits = wrong = 0
        for its, truth in windows:
            order = sorted(range(len(its.scores)), key=lambda i: -its.scores[i])
            kept, free = [], list(truth.azimuth_deg)
            for i in order:
                azimuth = its.azimuth_deg[i]
                if any(abs((azimuth - other + 180) % 360 - 180) <= 2 for other in kept):
                    continue
                kept.append(azimuth)
                if its.scores[i] < threshold:
                    continue
                distance = [abs((azimuth - a + 180) % 360 - 180) for a in free]
                if free and min(distance) <= within:
                    del free[distance.index(min(distance))]
                    hits += 1
                else:
                    wrong += 1
        area += (hits - last) / labels * hits / (hits + wrong) if hits + wrong else 0
        last = hits
        if wrong / len(windows) <= most_false:
            recall = hits / labels
    return area, recall


@st.composite
def some_drives(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    levels = draw(st.sampled_from([3, 1000]))
    drives = []
    for _ in range(draw(st.integers(1, 5))):
        windows = []
        for _ in range(int(rng.integers(1, 4))):
            truth = rng.uniform(-50, 50, int(rng.integers(0, 5)))
            near = truth[rng.random(len(truth)) < 0.8]
            azimuth = np.concatenate([near, rng.uniform(-50, 50, int(rng.integers(0, 4)))])
            azimuth = azimuth + rng.normal(0, 2, len(azimuth))
            scores = rng.integers(0, levels, len(azimuth)) / levels
            windows.append((FoundBearings(azimuth, scores), true(*truth)))
        drives.append(windows)
    return drives


@settings(max_examples=examples(150), deadline=None)
@given(some_drives(), st.sampled_from([0.1, 0.5, 1.0]))
def test_one_pass_scores_match_the_definition(drives, most_false):
    if not any(len(truth.azimuth_deg) for drive in drives for _, truth in drive):
        return
    matched = match_bearings(drives, 3)
    ap, recall = slow_scores(drives, 3, most_false)
    assert average_precision(matched) == pytest.approx(ap)
    assert recall_at(matched, operating_point(matched, most_false)) == pytest.approx(recall)


@settings(max_examples=examples(30), deadline=None)
@given(some_drives())
def test_bootstrap_weights_equal_repeated_drives(drives):
    """One draw of the bootstrap equals the same drives listed repeatedly."""
    from avdet_ros.evaluation.bearings import metrics as bearings

    matched = match_bearings(drives, 3)
    times = np.arange(len(drives)) % 3
    copies = [drive for drive, count in zip(drives, times, strict=True) for _ in range(count)]
    written = match_bearings(copies, 3)
    if not len(written.label_drive):
        return
    weights = times[None].astype(float)
    ap = bearings._average_precision(matched, None, weights)
    recall = bearings._recall(matched, None, weights, 0.5)
    assert ap[0] == pytest.approx(average_precision(written))
    assert recall[0] == pytest.approx(recall_at(written, operating_point(written, 0.5)))


def test_bootstrap_intervals_cover_the_true_value():
    """About 95 of 100 intervals from 60 drives contain the value of very many drives."""
    rng = np.random.default_rng(4)

    def drives(count):
        made = []
        for _ in range(count):
            good = rng.uniform(0.3, 0.9)
            truth = rng.uniform(-50, 50, 3)
            hits = truth[rng.random(3) < good]
            azimuth = np.concatenate([hits, rng.uniform(60, 90, 1)])
            scores = np.concatenate([rng.uniform(0.2, 1, len(hits)), rng.uniform(0, 0.5, 1)])
            made.append([(FoundBearings(azimuth, scores), true(*truth))])
        return made

    whole = average_precision(match_bearings(drives(4000), 3))
    inside = 0
    for seed in range(60):
        ap, _ = bootstrap(match_bearings(drives(60), 3), resamples=200, seed=seed)
        inside += ap.low <= whole <= ap.high
    assert 50 <= inside <= 60


def test_f_score_uses_the_threshold_of_the_other_half():
    # In both drives the hit has the better score: each half's best threshold keeps it alone.
    drive = [(found((0, 0.9), (40, 0.2)), true(10.0))]
    assert f_score(match_bearings([drive, drive], 20)) == 1
    # The second drive's good threshold, 0.2, also keeps the false bearing of the first: 2 * 2 / 5.
    other = [(found((0, 0.2)), true(1.0))]
    assert f_score(match_bearings([drive, other], 20)) == pytest.approx(2 * 1 / (2 + 2))
    assert math.isnan(f_score(match_bearings([drive], 20)))


def test_range_error_and_coverage_match_hand_calculation():
    ranges = np.array([[8, 12, 20], [10, 30, 35], [1, 2, 3]], float)
    its = found((0, 0.9), (20, 0.8), (60, 0.7), range_m=ranges)
    matched = match_bearings([[(its, true(0.0, 20.0, distance=(10.0, 40.0)))]], 3)
    scores = range_scores(matched, operating_point(matched, 1.0))
    assert scores['all'] == {
        'name': 'all',
        'matches': 2,
        'median': pytest.approx((0.2 + 0.25) / 2),
        'p90': pytest.approx(0.2 + 0.9 * 0.05),
        'coverage': 0.5,
    }
    assert [entry['matches'] for entry in scores['by_distance']] == [0, 1, 0, 1]
    assert scores['middle']['matches'] == 1
    assert range_scores(match_bearings(EXAMPLE, 3), operating_point(matched, 1)) is None


def test_calibration_matches_hand_calculation():
    matched = match_bearings(EXAMPLE, 3)
    result = calibration(matched)
    filled = [(b['low'], b['right']) for b in result['bins'] if b['bearings']]
    np.testing.assert_allclose(filled, [(0.6, 1), (0.7, 1), (0.8, 0), (0.9, 1)])
    assert result['error'] == pytest.approx((0.4 + 0.3 + 0.8 + 0.1) / 4)


def test_scores_are_split_by_distance_level_and_visibility():
    three = true(
        *(0.0, 20.0, 40.0),
        distance=(5.0, 15.0, 69.0),
        level=(3.0, -15.0, 9.0),
        visible=(1.0, 0.2, 0.1),
    )
    drives = [
        [(found((0, 0.9), (20, 0.8)), three)],
        [(found((5, 0.7)), true(5.5, distance=12.0, level=-7.0))],
    ]
    scores = bearing_scores(drives, resamples=20)
    assert scores['labels'] == 4
    assert scores['windows'] == scores['drives'] == 2
    assert scores['recall']['value'] == 3 / 4
    near = {entry['name']: entry for entry in scores['by_distance']}
    assert [near[name]['labels'] for name in near] == [1, 2, 0, 1]
    assert near['10-20 m']['recall']['value'] == 1
    assert near['40-70 m']['recall']['value'] == 0
    level = {entry['name']: entry['recall']['value'] for entry in scores['by_level']}
    assert level['-18 to -12 dB'] == level['-12 to -6 dB'] == level['0 to 6 dB'] == 1
    assert level['above 6 dB'] == 0
    assert scores['hidden']['labels'] == 2
    assert scores['hidden']['recall']['value'] == 0.5
    assert scores['error_deg']['median'] == 0
    assert scores['range'] is None
