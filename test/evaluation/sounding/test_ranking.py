"""Average precision and related scores of rankings, calculated by hand."""

from __future__ import annotations

import numpy as np
import pytest

from avdet_ros.evaluation.sounding import ranking

SCORES = np.array([0.9, 0.8, 0.7, 0.6, 0.5])
SOUNDS = np.array([True, False, True, True, False])


def test_ranking_scores_match_hand_calculation():
    found = ranking.rank(SCORES, SOUNDS)
    # Precision at sounding boxes: 1/1, 2/3, 3/4; at inaudible ones from below: 1/1, 2/4.
    assert found.ap_sounding == pytest.approx((1 + 2 / 3 + 3 / 4) / 3)
    assert found.ap_inaudible == pytest.approx((1 + 2 / 4) / 2)
    # Four of six pairs are in order: .9 ranks above both, .7 and .6 above the last.
    assert found.roc_auc == pytest.approx(4 / 6)
    assert (found.boxes, found.sounding) == (5, 3)


def test_equal_scores_rank_like_a_constant():
    found = ranking.rank(np.zeros(10), np.arange(10) < 7)
    assert (found.ap_sounding, found.ap_inaudible) == pytest.approx((0.7, 0.3))
    assert found.roc_auc == 0.5
    # One of each at the top and one sounding below: 1/2 for the tie, 2/3.
    tied = ranking.average_precision(np.array([1, 1, 0]), np.array([True, False, True]))
    assert tied == pytest.approx((1 / 2 + 2 / 3) / 2)


def test_scores_of_a_missing_class_are_nan():
    found = ranking.rank(SCORES, np.ones(5, bool))
    assert found.ap_sounding == 1
    assert np.isnan(found.ap_inaudible)
    assert np.isnan(found.roc_auc)
    assert np.isnan(ranking.rank(np.zeros(0), np.zeros(0, bool)).ap_sounding)


def test_best_threshold_maximises_accuracy():
    # Above .65 two are right and one is wrong; above .55 three and one, which is best.
    threshold = ranking.best_threshold(SCORES, SOUNDS)
    assert threshold == pytest.approx(0.55)
    assert ranking.accuracy(SCORES, SOUNDS, threshold) == pytest.approx(4 / 5)
    assert ranking.accuracy(SCORES, ~SOUNDS, threshold) == pytest.approx(1 / 5)
    assert ranking.best_threshold(SCORES, np.zeros(5, bool)) == np.inf
    assert ranking.accuracy(SCORES, np.zeros(5, bool), np.inf) == 1


def test_reliability_bins_count_and_average_scores():
    bins = ranking.reliability(np.array([0.05, 0.01, 0.95, 1.0]), np.array([0, 1, 1, 1], bool))
    assert bins[0] == pytest.approx([2, 0.03, 0.5])
    assert bins[-1] == pytest.approx([2, 0.975, 1.0])
    assert bins[4, 0] == 0
    assert np.isnan(bins[4, 1:]).all()


def test_interval_resamples_whole_drives():
    drive = np.repeat([0, 1, 2], [1, 1, 8])
    values = np.repeat([0.0, 0.0, 1.0], [1, 1, 8])
    low, high = ranking.interval(lambda places: values[places].mean(), drive)
    assert (low, high) == (0.0, 1.0), 'a drive is drawn as a whole or not at all'
    again = ranking.interval(lambda places: values[places].mean(), drive)
    assert again == (low, high)
    assert np.isnan(ranking.interval(lambda places: 1.0, np.zeros(5))).all()
    assert np.isnan(ranking.interval(lambda places: np.nan, drive)).all()


def test_ndcg_matches_hand_calculation():
    relevance = np.array([[1.0, 0.5, 0.0]])
    best = ranking.ndcg(np.array([[3.0, 2, 1]]), relevance)
    assert best == 1
    worst = ranking.ndcg(np.array([[1.0, 2, 3]]), relevance)
    gain = 0.5 / np.log2(3) + 1 / np.log2(4)
    assert worst == pytest.approx(gain / (1 + 0.5 / np.log2(3)))
    assert worst < ranking.chance_ndcg(relevance) < best
    assert np.isnan(ranking.ndcg(np.ones((1, 3)), np.zeros((1, 3))))
    assert ranking.ndcg(np.array([[1.0, 2, 3]]), relevance, most=1) == 0


def test_frames_with_equal_counts_per_side_are_fully_relevant():
    alike = ranking.relevance_of([[1, 0], [1, 0], [0, 2]])
    assert alike[0].tolist() == [1, 1, 0.25]
