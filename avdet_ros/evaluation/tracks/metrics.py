"""Track metrics: CLEAR MOT, IDF1 and HOTA, computed by trackeval on data in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from avdet_ros.detection.boxes import box_iou
from avdet_ros.evaluation.runs.record import TruthFrame
from avdet_ros.tracking import Track


@dataclass(frozen=True)
class TrackMetrics:
    """Metrics over all drives together, boxes matching at IoU 0.5; NaN where there is no truth.

    Attributes:
        mota: 1 - (FN + FP + switches) / true boxes (Bernardin and Stiefelhagen 2008).
        idf1: F1 of identities (Ristani et al. 2016).
        hota: higher order tracking accuracy (Luiten et al. 2021), over IoU 0.05 to 0.95.
        switches: identity switches.
        fragmentations: interruptions of a vehicle's track.
        false_positives: boxes of tracks without a vehicle.
        false_negatives: boxes of vehicles without a track.
        boxes: true boxes.
    """

    mota: float
    idf1: float
    hota: float
    switches: int
    fragmentations: int
    false_positives: int
    false_negatives: int
    boxes: int


DriveScores = dict[str, dict[str, Any]]
"""trackeval's counts for one drive, by family of metrics."""


def track_metrics(
    truth: Sequence[Sequence[TruthFrame]], tracks: Sequence[Sequence[Sequence[Track]]]
) -> TrackMetrics:
    """Score tracks against the truth.

    Args:
        truth: for each drive, one frame an instant.
        tracks: for each drive, the tracks of each instant.
    """
    scores = [drive_scores(true, found) for true, found in zip(truth, tracks, strict=True)]
    return combine(scores)


def drive_scores(truth: Sequence[TruthFrame], tracks: Sequence[Sequence[Track]]) -> DriveScores:
    """Count one drive; `combine` computes metrics of any selection of drives."""
    data = _sequence(truth, tracks)
    return {name: metric.eval_sequence(data) for name, metric in _metrics().items()}


def combine(drives: Sequence[DriveScores]) -> TrackMetrics:
    """Compute the metrics of several drives together."""
    drives = drives or [drive_scores([], [])]
    total = {
        name: metric.combine_sequences({str(i): drive[name] for i, drive in enumerate(drives)})
        for name, metric in _metrics().items()
    }
    clear = total['clear']
    boxes = int(clear['CLR_TP'] + clear['CLR_FN'])
    return TrackMetrics(
        mota=float(clear['MOTA']) if boxes else float('nan'),
        idf1=float(total['identity']['IDF1']) if boxes else float('nan'),
        hota=float(np.mean(total['hota']['HOTA'])) if boxes else float('nan'),
        switches=int(clear['IDSW']),
        fragmentations=int(clear['Frag']),
        false_positives=int(clear['CLR_FP']),
        false_negatives=int(clear['CLR_FN']),
        boxes=boxes,
    )


def _metrics() -> dict[str, Any]:
    import trackeval

    quiet = {'PRINT_CONFIG': False}
    return {
        'hota': trackeval.metrics.HOTA(),
        'clear': trackeval.metrics.CLEAR(quiet),
        'identity': trackeval.metrics.Identity(quiet),
    }


def _sequence(truth: Sequence[TruthFrame], tracks: Sequence[Sequence[Track]]) -> dict[str, Any]:
    """Convert one drive to trackeval's data layout, identities counted from 0."""
    true_ids = _numbers(int(i) for frame in truth for i in frame.ids)
    track_ids = _numbers(track.track_id for frame in tracks for track in frame)
    return {
        'num_timesteps': len(truth),
        'num_gt_ids': len(true_ids),
        'num_tracker_ids': len(track_ids),
        'num_gt_dets': sum(len(frame) for frame in truth),
        'num_tracker_dets': sum(len(frame) for frame in tracks),
        'gt_ids': [np.array([true_ids[int(i)] for i in frame.ids], int) for frame in truth],
        'tracker_ids': [
            np.array([track_ids[track.track_id] for track in frame], int) for frame in tracks
        ],
        'similarity_scores': [
            box_iou(true.boxes_px, [track.box_px for track in frame])
            for true, frame in zip(truth, tracks, strict=True)
        ],
    }


def _numbers(ids: Any) -> dict[int, int]:
    return {identity: number for number, identity in enumerate(dict.fromkeys(ids))}
