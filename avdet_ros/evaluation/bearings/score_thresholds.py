"""Precision, recall and false detections at each threshold on the score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import math
from typing import Any

import numpy as np

from avdet_ros.audio.window import HOP_S
from avdet_ros.detection.boxes import Detections
from avdet_ros.evaluation.bearings.metrics import match_bearings
from avdet_ros.evaluation.bearings.scores import NEAR_DEG, Windows
from avdet_ros.evaluation.boxes.metrics import IOU_THRESHOLDS, MATCH_IOU, DriveHits

THRESHOLDS = tuple(step / 10 for step in range(1, 10))

WINDOWS_A_MINUTE = 60 / HOP_S
"""The nodes' rate of windows."""


def threshold_scores(
    drives: Sequence[Windows], boxes: Sequence[DriveHits]
) -> list[dict[str, float]]:
    """Compute precision and recall of bearings and boxes at each of `THRESHOLDS`.

    Args:
        drives: found and true bearings of each drive's windows.
        boxes: matches of the same drives' boxes.

    Returns:
        For each ``score`` the ``precision`` and ``recall`` of bearings within `NEAR_DEG` (close
        ones merged), the false bearings ``false_a_minute`` at ten windows a second, and the
        ``box_precision`` and ``box_recall`` of boxes at IoU 0.5; NaN where nothing is found.
    """
    matched = match_bearings(drives, NEAR_DEG)
    level = int(np.argmin(np.abs(IOU_THRESHOLDS - MATCH_IOU)))
    box_scores = np.concatenate([np.zeros(0), *(matches.scores for matches in boxes)])
    box_hits = np.concatenate([np.zeros(0, bool), *(matches.hits[level] for matches in boxes)])
    windows, labels = int(matched.windows.sum()), len(matched.label_drive)
    rows = []
    for score in THRESHOLDS:
        hit = matched.hit[matched.scores >= score]
        box_hit = box_hits[box_scores >= score]
        rows.append(
            {
                'score': score,
                'precision': _share(hit.sum(), len(hit)),
                'recall': _share(hit.sum(), labels),
                'false_a_minute': _share(WINDOWS_A_MINUTE * (~hit).sum(), windows),
                'box_precision': _share(box_hit.sum(), len(box_hit)),
                'box_recall': _share(box_hit.sum(), sum(matches.boxes for matches in boxes)),
            }
        )
    return rows


def false_boxes(found: Sequence[Detections]) -> list[float]:
    """Return the boxes a minute at each of `THRESHOLDS`, where there is no vehicle.

    Args:
        found: detections of each window.
    """
    scores = np.concatenate([np.zeros(0), *(detections.scores for detections in found)])
    count = max(len(found), 1)
    return [WINDOWS_A_MINUTE * float((scores >= score).sum()) / count for score in THRESHOLDS]


def rows_of(scores: Mapping[str, Any]) -> list[tuple[str, list[float | None], str]]:
    """Make the table lines of one detector: name, a number for each threshold, number format.

    Args:
        scores: ``thresholds`` of `threshold_scores`, and ``quiet`` with its ``false_boxes``.
    """
    by_score = scores['thresholds']
    lines = [
        (name, [entry[key] for entry in by_score], form) for name, key, form in _LINES if by_score
    ]
    quiet = scores.get('quiet')
    if quiet and 'false_boxes' in quiet:
        lines.append(('on empty roads, boxes a minute', quiet['false_boxes'], '{:.1f}'))
    return lines


_LINES = (
    ('bearings that are right', 'precision', '{:.2f}'),
    ('vehicles found', 'recall', '{:.2f}'),
    ('false bearings a minute', 'false_a_minute', '{:.0f}'),
    ('boxes that are right', 'box_precision', '{:.2f}'),
    ('vehicles in a right box', 'box_recall', '{:.2f}'),
)


def _share(part: float, whole: int) -> float:
    return float(part) / whole if whole else math.nan
