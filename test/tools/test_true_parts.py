from __future__ import annotations

import numpy as np
import pytest
import torch
from true_parts import ELEVATION, PARTS, WIDTH, corrected, errors, matched

from avdet_ros.training.any_array.boxes import plane_boxes
from avdet_ros.training.any_array.fitting.validation import FoundInWindow

TRUE_DEG = np.array([[10.0, -1.0, 6.0, 4.0], [-20.0, -0.5, 3.0, 2.0]], np.float32)


def window(*angles):
    angles = np.array(angles, np.float32).reshape(-1, 4)
    boxes = plane_boxes(torch.from_numpy(angles)).numpy()
    logits = -np.arange(len(angles), dtype=np.float32)
    return FoundInWindow(angles, logits, np.ones((len(angles), 3), np.float32), boxes)


def test_vehicle_is_matched_to_the_likeliest_bearing_near_it():
    found = window([11, -2, 3, 4], [9.9, -2, 3, 4], [-23.5, 0, 3, 2], [-18, 0, 3, 2])
    assert matched(found.angles_deg, TRUE_DEG).tolist() == [0, -1, -1, 1]
    assert matched(found.angles_deg, TRUE_DEG[:0]).tolist() == [-1] * 4


def test_only_the_requested_parts_are_corrected():
    found = window([11, -2, 3, 5], [60, -2, 3, 4])
    better = corrected(found, TRUE_DEG, (ELEVATION, WIDTH))
    assert better.angles_deg.tolist() == [[11, -1, 6, 5], [60, -2, 3, 4]]
    assert np.array_equal(better.boxes[1], found.boxes[1])
    assert better.boxes[0] == pytest.approx(
        plane_boxes(torch.tensor([[11.0, -1.0, 6.0, 5.0]])).numpy()[0]
    )
    assert np.array_equal(corrected(found, TRUE_DEG, PARTS['as it is']).boxes, found.boxes)


def test_errors_are_reported_by_range():
    found = window([11.5, -2, 6, 8], [-20, -0.5, 3, 2])
    lines = errors([found], [TRUE_DEG], [np.array([15.0, 45.0])]).splitlines()
    assert lines[1] == '| 10-20 m (1) | 0.25 | 0.25 | 0.00 | 0.69 |'
    assert lines[3] == '| 40-70 m (1) | 0.00 | 0.00 | 0.00 | 0.00 |'
