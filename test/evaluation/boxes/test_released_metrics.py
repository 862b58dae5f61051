"""The authors' metrics, calculated by hand on their canvas."""

from __future__ import annotations

import numpy as np
import pytest

from avdet_ros.detection.boxes import Detections
from avdet_ros.evaluation.boxes.released_metrics import released_metrics
from avdet_ros.evaluation.runs.record import TruthFrame

SCALE = 768 / 1520
BOX = [400.0, 100.0, 500.0, 180.0]


def frame(*boxes):
    return TruthFrame.of(list(boxes), list(range(len(boxes))))


def found(*boxes, scores=None):
    scores = np.linspace(0.9, 0.5, len(boxes)) if scores is None else scores
    return Detections(
        np.array(boxes, np.float32).reshape(-1, 4), np.array(scores, np.float32).reshape(-1)
    )


def test_identical_boxes_are_perfect():
    metrics = released_metrics([frame(BOX)], [found(BOX)], 1920)
    assert metrics == {'map': 1, 'map50': 1, 'map75': 1, 'cdx': 0, 'cdy': 0}


def test_centre_distances_are_size_differences_on_768_pixels():
    wide = [350.0, 90.0, 510.0, 200.0]  # 60 px wider, 30 px higher
    metrics = released_metrics([frame(BOX)], [found(wide)], 1920)
    assert metrics['cdx'] == pytest.approx(100 * 60 * SCALE / 768)
    assert metrics['cdy'] == pytest.approx(100 * 30 * SCALE / 768)
    shifted = [450.0, 130.0, 550.0, 210.0]
    metrics = released_metrics([frame(BOX)], [found(shifted)], 1920)
    assert (metrics['cdx'], metrics['cdy']) == pytest.approx((0, 0), abs=1e-5)


def test_unmatched_true_box_counts_its_whole_size():
    metrics = released_metrics([frame(BOX, BOX)], [found(BOX)], 1920)
    assert metrics['cdx'] == pytest.approx(100 * 100 * SCALE / 2 / 768)
    assert metrics['map50'] == pytest.approx(0.5)


def test_overlap_counts_whole_pixels():
    # On the canvas 10 x 10 px, shifted by 2: with both ends 9 * 11 of 2 * 121 - 99 are shared.
    true = [400.0, 100.0, 400 + 10 / SCALE, 100 + 10 / SCALE]
    moved = [400 + 2 / SCALE, 100.0, 400 + 12 / SCALE, 100 + 10 / SCALE]
    overlap = 9 * 11 / (2 * 121 - 99)
    assert 0.65 < overlap < 0.7
    metrics = released_metrics([frame(true)], [found(moved)], 1920)
    # Right at 0.50, 0.55, 0.60 and 0.65 of nine thresholds; COCO's 8 / 12 would be too.
    assert metrics['map'] == pytest.approx(4 / 9)
    assert metrics['map75'] == 0


def test_false_boxes_in_frames_without_truth_are_ignored():
    truth = [frame(BOX), frame()]
    boxes = [found(BOX, scores=[0.5]), found(BOX, BOX, scores=[0.9, 0.8])]
    assert released_metrics(truth, boxes, 1920)['map'] == 1


def test_average_precision_is_the_area_under_the_envelope():
    other = [900.0, 100.0, 1000.0, 180.0]
    away = [1300.0, 300.0, 1400.0, 400.0]
    # Right, wrong, right: recall 1/2 at precision 1, recall 1 at precision 2/3.
    metrics = released_metrics([frame(BOX, other)], [found(BOX, away, other)], 1920)
    assert metrics['map50'] == pytest.approx(0.5 + 0.5 * 2 / 3)


def test_weak_boxes_and_columns_outside_the_crop_are_ignored():
    assert released_metrics([frame(BOX)], [found(BOX, scores=[0.29])], 1920)['map'] == 0
    cut = released_metrics([frame([100.0, 100, 300, 180])], [found([200.0, 100, 300, 180])], 1920)
    assert cut['map'] == 1


def test_map_is_nan_without_truth_and_missed_boxes_count_their_size():
    assert np.isnan(released_metrics([frame()], [found(BOX)], 1920)['map'])
    assert released_metrics([frame(BOX)], [found()], 1920)['cdy'] == pytest.approx(
        100 * 80 * SCALE / 768
    )
