"""All metrics of one detector's bearings, as numbers by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from itertools import pairwise
import math
from typing import Any

import numpy as np

from avdet_ros.evaluation.bearings.metrics import (
    FoundBearings,
    MatchedBearings,
    OperatingPoint,
    TrueBearings,
    bootstrap,
    match_bearings,
    operating_point,
)

Windows = Sequence[tuple[FoundBearings, TrueBearings]]
"""Found and true bearings of a drive's windows."""

NEAR_DEG, WIDE_DEG, COARSE_DEG = 3.0, 5.0, 20.0
"""Largest errors of a match: for AP and recall, for a second recall, and for F20."""

DISTANCES_M = (0, 10, 20, 40, 70)
LEVELS_DB = (-18, -12, -6, 0, 6, math.inf)
HIDDEN_BELOW = 0.3
"""A vehicle of which the camera sees less than this share counts as hidden."""

MIDDLE_M = (10, 40)
"""Distances between which the range error is summarised in one number."""

SCORE_BINS = 10


def bearing_scores(drives: Sequence[Windows], resamples: int = 500) -> dict[str, Any]:
    """Score the bearings of all windows.

    Args:
        drives: windows of each drive.
        resamples: number of resamples of the drives, for the intervals.

    Returns:
        ``ap`` and ``recall`` within `NEAR_DEG`, ``recall_wide`` within `WIDE_DEG` (each
        ``value``, ``low``, ``high``), ``threshold`` and ``false_a_window`` of the recall,
        ``error_deg`` (``median``, ``p90`` of the matches within `NEAR_DEG` at that threshold,
        ``wide_p90`` within `WIDE_DEG` at its own), ``f20``, ``by_distance`` and ``by_level``
        (a list of parts with ``name``, ``labels``, ``ap``, ``recall``, ``error_deg``),
        ``hidden`` (such a part), ``range`` (see `range_scores`), ``calibration`` (see
        `calibration`), and the numbers of ``drives``, ``windows`` and ``labels``.
    """
    near, wide = (match_bearings(drives, within) for within in (NEAR_DEG, WIDE_DEG))
    point, wide_point = operating_point(near), operating_point(wide)
    ap, recall = bootstrap(near, resamples=resamples)
    _, recall_wide = bootstrap(wide, resamples=resamples)
    return {
        'ap': asdict(ap),
        'recall': asdict(recall),
        'recall_wide': asdict(recall_wide),
        'threshold': point.threshold,
        'false_a_window': point.false_a_window,
        'error_deg': {
            'median': _percentile(near, point, 50),
            'p90': _percentile(near, point, 90),
            'wide_p90': _percentile(wide, wide_point, 90),
        },
        'f20': f_score(match_bearings(drives, COARSE_DEG)),
        'by_distance': [
            part(near, point, f'{low}-{high} m', _between(near.distance_m, low, high), resamples)
            for low, high in pairwise(DISTANCES_M)
        ],
        'by_level': [
            part(
                near, point, _level_name(low, high), _between(near.level_db, low, high), resamples
            )
            for low, high in pairwise(LEVELS_DB)
        ],
        'hidden': part(
            near, point, f'visible < {HIDDEN_BELOW:g}', near.visible < HIDDEN_BELOW, resamples
        ),
        'range': range_scores(near, point),
        'calibration': calibration(near),
        'drives': len(near.windows),
        'windows': int(near.windows.sum()),
        'labels': len(near.label_drive),
    }


def part(
    matched: MatchedBearings, point: OperatingPoint, name: str, labels: np.ndarray, resamples: int
) -> dict[str, Any]:
    """Score a part of the labels, at the operating point of all labels.

    Args:
        matched: see `MatchedBearings`.
        point: operating point of all labels.
        name: name of the part.
        labels: (M,) bool, the labels of the part.
        resamples: see `bearing_scores`.
    """
    ap, recall = bootstrap(matched, labels, resamples)
    return {
        'name': name,
        'labels': int(labels.sum()),
        'ap': asdict(ap),
        'recall': asdict(recall),
        'error_deg': {'median': _percentile(matched, point, 50, labels)},
    }


def f_score(matched: MatchedBearings) -> float:
    """Compute F1: twice the matches divided by the number of found and true bearings.

    The threshold is cross-validated: each half of the drives (every second one) is scored at the
    threshold that is best on the other half. NaN without a label or with fewer than two drives.
    """
    drives = len(matched.windows)
    if drives < 2 or not len(matched.label_drive):
        return math.nan
    hits = found = labels = 0
    for half in (0, 1):
        threshold = _best_threshold(matched, half)
        counted = (matched.found_drive % 2 != half) & (matched.scores >= threshold)
        hits += int((counted & matched.hit).sum())
        found += int(counted.sum())
        labels += int((matched.label_drive % 2 != half).sum())
    return 2 * hits / (found + labels)


