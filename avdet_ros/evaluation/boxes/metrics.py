"""Detection metrics: COCO's average precision and the distance of centres.

AP is COCO's (101 recalls, at most 100 boxes a frame), computed by faster-coco-eval. Centre
distances follow Gan et al., Self-supervised Moving Vehicle Tracking with Stereo Sound (ICCV
2019): of the boxes that match, in per cent of the image's width and height.
"""

from __future__ import annotations

from collections.abc import Sequence
import contextlib
from dataclasses import dataclass
import io
from typing import Any

import numpy as np

from avdet_ros.detection.boxes import Detections, box_area, box_centres, box_iou
from avdet_ros.evaluation.runs.record import TruthFrame

IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)
MATCH_IOU = 0.5
CENTRE_SCORE = 0.3
"""Score above which boxes count in recall, CDx and CDy; AP takes all boxes."""

_RECALLS = np.linspace(0, 1, 101)
_MAX_BOXES = 100


@dataclass(frozen=True)
class DetectionMetrics:
    """Metrics over all frames; NaN where undefined, as AP is without truth.

    Attributes:
        map: AP averaged over IoU 0.50 to 0.95.
        map50: AP at IoU 0.5.
        map75: AP at IoU 0.75.
        cdx: mean horizontal centre distance of matched boxes, per cent of the image's width.
        cdy: mean vertical one, per cent of its height.
        recall50: share of the true boxes found at IoU 0.5 with a score above `CENTRE_SCORE`.
        frames: number of frames.
        boxes: true boxes in them.
    """

    map: float
    map50: float
    map75: float
    cdx: float
    cdy: float
    recall50: float
    frames: int
    boxes: int


def detection_metrics(
    truth: Sequence[TruthFrame], detections: Sequence[Detections], image_size_px: tuple[int, int]
) -> DetectionMetrics:
    """Score boxes against the truth.

    Args:
        truth: one a frame.
        detections: one a frame.
        image_size_px: width, height.
    """
    ap = coco_average_precision(truth, detections)
    distances, found = [], 0
    for true, predicted in zip(truth, detections, strict=True):
        confident = predicted.above(CENTRE_SCORE)
        matched = match(confident.boxes_px, true.boxes_px, MATCH_IOU)
        hit = matched >= 0
        found += int(hit.sum())
        distances.append(
            box_centres(confident.boxes_px[hit]) - box_centres(true.boxes_px[matched[hit]])
        )
    boxes = sum(len(frame) for frame in truth)
    offsets = np.abs(np.concatenate(distances)) if distances else np.zeros((0, 2))
    percent = 100 * offsets / np.asarray(image_size_px)
    cdx, cdy = percent.mean(axis=0) if len(percent) else (np.nan, np.nan)
    return DetectionMetrics(
        map=float(np.mean(ap)),
        map50=float(ap[0]),
        map75=float(ap[5]),
        cdx=float(cdx),
        cdy=float(cdy),
        recall50=found / boxes if boxes else float('nan'),
        frames=len(truth),
        boxes=boxes,
    )


def coco_average_precision(
    truth: Sequence[TruthFrame], detections: Sequence[Detections]
) -> np.ndarray:
    """Compute AP at each of `IOU_THRESHOLDS`, (10,) float64; NaN if there is no true box."""
    from faster_coco_eval import COCO, COCOeval_faster

    if not sum(len(frame) for frame in truth):
        return np.full(len(IOU_THRESHOLDS), np.nan)
    if not sum(len(frame) for frame in detections):
        return np.zeros(len(IOU_THRESHOLDS))
    annotations: list[dict[str, Any]] = []
    results: list[dict[str, Any]] = []
    for image_id, (true, predicted) in enumerate(zip(truth, detections, strict=True), start=1):
        for box in true.boxes_px:
            annotations.append(
                {'id': len(annotations) + 1, 'image_id': image_id, 'category_id': 1, 'iscrowd': 0}
                | {'bbox': _xywh(box), 'area': float(box_area(box))}
            )
        for box, score in zip(predicted.boxes_px, predicted.scores, strict=True):
            results.append(
                {'image_id': image_id, 'category_id': 1, 'bbox': _xywh(box), 'score': float(score)}
            )
    images = [{'id': image_id} for image_id in range(1, len(truth) + 1)]
    categories = [{'id': 1, 'name': 'vehicle'}]
    with contextlib.redirect_stdout(io.StringIO()):
        known = COCO({'images': images, 'annotations': annotations, 'categories': categories})
        evaluation = COCOeval_faster(known, known.loadRes(results), 'bbox', print_function=_silent)
        evaluation.evaluate()
        evaluation.accumulate()
    # Axes: IoU, recall, class, size, maximum of boxes; size 0 is "all", the last maximum is 100.
    precision = np.asarray(evaluation.eval['precision'])[:, :, 0, 0, -1]
    return precision.mean(axis=1)


