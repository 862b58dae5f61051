"""Checks of a model's outputs before they are used."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from avdet_ros.errors import AvdetError

_SCORE_SLACK = 1e-5
"""Tolerance: float32 rounding on a GPU may leave [0, 1] slightly."""


def check_outputs(
    path: Path, classes: int, boxes: np.ndarray, scores: np.ndarray, labels: np.ndarray
) -> None:
    """Check a model's boxes, scores and labels.

    Args:
        path: the model's file, for the error.
        classes: number of classes that the model declares.
        boxes: (N, 4), finite.
        scores: (N,) from 0 to 1, descending.
        labels: (N,) class numbers.

    Raises:
        AvdetError: one of them differs from this.
    """
    count = len(scores) if scores.ndim == 1 else -1
    if boxes.shape != (count, 4) or labels.shape != (count,):
        raise _error(
            path,
            'boxes, scores, labels',
            'shapes (N, 4), (N,), (N,)',
            f'{boxes.shape}, {scores.shape}, {labels.shape}',
        )
    if not (np.isfinite(boxes).all() and np.isfinite(scores).all()):
        raise _error(path, 'boxes and scores', 'finite numbers', 'NaN or infinity')
    if count and not -_SCORE_SLACK <= scores.min() <= scores.max() <= 1 + _SCORE_SLACK:
        span = f'{scores.min():g} to {scores.max():g}'
        raise _error(path, 'scores', 'numbers from 0 to 1', span)
    if np.any(np.diff(scores) > _SCORE_SLACK):  # equal logits: scores may differ by a bit
        raise _error(path, 'scores', 'descending order', 'another order')
    if count and (labels.min() < 0 or labels.max() >= classes):
        expected = f'numbers of the {classes} classes'
        raise _error(path, 'labels', expected, f'{labels.min()} to {labels.max()}')


def check_ranges(path: Path, range_m: np.ndarray, count: int) -> None:
    """Check a model's ranges.

    Args:
        path: the model's file, for the error.
        range_m: (count, 3) metres, rising in each row.
        count: number of boxes.

    Raises:
        AvdetError: they differ from this.
    """
    if range_m.shape != (count, 3):
        raise _error(path, 'range_m', f'shape ({count}, 3)', f'{range_m.shape}')
    # Also catches NaN.
    if count and not (range_m.min() > 0 and range_m.max() < np.inf):
        raise _error(path, 'range_m', 'positive finite distances', 'others')
    if np.any(np.diff(range_m, axis=1) < 0):
        raise _error(path, 'range_m', 'rising distances', 'another order')


def _error(path: Path, name: str, expected: str, found: str) -> AvdetError:
    return AvdetError(f'{path}: output {name}: expected {expected}, found {found}')
