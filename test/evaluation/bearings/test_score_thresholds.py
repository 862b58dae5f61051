"""Precision, recall and false boxes at score thresholds, calculated by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from avdet_ros.detection.boxes import Detections
from avdet_ros.evaluation.bearings.metrics import FoundBearings, TrueBearings
from avdet_ros.evaluation.bearings.score_thresholds import (
    THRESHOLDS,
    false_boxes,
    rows_of,
    threshold_scores,
)
from avdet_ros.evaluation.boxes.metrics import DriveHits


def window(found, true_deg):
    """A window with found bearings, given as (degrees, score), and true bearings."""
    azimuths, scores = np.array(found).reshape(-1, 2).T
    count = len(true_deg)
    truth = TrueBearings(np.array(true_deg), np.ones(count), np.zeros(count), np.ones(count))
    return FoundBearings(azimuths, scores), truth


def test_threshold_scores_match_hand_calculation():
    drives = [
        [window([(10.0, 0.9), (40.0, 0.35)], [11.0, -20.0]), window([(5.0, 0.6)], [])],
        [window([(0.0, 0.5)], [1.0]), window([], [30.0])],
    ]
    hits = [
        DriveHits(np.array([0.9, 0.35, 0.6]), np.array([[True, False, False]] * 10), 2),
        DriveHits(np.array([0.5]), np.zeros((10, 1), bool), 2),
    ]
    by_score = {its['score']: its for its in threshold_scores(drives, hits)}
    assert list(by_score) == list(THRESHOLDS)
    low, high, none = by_score[0.1], by_score[0.5], by_score[0.9]
    assert (low['precision'], low['recall']) == (2 / 4, 2 / 4)
    assert low['false_a_minute'] == 600 * 2 / 4
    assert (high['precision'], high['recall']) == (2 / 3, 2 / 4), 'a score of 0.5 counts at 0.5'
    assert (high['box_precision'], high['box_recall']) == (1 / 3, 1 / 4)
    assert (none['precision'], none['recall'], none['false_a_minute']) == (1, 1 / 4, 0)


def test_precision_is_nan_without_bearings():
    first = threshold_scores([[window([], [3.0])]], [])[0]
    assert math.isnan(first['precision'])
    assert first['recall'] == 0
    assert math.isnan(first['box_recall'])


def test_false_boxes_are_counted_per_minute():
    box = np.float32([[0, 0, 9, 9]])
    found = [Detections(box, np.float32([0.3])), Detections(), Detections(), Detections()]
    assert false_boxes(found) == [150, 150, 150, *[0] * 6]


def test_rows_include_quiet_roads_only_when_measured():
    by_score = threshold_scores([[window([(1.0, 0.9)], [1.0])]], [])
    lines = rows_of({'thresholds': by_score, 'quiet': {'false_boxes': [3.0] * 9}})
    assert lines[0] == ('bearings that are right', [1.0] * 9, '{:.2f}')
    assert lines[-1] == ('on empty roads, boxes a minute', [3.0] * 9, '{:.1f}')
    assert len(rows_of({'thresholds': by_score, 'quiet': None})) == len(lines) - 1


@pytest.mark.parametrize('score', THRESHOLDS)
def test_thresholds_are_rounded_to_one_decimal(score):
    assert score == float(f'{score:.1f}')
