"""Boxes in the camera's image, as plain arrays, and box arithmetic.

A box is ``x_min, y_min, x_max, y_max`` in pixels of the full camera image, origin at its top
left corner.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

LEAST_IN_IMAGE = 0.3
"""Minimum fraction of a vehicle's box inside the image for the vehicle to count as in it."""


@dataclass(frozen=True)
class Detections:
    """The vehicles found in one window.

    Attributes:
        boxes_px: (N, 4) float32 x_min, y_min, x_max, y_max.
        scores: (N,) float32 in [0, 1], descending.
        range_m: (N, 3) float32 distances from the array, metres: the 5, 50 and 95 % quantiles of
            the predicted range; None if the model predicts none.
        azimuth_rad: (N,) float32 bearings of the boxes' centres from the array, in base_link, left
            positive; None if the model predicts none.
    """

    boxes_px: np.ndarray = field(default_factory=lambda: np.zeros((0, 4), np.float32))
    scores: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))
    range_m: np.ndarray | None = None
    azimuth_rad: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.scores)

    def best(self, min_score: float, most: int) -> Detections:
        """Return at most the `most` best detections, none with a score below `min_score`."""
        keep = self.scores >= min_score
        keep[most:] = False  # scores descend
        return self.only(keep)

    def above(self, score: float) -> Detections:
        """Return only the detections whose score exceeds a threshold."""
        return self.only(self.scores > score)

    def only(self, keep: np.ndarray) -> Detections:
        """Return only the detections where an (N,) bool mask is true."""
        range_m = None if self.range_m is None else self.range_m[keep]
        azimuth_rad = None if self.azimuth_rad is None else self.azimuth_rad[keep]
        return Detections(self.boxes_px[keep], self.scores[keep], range_m, azimuth_rad)


def box_iou(a: ArrayLike, b: ArrayLike) -> np.ndarray:
    """Compute the intersection over union of every pair.

    Args:
        a: (N, 4) boxes.
        b: (M, 4) boxes.

    Returns:
        (N, M) float64 in [0, 1]; 0 where the union is empty.
    """
    first = np.asarray(a, np.float64).reshape(-1, 4)
    second = np.asarray(b, np.float64).reshape(-1, 4)
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    intersection = np.prod(np.clip(high - low, 0, None), axis=-1)
    union = box_area(first)[:, None] + box_area(second)[None, :] - intersection
    return np.divide(intersection, union, out=np.zeros_like(union), where=union > 0)


def box_area(boxes: np.ndarray) -> np.ndarray:
    """Areas of (..., 4) boxes, square pixels; 0 for a box turned inside out."""
    return np.prod(np.clip(boxes[..., 2:] - boxes[..., :2], 0, None), axis=-1)


def box_centres(boxes: np.ndarray) -> np.ndarray:
    """Centres of (N, 4) boxes, (N, 2)."""
    return (boxes[:, :2] + boxes[:, 2:]) / 2


def clip_boxes(boxes: np.ndarray, width_px: int, height_px: int) -> np.ndarray:
    """Clip (..., 4) boxes to the image."""
    limits = np.array([width_px, height_px, width_px, height_px], boxes.dtype)
    return np.clip(boxes, 0, limits)


def inside_share(boxes: np.ndarray, width_px: int, height_px: int) -> np.ndarray:
    """Return the fraction of each of (..., 4) boxes inside the image; 0 for a box without area."""
    area = box_area(boxes)
    inside = box_area(clip_boxes(boxes, width_px, height_px))
    return np.divide(inside, area, out=np.zeros_like(area), where=area > 0)


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
