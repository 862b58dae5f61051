"""Metrics of bearings: average precision, recall at a rate of false bearings, intervals.

A bearing is the azimuth of a box's centre, seen from the camera. In a window, a found bearing
within `MERGE_DEG` of a better one is dropped. Each remaining bearing, best score first, takes the
nearest free true bearing within a given angle. The bearings of all windows form one list sorted by
score. A threshold on the score cuts the list, so equal scores are never separated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
import math

import numpy as np
from numpy.typing import ArrayLike

MERGE_DEG = 2.0
"""Two bearings this close in one window count as one, the better one."""

FALSE_A_WINDOW = 0.1
"""Recall is read at the lowest threshold with at most this number of false bearings a window."""

INTERVAL_PERCENT = (2.5, 97.5)
"""Percentiles of resampled drives that bound an interval."""

_CHUNK = 50


def _no_numbers() -> np.ndarray:
    return np.zeros(0)


@dataclass(frozen=True)
class FoundBearings:
    """Bearings that a detector finds in one window.

    Attributes:
        azimuth_deg: (N,) float64, left positive.
        scores: (N,) float64, in any order.
        range_m: (N, 3) float64, 5th, 50th and 95th percentile of the range; None if unknown.
    """

    azimuth_deg: np.ndarray = field(default_factory=_no_numbers)
    scores: np.ndarray = field(default_factory=_no_numbers)
    range_m: np.ndarray | None = None


@dataclass(frozen=True)
class TrueBearings:
    """Bearings that a detector should find in one window.

    Attributes:
        azimuth_deg: (M,) float64, left positive.
        distance_m: (M,) float64.
        level_db: (M,) float64, A-weighted level relative to all other sound.
        visible: (M,) float64, the share of the vehicle that the camera sees.
    """

    azimuth_deg: np.ndarray = field(default_factory=_no_numbers)
    distance_m: np.ndarray = field(default_factory=_no_numbers)
    level_db: np.ndarray = field(default_factory=_no_numbers)
    visible: np.ndarray = field(default_factory=_no_numbers)


@dataclass(frozen=True)
class MatchedBearings:
    """All windows' bearings in one list, best score first, and the labels they match.

    Attributes:
        scores: (N,) float64, descending.
        label: (N,) int64, index of the matched label, -1 for a false bearing.
        error_deg: (N,) float64, found minus true azimuth, NaN for a false bearing.
        range_m: (N, 3) float64, as in `FoundBearings`; NaN where the detector gives none.
        found_drive: (N,) int64, index of the bearing's drive.
        label_drive: (M,) int64, index of the label's drive.
        distance_m: (M,) float64, of the labels.
        level_db: (M,) float64, of the labels.
        visible: (M,) float64, of the labels.
        windows: (D,) int64, windows of each drive.
    """

    scores: np.ndarray
    label: np.ndarray
    error_deg: np.ndarray
    range_m: np.ndarray
    found_drive: np.ndarray
    label_drive: np.ndarray
    distance_m: np.ndarray
    level_db: np.ndarray
    visible: np.ndarray
    windows: np.ndarray

    @property
    def hit(self) -> np.ndarray:
        """(N,) bool, whether a bearing matches a label."""
        return self.label >= 0

    @property
    def every_label(self) -> np.ndarray:
        """(M,) bool, all true: the mask of all labels."""
        return np.ones(len(self.label_drive), bool)

    @property
    def threshold_ends(self) -> np.ndarray:
        """(G,) int64, how many bearings each threshold keeps, one entry per distinct score."""
        if not len(self.scores):
            return np.zeros(0, np.int64)
        return np.append(np.flatnonzero(np.diff(self.scores)) + 1, len(self.scores))


def difference_deg(a: ArrayLike, b: ArrayLike) -> np.ndarray:
    """Return angles a minus angles b, in [-180, 180)."""
    return (np.asarray(a, np.float64) - np.asarray(b, np.float64) + 180) % 360 - 180


def merge_close(found: FoundBearings, within_deg: float = MERGE_DEG) -> FoundBearings:
    """Drop every bearing close to a better one that stays; return the rest, best first."""
    order = np.argsort(-found.scores, kind='stable')
    kept: list[int] = []
    for index in order:
        distance_deg = difference_deg(found.azimuth_deg[kept], found.azimuth_deg[index])
        if not np.any(np.abs(distance_deg) <= within_deg):
            kept.append(int(index))
    ranges = None if found.range_m is None else found.range_m[kept]
    return FoundBearings(found.azimuth_deg[kept], found.scores[kept], ranges)


def match_window(azimuth_deg: np.ndarray, true_deg: np.ndarray, within_deg: float) -> np.ndarray:
    """Match each found bearing to the nearest free true one.

    Args:
        azimuth_deg: (N,) found bearings, best first.
        true_deg: (M,) true bearings.
        within_deg: largest difference of a match.

    Returns:
        (N,) int64, index of the true bearing, -1 where there is none.
    """
    matched = np.full(len(azimuth_deg), -1, np.int64)
    distance_deg = np.abs(difference_deg(azimuth_deg[:, None], true_deg[None, :]))
    for index in range(len(azimuth_deg) if len(true_deg) else 0):
        best = int(np.argmin(distance_deg[index]))
        if distance_deg[index, best] <= within_deg:
            matched[index] = best
            distance_deg[:, best] = np.inf
    return matched


def match_bearings(
    drives: Sequence[Sequence[tuple[FoundBearings, TrueBearings]]], within_deg: float
) -> MatchedBearings:
    """Match the bearings of all windows.

    Args:
        drives: windows of each drive.
        within_deg: largest difference of a match.
    """
    scores, label, errors, ranges, found_drive = [], [], [], [], []
    truth: list[TrueBearings] = []
    label_drive, labels = [], 0
    for number, windows in enumerate(drives):
        for found, true in windows:
            best = merge_close(found)
            matched = match_window(best.azimuth_deg, true.azimuth_deg, within_deg)
            hit = matched >= 0
            error_deg = np.full(len(matched), np.nan)
            error_deg[hit] = difference_deg(best.azimuth_deg[hit], true.azimuth_deg[matched[hit]])
            unknown = np.full((len(matched), 3), np.nan)
            scores.append(best.scores)
            label.append(np.where(hit, matched + labels, -1))
            errors.append(error_deg)
            ranges.append(unknown if best.range_m is None else best.range_m)
            found_drive.append(np.full(len(matched), number))
            label_drive.append(np.full(len(true.azimuth_deg), number))
            truth.append(true)
            labels += len(true.azimuth_deg)
    all_scores = _joined(scores)
    order = np.argsort(-all_scores, kind='stable')
    return MatchedBearings(
        scores=all_scores[order],
        label=_joined(label).astype(np.int64)[order],
        error_deg=_joined(errors)[order],
        range_m=np.concatenate([np.zeros((0, 3)), *ranges])[order],
        found_drive=_joined(found_drive).astype(np.int64)[order],
        label_drive=_joined(label_drive).astype(np.int64),
        distance_m=_joined([true.distance_m for true in truth]),
        level_db=_joined([true.level_db for true in truth]),
        visible=_joined([true.visible for true in truth]),
        windows=np.array([len(windows) for windows in drives], np.int64),
    )


@dataclass(frozen=True)
class OperatingPoint:
    """A threshold on the score and its results.

    Attributes:
        threshold: bearings with this score or a better one count; inf if none may count.
        bearings: number of bearings that count, the first ones of the list.
        false_a_window: false bearings among them, divided by the number of all windows.
    """

    threshold: float
    bearings: int
    false_a_window: float


def operating_point(
    matched: MatchedBearings, most_false: float = FALSE_A_WINDOW
) -> OperatingPoint:
    """Find the lowest threshold with at most `most_false` false bearings a window."""
    windows = max(int(matched.windows.sum()), 1)
    ends = matched.threshold_ends
    rate = np.append(0, np.cumsum(~matched.hit))[ends] / windows
    allowed = np.flatnonzero(rate <= most_false)
    if not len(allowed):
        return OperatingPoint(math.inf, 0, 0.0)
    end = int(ends[allowed[-1]])
    return OperatingPoint(float(matched.scores[end - 1]), end, float(rate[allowed[-1]]))


def recall_at(
    matched: MatchedBearings, point: OperatingPoint, labels: np.ndarray | None = None
) -> float:
    """Return the share of labels matched at an operating point; NaN without a label.

    Args:
        matched: see `MatchedBearings`.
        point: operating point of the same list.
        labels: (M,) bool, the labels to consider; None for all.
    """
    labels = matched.every_label if labels is None else labels
    found = matched.label[: point.bearings]
    return float(labels[found[found >= 0]].sum() / labels.sum()) if labels.any() else math.nan


def average_precision(matched: MatchedBearings, labels: np.ndarray | None = None) -> float:
    """Return the area under precision over recall as the threshold falls; NaN without a label.

    Args:
        matched: see `MatchedBearings`.
        labels: (M,) bool, the labels to consider; bearings that match another label are left
            out. None for all.
    """
    weights = np.ones((1, len(matched.windows)))
    return float(_average_precision(matched, labels, weights)[0])


@dataclass(frozen=True)
class Estimate:
    """A number and its interval between two percentiles over resampled drives.

    Attributes:
        value: on the drives as they are; NaN where undefined.
        low: lower end of the interval.
        high: upper end of the interval.
    """

    value: float
    low: float
    high: float


def bootstrap(
    matched: MatchedBearings,
    labels: np.ndarray | None = None,
    resamples: int = 500,
    seed: int = 0,
    most_false: float = FALSE_A_WINDOW,
) -> tuple[Estimate, Estimate]:
    """Compute average precision and recall at the operating point, each with its interval.

    Drives are drawn with replacement, as many as there are. The threshold is determined again for
    each draw.

    Args:
        matched: see `MatchedBearings`.
        labels: (M,) bool, the labels to consider; None for all.
        resamples: number of draws.
        seed: seed of the draws.
        most_false: false bearings a window at the operating point, among all bearings.
    """
    drives = len(matched.windows)
    value = average_precision(matched, labels)
    recall = recall_at(matched, operating_point(matched, most_false), labels)
    if drives == 0 or math.isnan(value):
        return Estimate(value, math.nan, math.nan), Estimate(recall, math.nan, math.nan)
    rng = np.random.default_rng(seed)
    precisions, recalls = [], []
    for first in range(0, resamples, _CHUNK):
        count = min(_CHUNK, resamples - first)
        weights = rng.multinomial(drives, np.full(drives, 1 / drives), size=count).astype(float)
        precisions.append(_average_precision(matched, labels, weights))
        recalls.append(_recall(matched, labels, weights, most_false))
    return (
        Estimate(value, *_interval(np.concatenate(precisions))),
        Estimate(recall, *_interval(np.concatenate(recalls))),
    )


def _average_precision(
    matched: MatchedBearings, labels: np.ndarray | None, weights: np.ndarray
) -> np.ndarray:
    """Return the (R,) average precision with drives counted as often as (R, D) weights say."""
    labels = matched.every_label if labels is None else labels
    total = weights[:, matched.label_drive[labels]].sum(axis=1)
    wanted = np.append(labels, False)[matched.label]  # index -1 is the False at the end
    ends = matched.threshold_ends - 1
    each = weights[:, matched.found_drive]
    hits = np.cumsum(each * wanted, axis=1)[:, ends]
    counted = np.cumsum(each * (wanted | ~matched.hit), axis=1)[:, ends]
    precision = np.divide(hits, counted, out=np.zeros_like(hits), where=counted > 0)
    new_hits = np.diff(hits, axis=1, prepend=0)
    area = (new_hits * precision).sum(axis=1)
    return np.divide(area, total, out=np.full(len(weights), np.nan), where=total > 0)


def _recall(
    matched: MatchedBearings, labels: np.ndarray | None, weights: np.ndarray, most_false: float
) -> np.ndarray:
    """Return the (R,) recall at each resample's own operating point."""
    labels = matched.every_label if labels is None else labels
    total = weights[:, matched.label_drive[labels]].sum(axis=1)
    wanted = np.append(labels, False)[matched.label]
    ends = matched.threshold_ends - 1
    each = weights[:, matched.found_drive]
    windows = weights @ matched.windows
    rate = np.cumsum(each * ~matched.hit, axis=1)[:, ends] / windows[:, None]
    # The rate never falls, so the allowed thresholds are the first ones.
    allowed = (rate <= most_false).sum(axis=1)
    hits = np.cumsum(each * wanted, axis=1)[:, ends]
    hits = np.concatenate([np.zeros((len(weights), 1)), hits], axis=1)
    found = hits[np.arange(len(weights)), allowed]
    return np.divide(found, total, out=np.full(len(weights), np.nan), where=total > 0)


def _interval(values: np.ndarray) -> tuple[float, float]:
    finite = values[np.isfinite(values)]
    if not len(finite):
        return math.nan, math.nan
    low, high = np.percentile(finite, INTERVAL_PERCENT)
    return float(low), float(high)


def _joined(parts: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate([np.zeros(0), *parts])