def ranges_at(matched: MatchedBearings, point: OperatingPoint) -> tuple[np.ndarray, np.ndarray]:
    """Return true distances (K,) and predicted ranges (K, 3) of matches that have both.

    Args:
        matched: see `MatchedBearings`.
        point: operating point of the same list.
    """
    hit = np.flatnonzero(matched.hit[: point.bearings])
    true_m, predicted_m = matched.distance_m[matched.label[hit]], matched.range_m[hit]
    finite = np.isfinite(true_m) & np.isfinite(predicted_m).all(axis=1)
    return true_m[finite], predicted_m[finite]


def range_scores(matched: MatchedBearings, point: OperatingPoint) -> dict[str, Any] | None:
    """Score the ranges of matched bearings; None if the detector predicts none.

    Returns:
        ``by_distance`` (a list with ``name``, ``matches``, ``median`` and ``p90`` of
        ``|d - d'| / d``, and ``coverage``, the share of distances inside the interval from the
        5th to the 95th percentile), ``middle`` (the same between `MIDDLE_M`) and ``all``.
    """
    true_m, ranges = ranges_at(matched, point)
    if not len(true_m):
        return None

    def scores(name: str, low: float, high: float) -> dict[str, Any]:
        selected = _between(true_m, low, high)
        errors = np.abs(ranges[selected, 1] - true_m[selected]) / true_m[selected]
        inside = (ranges[selected, 0] <= true_m[selected]) & (
            true_m[selected] <= ranges[selected, 2]
        )
        return {
            'name': name,
            'matches': int(selected.sum()),
            'median': float(np.median(errors)) if len(errors) else math.nan,
            'p90': float(np.percentile(errors, 90)) if len(errors) else math.nan,
            'coverage': float(inside.mean()) if len(inside) else math.nan,
        }

    return {
        'by_distance': [
            scores(f'{low}-{high} m', low, high) for low, high in pairwise(DISTANCES_M)
        ],
        'middle': scores(f'{MIDDLE_M[0]}-{MIDDLE_M[1]} m', *MIDDLE_M),
        'all': scores('all', 0, math.inf),
    }


def calibration(matched: MatchedBearings) -> dict[str, Any]:
    """Measure how well scores agree with the share of bearings that are right.

    Returns:
        ``bins`` (a list with ``low``, ``high``, ``bearings``, mean ``score`` and the share
        ``right``) and ``error``, the mean difference of the last two over all bearings.
    """
    edges = np.arange(SCORE_BINS + 1) / SCORE_BINS
    place = np.clip(np.digitize(matched.scores, edges) - 1, 0, SCORE_BINS - 1)
    bins, error_sum = [], 0.0
    for index, (low, high) in enumerate(pairwise(edges)):
        in_bin = place == index
        count = int(in_bin.sum())
        score = float(matched.scores[in_bin].mean()) if count else math.nan
        right = float(matched.hit[in_bin].mean()) if count else math.nan
        error_sum += count * abs(score - right) if count else 0.0
        bins.append(
            {
                'low': float(low),
                'high': float(high),
                'bearings': count,
                'score': score,
                'right': right,
            }
        )
    return {'bins': bins, 'error': error_sum / len(place) if len(place) else math.nan}


def _best_threshold(matched: MatchedBearings, half: int) -> float:
    in_half = matched.found_drive % 2 == half
    scores, hit = matched.scores[in_half], matched.hit[in_half]
    if not len(scores):
        return math.inf
    ends = np.append(np.flatnonzero(np.diff(scores)) + 1, len(scores))
    labels = int((matched.label_drive % 2 == half).sum())
    f1 = 2 * np.cumsum(hit)[ends - 1] / (ends + labels)
    return float(scores[ends[np.argmax(f1)] - 1])


def _percentile(
    matched: MatchedBearings,
    point: OperatingPoint,
    percent: float,
    labels: np.ndarray | None = None,
) -> float:
    """Return a percentile of the azimuth errors of the matches at an operating point."""
    label = matched.label[: point.bearings]
    keep = label >= 0
    if labels is not None:
        keep &= np.append(labels, False)[label]
    errors = np.abs(matched.error_deg[: point.bearings][keep])
    return float(np.percentile(errors, percent)) if len(errors) else math.nan


def _between(values: np.ndarray, low: float, high: float) -> np.ndarray:
    return (values >= low) & (values < high)


def _level_name(low: float, high: float) -> str:
    return f'{low} to {high} dB' if math.isfinite(high) else f'above {low} dB'
