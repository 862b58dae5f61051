from __future__ import annotations

import numpy as np
import pytest

from avdet_ros.detection.boxes import Detections
from avdet_ros.evaluation.boxes.metrics import (
    IOU_THRESHOLDS,
    average_precision,
    coco_average_precision,
    detection_metrics,
    drive_hits,
    match,
)
from avdet_ros.evaluation.runs.record import TruthFrame

SIZE = 1920, 650


def boxes_with(boxes, scores):
    return Detections(np.array(boxes, np.float32).reshape(-1, 4), np.array(scores, np.float32))


def random_frames(seed, count=150):
    rng = np.random.default_rng(seed)

    def boxes(number):
        corner, size = rng.uniform(0, 800, (number, 2)), rng.uniform(60, 300, (number, 2))
        return np.concatenate([corner, corner + size], axis=1)

    truth, detections = [], []
    for _ in range(count):
        true = boxes(rng.integers(0, 4))
        found = true[rng.random(len(true)) < 0.8]
        found = np.concatenate([found + rng.normal(0, 12, found.shape), boxes(rng.integers(0, 3))])
        scores = np.sort(rng.random(len(found)))[::-1]
        truth.append(TruthFrame.of(true, range(len(true))))
        detections.append(boxes_with(rng.permutation(found), scores))
    return truth, detections


def test_perfect_boxes_score_one():
    truth, _ = random_frames(0)
    perfect = [boxes_with(frame.boxes_px, np.ones(len(frame))) for frame in truth]
    metrics = detection_metrics(truth, perfect, SIZE)
    assert [metrics.map, metrics.map50, metrics.map75] == pytest.approx([1, 1, 1])
    assert metrics.cdx == pytest.approx(0, abs=1e-4)
    assert metrics.recall50 == 1
    assert (metrics.frames, metrics.boxes) == (150, sum(len(frame) for frame in truth))


def test_average_precision_matches_worked_example():
    # Two vehicles; the best-scored box misses, the second hits one: precision 1/2 at recall 1/2.
    truth = [TruthFrame.of([[0, 0, 100, 100], [500, 0, 600, 100]], [1, 2])]
    found = [boxes_with([[900, 0, 999, 100], [500, 0, 600, 100]], [0.9, 0.8])]
    metrics = detection_metrics(truth, found, SIZE)
    assert [metrics.map, metrics.map50] == pytest.approx([0.5 * 51 / 101] * 2)
    assert metrics.recall50 == 0.5


def test_centre_distances_are_in_per_cent_of_the_picture():
    truth = [TruthFrame.of([[100, 100, 200, 200]], [1])]
    # Wider about the same centre: the distance is zero, although the corners differ.
    assert detection_metrics(truth, [boxes_with([[75, 100, 225, 200]], [1])], SIZE).cdx == 0
    moved = detection_metrics(truth, [boxes_with([[110, 95, 210, 195]], [1])], SIZE)
    assert moved.cdx == pytest.approx(100 * 10 / 1920)
    assert moved.cdy == pytest.approx(100 * 5 / 650)


def test_metrics_handle_frames_without_truth_or_boxes():
    nothing, some = TruthFrame.of([], []), TruthFrame.of([[0, 0, 50, 50]], [1])
    box = boxes_with([[0, 0, 50, 50]], [0.9])
    assert np.isnan(detection_metrics([nothing], [box], SIZE).map)
    assert np.isnan(detection_metrics([], [], SIZE).map)
    assert detection_metrics([some], [Detections()], SIZE).map == 0
    assert np.isnan(detection_metrics([some], [Detections()], SIZE).cdx)
    # A false alarm in an empty frame lowers precision: it ranks before the hit.
    early = detection_metrics([nothing, some], [boxes_with([[0, 0, 50, 50]], [0.95]), box], SIZE)
    assert early.map50 == pytest.approx(0.5)


@pytest.mark.parametrize('seed', [1, 2, 3])
def test_average_precision_by_drives_matches_coco(seed):
    truth, detections = random_frames(seed)
    expected = coco_average_precision(truth, detections)
    assert expected.shape == IOU_THRESHOLDS.shape
    assert 0.05 < expected[0] < 0.95
    halves = [drive_hits(truth[part], detections[part]) for part in (slice(70), slice(70, None))]
    np.testing.assert_allclose(average_precision(halves), expected, atol=1e-9)


def test_average_precision_is_nan_without_truth_and_zero_without_boxes():
    nothing, some = TruthFrame.of([], []), TruthFrame.of([[0, 0, 50, 50]], [1])
    assert np.isnan(average_precision([drive_hits([nothing], [Detections()])])).all()
    assert np.isnan(average_precision([])).all()
    assert (average_precision([drive_hits([some], [Detections()])]) == 0).all()


def test_match_assigns_each_true_box_once():
    boxes = np.array([[0, 0, 100, 100], [0, 0, 100, 95], [5, 0, 105, 100]], float)
    assert match(boxes, boxes[:1], 0.5).tolist() == [0, -1, -1]
    assert match(boxes, np.zeros((0, 4)), 0.5).tolist() == [-1, -1, -1]
    assert match(np.zeros((0, 4)), boxes, 0.5).tolist() == []
