"""Boxes in the camera's image, as plain arrays, and the arithmetic on them.

A box is ``x_min, y_min, x_max, y_max`` in pixels of the full camera image, origin at its top
left corner.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Detections:
    """What one window says.

    Attributes:
        boxes_px: (N, 4) float32 x_min, y_min, x_max, y_max.
        scores: (N,) float32 in [0, 1], descending.
    """

    boxes_px: np.ndarray = field(default_factory=lambda: np.zeros((0, 4), np.float32))
    scores: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))

    def __len__(self) -> int:
        return len(self.scores)

    def above(self, score: float) -> Detections:
        """Only the detections whose score exceeds a threshold."""
        keep = self.scores > score
        return Detections(self.boxes_px[keep], self.scores[keep])


def box_iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersection over union of every pair.

    Args:
        a: (N, 4) boxes.
        b: (M, 4) boxes.

    Returns:
        (N, M) float64 in [0, 1]; 0 where the union is empty.
    """
    a = np.asarray(a, np.float64).reshape(-1, 4)
    b = np.asarray(b, np.float64).reshape(-1, 4)
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    intersection = np.prod(np.clip(high - low, 0, None), axis=-1)
    union = box_area(a)[:, None] + box_area(b)[None, :] - intersection
    return np.divide(intersection, union, out=np.zeros_like(union), where=union > 0)


def box_area(boxes: np.ndarray) -> np.ndarray:
    """Areas of (..., 4) boxes, square pixels; 0 for a box turned inside out."""
    return np.prod(np.clip(boxes[..., 2:] - boxes[..., :2], 0, None), axis=-1)


def clip_boxes(boxes: np.ndarray, width_px: int, height_px: int) -> np.ndarray:
    """Cut (..., 4) boxes to the image."""
    limits = np.array([width_px, height_px, width_px, height_px], boxes.dtype)
    return np.clip(boxes, 0, limits)


def nms(boxes: np.ndarray, scores: np.ndarray, iou_threshold: float) -> np.ndarray:
    """Greedy non-maximum suppression.

    Args:
        boxes: (N, 4) boxes.
        scores: (N,) scores.
        iou_threshold: a box that overlaps a better one by more than this is dropped.

    Returns:
        (K,) int64 indices of the kept boxes, best first.
    """
    order = np.argsort(-np.asarray(scores), kind='stable')
    overlap = box_iou(boxes, boxes)
    kept: list[int] = []
    for index in order:
        if all(overlap[index, other] <= iou_threshold for other in kept):
            kept.append(int(index))
    return np.array(kept, np.int64)
