"""Two models on the same drives: is one better, or is the difference noise?

Windows of one drive are anything but independent, so whole drives are resampled (the cluster
bootstrap, Davison and Hinkley 1997, section 3.8), the same ones for both models.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from avdet_ros.detection.boxes import Detections
from avdet_ros.evaluation.boxes.metrics import (
    CENTRE_SCORE,
    MATCH_IOU,
    DriveHits,
    average_precision,
    drive_hits,
    match,
)
from avdet_ros.evaluation.runs.record import DriveRecord, TruthFrame, keep_apart
from avdet_ros.evaluation.tracks.metrics import DriveScores, combine, drive_scores
from avdet_ros.tracking import Tracker

METRICS = ('map', 'map50', 'map75', 'mota', 'idf1', 'hota')
"""Compared metrics; higher is better for all of them. The first decides."""

FEWEST_DRIVES = 5
"""Intervals from fewer drives do not hold for other drives."""


@dataclass(frozen=True)
class Comparison:
    """One metric of two models.

    Attributes:
        a: value of the first model.
        b: value of the second model.
        interval_a: (low, high), 95 % interval of the first over drives.
        interval_b: the same of the second.
        difference: b - a.
        interval: 95 % interval of the difference, drives paired.
    """

    a: float
    b: float
    interval_a: tuple[float, float]
    interval_b: tuple[float, float]
    difference: float
    interval: tuple[float, float]

    @property
    def beyond_noise(self) -> bool:
        """Whether the interval of the difference excludes 0."""
        return self.interval[0] > 0 or self.interval[1] < 0


def compare(
    records: Sequence[DriveRecord],
    names: tuple[str, str],
    tracker: Callable[[], Tracker],
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Comparison]:
    """Compare two detectors that were run on the same drives.

    Args:
        records: the drives.
        names: the two detectors in the records.
        tracker: makes the tracker that links the boxes of both.
        resamples: bootstrap samples.
        seed: seed of the resampling.

    Returns:
        One comparison for each of `METRICS`.
    """
    counts = [_drive_counts(records, name, tracker()) for name in names]
    whole = [_metrics(count, np.arange(len(records))) for count in counts]
    rng = np.random.default_rng(seed)
    drawn = np.empty((2, resamples, len(METRICS)))
    for sample in range(resamples):
        drives = rng.integers(0, len(records), len(records))
        for model in range(2):
            drawn[model, sample] = _metrics(counts[model], drives)
    # A resample without any vehicle has no metrics.
    low_a, low_b = np.nanpercentile(drawn, [2.5, 97.5], axis=1).transpose(1, 2, 0)
    paired = np.nanpercentile(drawn[1] - drawn[0], [2.5, 97.5], axis=0).T
    return {
        name: Comparison(
            a=float(whole[0][index]),
            b=float(whole[1][index]),
            interval_a=(float(low_a[index, 0]), float(low_a[index, 1])),
            interval_b=(float(low_b[index, 0]), float(low_b[index, 1])),
            difference=float(whole[1][index] - whole[0][index]),
            interval=(float(paired[index, 0]), float(paired[index, 1])),
        )
        for index, name in enumerate(METRICS)
    }


def verdict(
    result: dict[str, Comparison], names: tuple[str, str], drives: int, unit: str = 'drives'
) -> str:
    """Return one sentence that states which model is better, or why that is unknown.

    Args:
        result: result of `compare`.
        names: the two models.
        drives: number of drives, or other units, that were resampled.
        unit: name of these units.
    """
    main = result[METRICS[0]]
    low, high = main.interval
    span = f'{main.difference:+.3f}, 95 % interval {low:+.3f} to {high:+.3f}'
    if drives < FEWEST_DRIVES:
        return (
            f'Not enough {unit} to tell: {drives}; an interval needs at least {FEWEST_DRIVES} '
            f'(mAP difference {main.difference:+.3f}).'
        )
    if not np.isfinite([main.difference, low, high]).all():
        return 'Nothing to compare: there was no vehicle to find.'
    if main.difference == low == high == 0:
        return f'{names[0]} and {names[1]} score the same on all {drives} {unit}.'
    if not main.beyond_noise:
        return (
            f'No difference beyond noise between {names[0]} and {names[1]} on {drives} {unit}: '
            f'mAP {span}, which includes 0.'
        )
    better, worse = (names[1], names[0]) if main.difference > 0 else names
    against = [
        name
        for name, other in result.items()
        if other.beyond_noise and other.difference * main.difference < 0
    ]
    exception = f', though {worse} is better in {", ".join(against)}' if against else ''
    return f'{better} is better than {worse} on {drives} {unit}: mAP {span}{exception}.'


@dataclass(frozen=True)
class DifferingFrame:
    """An instant at which two models disagree.

    Attributes:
        record: the drive's index.
        index: the window's index in it.
        advantage: hits minus errors of the second model, minus those of the first.
    """

    record: int
    index: int
    advantage: int


def most_different(
    records: Sequence[DriveRecord], names: tuple[str, str], count: int = 8, apart_s: float = 2.0
) -> list[DifferingFrame]:
    """Find the instants at which the two differ most, no two of one drive close together."""
    frames = [
        DifferingFrame(
            number,
            index,
            _balance(truth, record.detections[names[1]][index])
            - _balance(truth, record.detections[names[0]][index]),
        )
        for number, record in enumerate(records)
        for index, truth in enumerate(record.truth)
    ]
    frames = [frame for frame in frames if frame.advantage]
    frames.sort(key=lambda frame: (-abs(frame.advantage), frame.record, frame.index))
    by_place = {(frame.record, frame.index): frame for frame in frames}
    return [by_place[place] for place in keep_apart(records, by_place, count, apart_s)]


def _balance(truth: TruthFrame, detections: Detections) -> int:
    confident = detections.above(CENTRE_SCORE)
    hits = int(np.sum(match(confident.boxes_px, truth.boxes_px, MATCH_IOU) >= 0))
    return hits - (len(confident) - hits) - (len(truth) - hits)


DriveCounts = tuple[list[DriveHits], list[DriveScores]]
"""Counts from which metrics are computed, one entry a drive."""


def _drive_counts(records: Sequence[DriveRecord], name: str, tracker: Tracker) -> DriveCounts:
    hits = [drive_hits(record.truth, record.detections[name]) for record in records]
    tracks = [drive_scores(record.truth, record.track(name, tracker)) for record in records]
    return hits, tracks


def _metrics(counts: DriveCounts, drives: np.ndarray) -> np.ndarray:
    hits, tracks = counts
    ap = average_precision([hits[drive] for drive in drives])
    mot = combine([tracks[drive] for drive in drives])
    return np.array([ap.mean(), ap[0], ap[5], mot.mota, mot.idf1, mot.hota])
