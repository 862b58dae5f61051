"""Score a student's boxes on a set of labelled windows."""

from __future__ import annotations

import numpy as np

from avdet_ros.detection.boxes import Detections
from avdet_ros.evaluation.boxes.metrics import (
    DetectionMetrics,
    coco_average_precision,
    detection_metrics,
)
from avdet_ros.evaluation.runs.baselines import ConstantBoxes, fit_labels
from avdet_ros.evaluation.runs.record import TruthFrame
from avdet_ros.training.boxes.postprocess import MIN_SCORE
from avdet_ros.training.data.windows import WindowDataset


def truth_frames(windows: WindowDataset) -> list[TruthFrame]:
    """Convert the labels of a set to the form that the metrics need."""
    size = np.tile(windows.image_size_px, 2)
    return [TruthFrame.of(boxes * size, np.arange(len(boxes))) for boxes in windows.boxes]


def as_detections(
    boxes: np.ndarray, scores: np.ndarray, image_size_px: tuple[int, int]
) -> Detections:
    """Convert boxes, fractions of the image, to the form that a node publishes."""
    return Detections((boxes * np.tile(image_size_px, 2)).astype(np.float32), scores)


def average_precisions(
    found: list[tuple[np.ndarray, np.ndarray]], windows: WindowDataset
) -> tuple[float, float, float]:
    """Compute the mAP of a set's boxes and logits: averaged, at IoU 0.5, and at 0.75."""
    detections = [as_detections(*each, windows.image_size_px) for each in found]
    precision = coco_average_precision(truth_frames(windows), detections)
    return float(precision.mean()), float(precision[0]), float(precision[5])


def metrics(
    found: list[tuple[np.ndarray, np.ndarray]], windows: WindowDataset
) -> DetectionMetrics:
    """Compute all metrics of a set's boxes and calibrated scores."""
    detections = [as_detections(*each, windows.image_size_px).above(MIN_SCORE) for each in found]
    return detection_metrics(truth_frames(windows), detections, windows.image_size_px)


def constant_metrics(train: WindowDataset, windows: WindowDataset) -> DetectionMetrics:
    """Compute metrics of the training labels' most common boxes, the same in every window."""
    frames = truth_frames(train)
    statistics = fit_labels((frame.boxes_px, frame.distance_m) for frame in frames)
    same = ConstantBoxes(statistics).detect(np.zeros(0), np.zeros(0))
    return detection_metrics(truth_frames(windows), [same] * len(windows), windows.image_size_px)