def match(boxes_px: np.ndarray, true_px: np.ndarray, iou_threshold: float) -> np.ndarray:
    """Match as COCO does: each box, best score first, takes the free true box it overlaps most.

    Args:
        boxes_px: (N, 4), best score first.
        true_px: (M, 4).
        iou_threshold: minimum overlap of a match.

    Returns:
        (N,) int64, index of the true box, -1 where there is none.
    """
    overlap = box_iou(boxes_px, true_px)
    matched = np.full(len(overlap), -1)
    for index in range(len(overlap) if overlap.shape[1] else 0):
        best = int(np.argmax(overlap[index]))
        if overlap[index, best] >= iou_threshold:
            matched[index] = best
            overlap[:, best] = -1
    return matched


@dataclass(frozen=True)
class DriveHits:
    """Matches of one drive, from which average precision is computed.

    Attributes:
        scores: (N,) scores of all its boxes.
        hits: (10, N) bool, whether a box matches at each of `IOU_THRESHOLDS`.
        boxes: number of true boxes.
    """

    scores: np.ndarray
    hits: np.ndarray
    boxes: int


def drive_hits(truth: Sequence[TruthFrame], detections: Sequence[Detections]) -> DriveHits:
    """Match one drive's boxes once; resampled drives reuse the matches."""
    scores = [np.zeros(0)]
    hits = [np.zeros((len(IOU_THRESHOLDS), 0), bool)]
    for true, predicted in zip(truth, detections, strict=True):
        boxes = predicted.boxes_px[:_MAX_BOXES]
        scores.append(predicted.scores[:_MAX_BOXES])
        hits.append(
            np.stack([match(boxes, true.boxes_px, level) >= 0 for level in IOU_THRESHOLDS])
        )
    return DriveHits(
        np.concatenate(scores), np.concatenate(hits, axis=1), sum(len(frame) for frame in truth)
    )


@dataclass(frozen=True)
class Curve:
    """Precision and recall as the threshold on scores falls.

    Attributes:
        scores: (N,) the thresholds, descending.
        recall: (N,) ascending.
        precision: (N,) as measured, without the envelope that AP takes.
    """

    scores: np.ndarray
    recall: np.ndarray
    precision: np.ndarray

    def at(self, score: float) -> tuple[float, float] | None:
        """Return recall and precision of the boxes above a score; None if there are none."""
        above = int(np.sum(self.scores > score))
        return (self.recall[above - 1], self.precision[above - 1]) if above else None


def precision_recall(drives: Sequence[DriveHits], iou_threshold: float) -> Curve:
    """Compute the curve at one of `IOU_THRESHOLDS`; empty if there is no true box."""
    level = int(np.argmin(np.abs(IOU_THRESHOLDS - iou_threshold)))
    boxes = sum(drive.boxes for drive in drives)
    scores = np.concatenate([np.zeros(0), *(drive.scores for drive in drives)])
    hits = np.concatenate([np.zeros(0, bool), *(drive.hits[level] for drive in drives)])
    if not boxes:
        return Curve(np.zeros(0), np.zeros(0), np.zeros(0))
    order = np.argsort(-scores, kind='stable')
    true = np.cumsum(hits[order])
    return Curve(scores[order], true / boxes, true / np.arange(1, len(order) + 1))


def average_precision(drives: Sequence[DriveHits]) -> np.ndarray:
    """Compute `coco_average_precision` from precomputed matches, (10,) float64."""
    boxes = sum(drive.boxes for drive in drives)
    if not boxes:
        return np.full(len(IOU_THRESHOLDS), np.nan)
    scores = np.concatenate([drive.scores for drive in drives])
    hits = np.concatenate([drive.hits for drive in drives], axis=1)
    if not len(scores):
        return np.zeros(len(IOU_THRESHOLDS))
    order = np.argsort(-scores, kind='stable')
    true = np.cumsum(hits[:, order], axis=1)
    precision = true / np.arange(1, len(scores) + 1)
    # The precision at a recall is the best at that recall or any above it.
    precision = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    averages = []
    for level in range(len(IOU_THRESHOLDS)):
        place = np.searchsorted(true[level] / boxes, _RECALLS, side='left')
        reached = place < len(scores)
        averages.append(precision[level, place[reached]].sum() / len(_RECALLS))
    return np.array(averages)


def _xywh(box: np.ndarray) -> list[float]:
    return [float(box[0]), float(box[1]), float(box[2] - box[0]), float(box[3] - box[1])]


def _silent(*_: object) -> None:
    """Discard the output of faster-coco-eval."""
