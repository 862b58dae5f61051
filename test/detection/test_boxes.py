"""Box arithmetic against hand calculations, with boxes that are not square."""

from __future__ import annotations

import numpy as np
import pytest

from avdet_ros.detection.boxes import (
    Detections,
    box_area,
    box_centres,
    box_iou,
    clip_boxes,
    inside_share,
    nms,
)

BOXES = np.array([[0.0, 0, 40, 10], [20, 5, 40, 25], [100, 0, 110, 50]])


@pytest.fixture
def found():
    ranges = np.array([[1, 2, 3], [4, 5, 6], [7, 8, 9]], np.float32)
    scores = np.array([0.9, 0.5, 0.5], np.float32)
    return Detections(BOXES.astype(np.float32), scores, ranges, np.array([0.1, 0.2, 0.3]))


def test_box_iou_returns_the_overlap_of_every_pair():
    # 20 x 5 of 400 and 400 square pixels; the third box overlaps none.
    expected = [[1, 100 / 700, 0], [100 / 700, 1, 0], [0, 0, 1]]
    np.testing.assert_allclose(box_iou(BOXES, BOXES), expected)
    assert box_iou(BOXES[:2], BOXES[2:]).shape == (2, 1)
    assert box_iou([], BOXES).shape == (0, 3)
    # Boxes apart in one direction or both, touching boxes and boxes of zero size.
    assert box_iou([[0, 0, 10, 10]], [[0, 20, 10, 30]])[0, 0] == 0
    assert box_iou([[0, 0, 10, 10]], [[20, 20, 30, 30]])[0, 0] == 0
    assert box_iou([[0, 0, 10, 10]], [[10, 0, 20, 10]])[0, 0] == 0
    assert box_iou([[5, 5, 5, 5]], [[5, 5, 5, 5]])[0, 0] == 0


def test_inside_share_returns_the_part_inside_the_image():
    boxes = [
        [-30, 0, 10, 20],
        [10, -10, 30, 90],
        [200, 0, 210, 20],
        [5, 5, 5, 9],
        [-50, -40, 150, 120],
    ]
    shares = inside_share(np.array(boxes, np.float32), 100, 80)
    np.testing.assert_allclose(shares, [0.25, 0.8, 0, 0, 0.25])


def test_area_centres_and_clipping_match_hand_calculation():
    assert box_area(BOXES).tolist() == [400, 400, 500]
    assert box_area(np.array([[5, 0, 3, 9], [3, 9, 1, 0]])).tolist() == [0, 0]
    assert box_centres(BOXES).tolist() == [[20, 5], [30, 15], [105, 25]]
    assert clip_boxes(np.array([[-5.0, -6, 700, 800]]), 640, 480).tolist() == [[0, 0, 640, 480]]
    assert clip_boxes(np.array([[650.0, 490, 700, 800]]), 640, 480).tolist() == [
        [640, 480, 640, 480]
    ]


def test_nms_keeps_the_best_of_overlapping_boxes():
    boxes = np.array([[0.0, 0, 40, 10], [4, 0, 44, 10], [100, 0, 140, 10], [0, 0, 40, 10]])
    scores = np.array([0.5, 0.9, 0.1, 0.5])
    # An IoU of 36 / 44.
    assert nms(boxes, scores, 0.5).tolist() == [1, 2]
    assert nms(boxes, scores, 0.9).tolist() == [1, 0, 2]
    assert nms(boxes, scores, 36 / 44).tolist() == [1, 0, 2]
    assert nms(boxes[:0], scores[:0], 0.5).tolist() == []
    assert nms(boxes, scores, 0.5).dtype == np.int64


def test_best_and_above_limit_boxes_by_score_and_count(found):
    assert found.best(0.5, 2).scores.tolist() == [np.float32(0.9), 0.5]
    assert found.best(0.5, 2).azimuth_rad.tolist() == [0.1, 0.2]
    assert len(found.best(0.5, 9)) == 3
    assert len(found.best(0.6, 9)) == 1
    assert len(found.best(0.1, 0)) == 0
    assert len(found.above(0.5)) == 1
    assert len(found.above(0.4)) == 3


def test_only_keeps_ranges_and_bearings(found):
    some = found.only(np.array([False, True, True]))
    assert some.boxes_px.tolist() == BOXES[1:].tolist()
    assert some.range_m.tolist() == [[4, 5, 6], [7, 8, 9]]
    assert some.azimuth_rad.tolist() == [0.2, 0.3]
    plain = Detections(found.boxes_px, found.scores).only(np.array([True, False, False]))
    assert (plain.range_m, plain.azimuth_rad, len(plain)) == (None, None, 1)
    assert (len(Detections()), Detections().boxes_px.shape) == (0, (0, 4))
