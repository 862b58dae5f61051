"""How much two detectors agree with each other, where there is no truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from avdet_ros.detection.boxes import Detections, box_centres, box_iou
from avdet_ros.evaluation.boxes.metrics import CENTRE_SCORE, MATCH_IOU, match
from avdet_ros.evaluation.comparison.differences import FEWEST_DRIVES, DifferingFrame
from avdet_ros.evaluation.runs.record import DriveRecord, keep_apart


@dataclass(frozen=True)
class Agreement:
    """Two detectors' boxes above `CENTRE_SCORE` on the same windows; NaN without any box.

    Attributes:
        windows: number of windows compared.
        boxes: boxes a window of each detector.
        same: share of all boxes that have a partner at IoU 0.5 (Dice: 2 pairs / all boxes).
        interval: 95 % interval of `same` over drives.
        iou: mean overlap of the pairs.
        shift_px: mean distance of the pairs' centres.
        score: mean difference of the pairs' scores, second minus first.
    """

    windows: int
    boxes: tuple[float, float]
    same: float
    interval: tuple[float, float]
    iou: float
    shift_px: float
    score: float


def agreement(
    records: Sequence[DriveRecord],
    names: tuple[str, str],
    resamples: int = 1000,
    seed: int = 0,
) -> Agreement:
    """Compare two detectors with each other.

    Args:
        records: the drives, with detections of both.
        names: the two detectors.
        resamples: bootstrap samples of the drives.
        seed: seed of the resampling.
    """
    counts, pairs = [], []
    for record in records:
        total = np.zeros(3)
        for first, second in _both(record, names):
            matched = match(second.boxes_px, first.boxes_px, MATCH_IOU)
            hit = np.flatnonzero(matched >= 0)
            total += len(first), len(second), len(hit)
            first_px, second_px = first.boxes_px[matched[hit]], second.boxes_px[hit]
            middle = [box_centres(boxes) for boxes in (first_px, second_px)]
            pairs.append(
                np.column_stack(
                    [
                        box_iou(first_px, second_px).diagonal(),
                        np.linalg.norm(middle[1] - middle[0], axis=1),
                        second.scores[hit] - first.scores[matched[hit]],
                    ]
                )
            )
        counts.append(total)
    table = np.array(counts).reshape(-1, 3)
    windows = sum(len(record.stamps_s) for record in records)
    rng = np.random.default_rng(seed)
    drawn = [_same(table[rng.integers(0, len(table), len(table))]) for _ in range(resamples)]
    low, high = (
        np.nanpercentile(drawn, [2.5, 97.5]) if len(pairs) and table.any() else (np.nan,) * 2
    )
    every = np.concatenate([np.zeros((0, 3)), *pairs])
    iou, shift_px, score = every.mean(axis=0) if len(every) else (np.nan,) * 3
    sums = table.sum(axis=0)
    return Agreement(
        windows=windows,
        boxes=(float(sums[0]) / max(windows, 1), float(sums[1]) / max(windows, 1)),
        same=_same(table),
        interval=(float(low), float(high)),
        iou=float(iou),
        shift_px=float(shift_px),
        score=float(score),
    )


def sentence(result: Agreement, names: tuple[str, str], drives: int) -> str:
    """Summarise the comparison of two detectors without truth in a sentence or two."""
    unknown = f'Which of {names[0]} and {names[1]} is better is unknown: there is no truth.'
    if np.isnan(result.same):
        return f'{unknown} Neither found any box in {result.windows} windows.'
    low, high = result.interval
    span = f' (95 % {low:.0%} to {high:.0%})' if drives >= FEWEST_DRIVES else ''
    return (
        f'{unknown} They agree on {result.same:.0%} of their boxes{span}; {names[0]} finds '
        f'{result.boxes[0]:.2f} a window, {names[1]} {result.boxes[1]:.2f}.'
    )


def most_apart(
    records: Sequence[DriveRecord], names: tuple[str, str], count: int = 8, apart_s: float = 2.0
) -> list[DifferingFrame]:
    """Find the instants at which most boxes have no partner, no two of one drive close together.

    Returns:
        Frames whose ``advantage`` is the number of boxes that only the second detector has minus
        the number that only the first has.
    """
    frames = []
    for number, record in enumerate(records):
        for index, (first, second) in enumerate(_both(record, names)):
            pairs = int(np.sum(match(second.boxes_px, first.boxes_px, MATCH_IOU) >= 0))
            unmatched = len(first) - pairs, len(second) - pairs
            if any(unmatched):
                frames.append(
                    (sum(unmatched), DifferingFrame(number, index, unmatched[1] - unmatched[0]))
                )
    frames.sort(key=lambda entry: (-entry[0], entry[1].record, entry[1].index))
    by_place = {(frame.record, frame.index): frame for _, frame in frames}
    return [by_place[place] for place in keep_apart(records, by_place, count, apart_s)]


def _both(record: DriveRecord, names: tuple[str, str]) -> list[tuple[Detections, Detections]]:
    first, second = (record.detections[name] for name in names)
    return [
        (a.above(CENTRE_SCORE), b.above(CENTRE_SCORE)) for a, b in zip(first, second, strict=True)
    ]


def _same(table: np.ndarray) -> float:
    first, second, pairs = table.sum(axis=0)
    return float(2 * pairs / (first + second)) if first + second else float('nan')
