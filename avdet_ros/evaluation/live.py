"""Scores of a running graph's detections and tracks against the simulation's topic `truth`."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from avdet_ros.detection.boxes import Detections
from avdet_ros.evaluation.boxes.metrics import detection_metrics
from avdet_ros.evaluation.runs.record import TruthFrame
from avdet_ros.evaluation.tracks.metrics import track_metrics
from avdet_ros.tracking.track import Track

Boxes = tuple[Detections, list[str]]


def score_live(
    truth: Mapping[int, Boxes],
    detections: Mapping[int, Boxes],
    tracks: Mapping[int, Boxes],
    image_size_px: tuple[int, int],
    tolerance_s: float = 0.05,
) -> dict[str, float | None]:
    """Compute map50 of the detections and mota of the tracks.

    Args:
        truth: boxes and ids by stamp in nanoseconds.
        detections: boxes by stamp.
        tracks: boxes and ids by stamp.
        image_size_px: width, height.
        tolerance_s: maximum distance in time between a window and its truth.

    Returns:
        ``map50`` and ``mota``; None where there was nothing to score.
    """
    if not truth:
        return {'map50': None, 'mota': None}
    truth_ns = np.array(sorted(truth))
    frames: list[tuple[TruthFrame, Detections, list[Track]]] = []
    for stamp_ns, (found, _) in sorted(detections.items()):
        nearest = int(truth_ns[np.argmin(np.abs(truth_ns - stamp_ns))])
        if abs(nearest - stamp_ns) > tolerance_s * 1e9:
            continue
        boxes, ids = truth[nearest]
        true = TruthFrame.of(boxes.boxes_px, [int(text) for text in ids])
        frames.append((true, found, _tracks(tracks.get(stamp_ns), stamp_ns)))
    if not any(len(true) for true, _, _ in frames):
        return {'map50': None, 'mota': None}
    expected = [true for true, _, _ in frames]
    map50 = detection_metrics(expected, [found for _, found, _ in frames], image_size_px).map50
    followed = [frame_tracks for _, _, frame_tracks in frames]
    return {'map50': map50, 'mota': track_metrics([expected], [followed]).mota}


def _tracks(boxes: Boxes | None, stamp_ns: int) -> list[Track]:
    if boxes is None:
        return []
    found, ids = boxes
    time_s = stamp_ns * 1e-9
    return [
        Track(int(text), box, float(score), 0.0, time_s)
        for text, box, score in zip(ids, found.boxes_px, found.scores, strict=True)
    ]
