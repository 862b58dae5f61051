"""Metrics as the program of MM-DistillNet's authors computes them, for comparison with its tables.

They are neither COCO's nor those defined in the papers. As read in release 9a0dcbb:

- boxes lie on the teachers' canvas, columns 200 to 1720 of 1920 scaled to 768 pixels; a score
  counts from 0.3 on;
- an IoU counts pixels: each side is longer by one;
- a frame without true boxes is skipped, and its false boxes with it; a frame without found boxes
  still counts its true ones;
- precision is the whole curve's upper envelope, not COCO's 101 recalls;
- mAP@Avg averages IoU 0.50 to 0.90: nine thresholds, the tenth is missing;
- CDx and CDy compare *widths and heights* of boxes, not centres: for each true box, in order, the
  box of the nearest size, each used once; the whole width or height where no box is left. They
  are the mean over frames, in per cent of the canvas's 768 pixels in both directions.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from avdet_ros.detection.boxes import Detections
from avdet_ros.evaluation.runs.record import TruthFrame

SIDE_PX = 768
COLUMNS = (200, 1720)
REFERENCE_WIDTH_PX = 1920
MIN_SCORE = 0.3
IOU_THRESHOLDS = np.linspace(0.5, 0.9, 9)


def released_metrics(
    truth: Sequence[TruthFrame], detections: Sequence[Detections], width_px: int
) -> dict[str, float]:
    """Score boxes as the authors' program does.

    Args:
        truth: one a frame.
        detections: one a frame, best score first.
        width_px: width of the image.

    Returns:
        ``map``, ``map50``, ``map75`` in 0 to 1, ``cdx``, ``cdy`` in per cent; NaN without truth.
    """
    count = sum(len(frame) for frame in truth)
    if not count:
        return dict.fromkeys(('map', 'map50', 'map75', 'cdx', 'cdy'), float('nan'))
    frames = []
    for true, found in zip(truth, detections, strict=True):
        confident = found.above(MIN_SCORE)
        frames.append(
            (
                _on_canvas(true.boxes_px, width_px),
                _on_canvas(confident.boxes_px, width_px),
                confident.scores,
            )
        )
    frames = [frame for frame in frames if len(frame[0])]
    nearest = [_nearest(true, found) for true, found, _ in frames]
    scores = np.concatenate([frame_scores for _, _, frame_scores in frames])
    precision = [_average_precision(nearest, scores, count, iou) for iou in IOU_THRESHOLDS]
    apart = np.array([_sizes_apart(true, found) for true, found, _ in frames])
    cdx, cdy = 100 * apart.mean(axis=0) / SIDE_PX
    return {
        'map': float(np.mean(precision)),
        'map50': float(precision[0]),
        'map75': float(precision[5]),
        'cdx': float(cdx),
        'cdy': float(cdy),
    }


def _on_canvas(boxes_px: np.ndarray, width_px: int) -> np.ndarray:
    left, right = (column * width_px / REFERENCE_WIDTH_PX for column in COLUMNS)
    boxes = np.array(boxes_px, np.float64).reshape(-1, 4)
    boxes[:, [0, 2]] = np.clip(boxes[:, [0, 2]] - left, 0, right - left)
    return boxes * SIDE_PX / (right - left)


def _overlap(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Compute the IoU of a box with others, sides counted in whole pixels, ends included."""
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    shared = np.prod(np.clip(high - low + 1, 0, None), axis=1)
    return shared / (_area(box) + _area(others) - shared)


def _area(boxes: np.ndarray) -> np.ndarray:
    return np.prod(boxes[..., 2:] - boxes[..., :2] + 1, axis=-1)


def _nearest(true: np.ndarray, found: np.ndarray) -> list[tuple[int, float]]:
    """Return for each box of a frame the true box it overlaps most, and the overlap."""
    overlaps = [_overlap(box, true) for box in found]
    return [(int(np.argmax(overlap)), float(overlap.max())) for overlap in overlaps]


def _average_precision(
    nearest: Sequence[list[tuple[int, float]]], scores: np.ndarray, count: int, iou: float
) -> float:
    """Compute the area under the upper envelope of precision over recall."""
    hits = []
    for frame_matches in nearest:
        taken: set[int] = set()
        for best, overlap in frame_matches:
            # A box whose nearest true box is taken is false, even if another one is free.
            hit = overlap >= iou and best not in taken
            if hit:
                taken.add(best)
            hits.append(hit)
    right = np.array(hits, bool)[np.argsort(-scores, kind='stable')]
    if not len(right):
        return 0.0
    cumulated = np.cumsum(right)
    recall = np.concatenate([[0.0], cumulated / count])
    precision = cumulated / np.arange(1, len(right) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(np.diff(recall) * envelope))


def _sizes_apart(true: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Return the (2,) mean difference of width and height of a frame's boxes, pixels."""
    sizes = true[:, 2:] - true[:, :2]
    unmatched = list(found[:, 2:] - found[:, :2])
    differences = []
    for size in sizes:
        if not unmatched:
            differences.append(size)
            continue
        nearest = int(np.argmin([np.sum((other - size) ** 2) for other in unmatched]))
        differences.append(np.abs(unmatched.pop(nearest) - size))
    return np.mean(differences, axis=0)
