"""Scores of detectors over drives: boxes, tracks, and where the errors are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from itertools import pairwise
import math
from typing import Any

import numpy as np

from avdet_ros.detection.boxes import Detections
from avdet_ros.evaluation.detection_metrics import (
    CENTRE_SCORE,
    MATCH_IOU,
    coco_average_precision,
    detection_metrics,
    match,
)
from avdet_ros.evaluation.record import DriveRecord, TruthFrame
from avdet_ros.evaluation.track_metrics import track_metrics
from avdet_ros.rig import Rig
from avdet_ros.tracking import Tracker

DISTANCES_M = (0, 10, 20, 40, 70)
HIDDEN_BELOW = 0.5
"""A vehicle of which the camera sees less than this share counts as hidden."""


def score(
    records: Sequence[DriveRecord],
    detector: str,
    rig: Rig,
    tracker: Tracker,
) -> dict[str, Any]:
    """Everything there is to say about one detector on these drives.

    Args:
        records: the drives.
        detector: its name in the records.
        rig: for the image's size.
        tracker: links its boxes.

    Returns:
        ``detection`` and ``tracking`` (the metrics by name), ``by_vehicles``, ``by_distance_m``,
        ``by_view`` and ``milliseconds`` a window: median and 99th percentile.
    """
    truth = [frame for record in records for frame in record.truth]
    detections = [frame for record in records for frame in record.detections[detector]]
    times = np.concatenate([record.milliseconds[detector] for record in records])
    tracks = [record.track(detector, tracker) for record in records]
    size = rig.camera.width_px, rig.camera.height_px
    return {
        'detection': asdict(detection_metrics(truth, detections, size)),
        'tracking': asdict(track_metrics([record.truth for record in records], tracks)),
        'by_vehicles': by_vehicles(truth, detections),
        'by_distance_m': by_distance(truth, detections),
        'by_view': by_view(truth, detections),
        'milliseconds': {
            'p50': float(np.median(times)),
            'p99': float(np.percentile(times, 99)),
        },
    }


def by_vehicles(
    truth: Sequence[TruthFrame], detections: Sequence[Detections]
) -> dict[str, dict[str, float]]:
    """Frames with no, one, two, three and more vehicles apart.

    Returns:
        For each: frames, AP at IoU 0.5 and false alarms a frame, boxes above `CENTRE_SCORE` that
        match nothing.
    """
    groups: dict[str, list[int]] = {'0': [], '1': [], '2': [], '3': [], '4+': []}
    for index, frame in enumerate(truth):
        groups[str(len(frame)) if len(frame) < 4 else '4+'].append(index)
    table = {}
    for name, members in groups.items():
        true, found = [truth[i] for i in members], [detections[i] for i in members]
        false_alarms = [
            int(np.sum(match(heard.boxes_px, frame.boxes_px, MATCH_IOU) < 0))
            for frame, heard in zip(true, (f.above(CENTRE_SCORE) for f in found), strict=True)
        ]
        table[name] = {
            'frames': len(members),
            'map50': float(coco_average_precision(true, found)[0]),
            'false_alarms': float(np.mean(false_alarms)) if members else math.nan,
        }
    return table


def by_distance(
    truth: Sequence[TruthFrame], detections: Sequence[Detections]
) -> dict[str, dict[str, float]]:
    """Share of the vehicles found at IoU 0.5 above `CENTRE_SCORE`, by their distance."""
    found, distance_m, _ = _found(truth, detections)
    return {
        f'{low}-{high}': _share(found[(distance_m >= low) & (distance_m < high)])
        for low, high in pairwise(DISTANCES_M)
    }


def by_view(
    truth: Sequence[TruthFrame], detections: Sequence[Detections]
) -> dict[str, dict[str, float]]:
    """The same for vehicles that the camera sees and those hidden from it."""
    found, _, visible = _found(truth, detections)
    return {
        'visible': _share(found[visible >= HIDDEN_BELOW]),
        'hidden': _share(found[visible < HIDDEN_BELOW]),
    }


def _found(
    truth: Sequence[TruthFrame], detections: Sequence[Detections]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each true box: whether it was found, its distance, its visible share."""
    found = [np.zeros(0, bool)]
    for frame, heard in zip(truth, detections, strict=True):
        matched = match(heard.above(CENTRE_SCORE).boxes_px, frame.boxes_px, MATCH_IOU)
        found.append(np.isin(np.arange(len(frame)), matched))
    empty = np.zeros(0)
    return (
        np.concatenate(found),
        np.concatenate([empty, *(frame.distance_m for frame in truth)]),
        np.concatenate([empty, *(frame.visible for frame in truth)]),
    )


def _share(found: np.ndarray) -> dict[str, float]:
    return {
        'boxes': len(found),
        'recall50': float(np.mean(found)) if len(found) else math.nan,
    }


def jsonable(value: Any) -> Any:
    """Numbers, lists and mappings as JSON has them: NaN becomes null."""
    if isinstance(value, dict):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [jsonable(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
