from pathlib import Path

import numpy as np
import pytest

from avdet_ros.detection.output_check import check_outputs, check_ranges
from avdet_ros.errors import AvdetError

MODEL = Path('model.onnx')
BOXES = np.array([[0.1, 0.2, 0.3, 0.4], [0.5, 0.5, 0.6, 0.9]], np.float32)
SCORES = np.array([0.9, 0.2], np.float32)
LABELS = np.array([0, 1])
NAN = np.nan


def test_valid_outputs_pass():
    check_outputs(MODEL, 2, BOXES, SCORES, LABELS)
    check_outputs(MODEL, 2, BOXES[:0], SCORES[:0], LABELS[:0])
    check_outputs(MODEL, 2, BOXES, np.float32([0.067527376, 0.06752738]), LABELS)  # the same logit
    check_outputs(MODEL, 2, BOXES, SCORES + np.float32([0.1 + 9e-6, 0]), LABELS)
    check_ranges(MODEL, np.array([[1.0, 2, 2], [5, 6, 7]]), 2)
    check_ranges(MODEL, np.zeros((0, 3)), 0)


@pytest.mark.parametrize(
    ('wrong', 'words'),
    [
        ({'boxes': BOXES[:, :3]}, r'shapes \(N, 4\), \(N,\), \(N,\), found \(2, 3\)'),
        ({'scores': SCORES[:, None]}, r'found \(2, 4\), \(2, 1\), \(2,\)'),
        ({'labels': LABELS[:1]}, r'found \(2, 4\), \(2,\), \(1,\)'),
        ({'boxes': BOXES * NAN}, 'boxes and scores: expected finite numbers'),
        ({'scores': np.array([0.9, NAN])}, 'boxes and scores: expected finite numbers'),
        ({'scores': np.array([1.1, 0.2])}, 'from 0 to 1, found 0.2 to 1.1'),
        ({'scores': np.array([0.9, -0.1])}, 'from 0 to 1, found -0.1 to 0.9'),
        ({'scores': SCORES[::-1]}, 'descending order'),
        ({'labels': np.array([0, 2])}, 'numbers of the 2 classes, found 0 to 2'),
        ({'labels': np.array([-1, 1])}, 'numbers of the 2 classes, found -1 to 1'),
    ],
)
def test_invalid_outputs_are_rejected(wrong, words):
    outputs = {'boxes': BOXES, 'scores': SCORES, 'labels': LABELS} | wrong
    with pytest.raises(AvdetError, match=f'model.onnx: output .*{words}'):
        check_outputs(MODEL, 2, **outputs)


@pytest.mark.parametrize(
    ('range_m', 'words'),
    [
        (np.ones((1, 3)), r'shape \(2, 3\), found \(1, 3\)'),
        (np.array([[0.0, 1, 2], [1, 2, 3]]), 'positive finite'),
        (np.array([[1.0, 2, np.inf], [1, 2, 3]]), 'positive finite'),
        (np.array([[1.0, NAN, 2], [1, 2, 3]]), 'positive finite'),
        (np.array([[2.0, 1, 3], [1, 2, 3]]), 'rising distances'),
    ],
)
def test_invalid_ranges_are_rejected(range_m, words):
    with pytest.raises(AvdetError, match=f'output range_m: expected {words}'):
        check_ranges(MODEL, range_m, 2)
