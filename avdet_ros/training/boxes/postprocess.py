"""From candidate boxes to what a model file reports: suppression and scores."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torchvision.ops import nms

from avdet_ros.training.boxes.score_calibration import Calibration

CANDIDATES = 100
"""Number of cells, those with the highest logits, that are considered at all."""

NMS_IOU = 0.5
"""Of two boxes that overlap more, the worse one is dropped."""

MIN_SCORE = 0.02
"""Boxes with a lower score, the probability to be right, are not reported."""


def scored(
    boxes: Tensor, logits: Tensor, calibration: Calibration
) -> tuple[Tensor, Tensor, Tensor]:
    """Select what a model file reports of one window's candidates.

    Args:
        boxes: (cells, 4), fractions of the image.
        logits: (cells,).
        calibration: turns logits into scores.

    Returns:
        boxes (N, 4), scores (N,) descending, labels (N,) int64, all 0.
    """
    boxes, logits = suppress(boxes, logits)
    scores = calibration(logits)
    # The curve rises, but rounding of its sum may swap neighbours.
    scores, order = torch.sort(scores, descending=True)
    boxes = boxes[order]
    kept = torch.nonzero(scores > MIN_SCORE).flatten()
    scores = scores[kept]
    return boxes[kept], scores, torch.zeros_like(scores, dtype=torch.int64)


def suppress_each(boxes: Tensor, logits: Tensor) -> list[tuple[np.ndarray, np.ndarray]]:
    """`suppress` for (B, cells, 4) boxes and (B, cells) logits, one pair of arrays per window."""
    results = []
    for window_boxes, window_logits in zip(boxes.cpu(), logits.cpu(), strict=True):
        kept, values = suppress(window_boxes, window_logits)
        results.append((kept.numpy(), values.numpy()))
    return results


def suppress(boxes: Tensor, logits: Tensor) -> tuple[Tensor, Tensor]:
    """Return the best cells' boxes, cut to the image, without those that overlap a better one.

    Args:
        boxes: (cells, 4), fractions of the image.
        logits: (cells,).

    Returns:
        boxes (N, 4) in [0, 1], logits (N,), descending.
    """
    logits, best = torch.topk(logits, min(CANDIDATES, len(logits)))
    boxes = boxes[best].clamp(0, 1)
    kept = nms(boxes, logits, NMS_IOU)
    logits, order = torch.sort(logits[kept], descending=True)
    return boxes[kept][order], logits
