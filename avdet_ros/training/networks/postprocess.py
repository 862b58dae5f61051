"""A student and what turns its grid into final boxes, for scoring and for export."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torchvision.ops import nms

from avdet_ros.training.networks.compact import pool_frames
from avdet_ros.training.networks.grid import decode
from avdet_ros.training.networks.score_calibration import Calibration

CANDIDATES = 100
"""Cells of highest logit that are considered at all."""

NMS_IOU = 0.5
"""Of two boxes that overlap more, the worse one is dropped."""

LEAST_SCORE = 0.02
"""Boxes that are right less often than that are not reported."""


class StudentDetector(nn.Module):
    """From pooled or whole spectrograms to boxes, scores and labels.

    Attributes:
        student: fills the grid.
        calibration: turns logits into scores.
    """

    def __init__(self, student: nn.Module) -> None:
        super().__init__()
        self.student = student
        self.calibration = Calibration()

    def forward(self, spectrogram: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """One window as the topic carries it; this is what is exported.

        Args:
            spectrogram: (1, 32, n_mels, frames) float32.

        Returns:
            boxes: (N, 4) float32 x_min, y_min, x_max, y_max in [0, 1].
            scores: (N,) float32, descending.
            labels: (N,) int64, all 0.
        """
        boxes, logits = decode(self.student(pool_frames(spectrogram)))
        return scored(boxes[0], logits[0], self.calibration)


def scored(
    boxes: Tensor, logits: Tensor, calibration: Calibration
) -> tuple[Tensor, Tensor, Tensor]:
    """What a model file says of one window's candidates.

    Args:
        boxes: (cells, 4) in parts of the image.
        logits: (cells,).
        calibration: turns logits into scores.

    Returns:
        boxes (N, 4), scores (N,) descending, labels (N,) int64, all 0.
    """
    boxes, logits = suppress(boxes, logits)
    scores = calibration(logits)
    # The curve rises, but its sum may round the other way for neighbours.
    scores, order = torch.sort(scores, descending=True)
    boxes = boxes[order]
    kept = torch.nonzero(scores > LEAST_SCORE).flatten()
    scores = scores[kept]
    return boxes[kept], scores, torch.zeros_like(scores, dtype=torch.int64)


def suppress_each(boxes: Tensor, logits: Tensor) -> list[tuple[np.ndarray, np.ndarray]]:
    """`suppress` for (B, cells, 4) boxes and (B, cells) logits, one pair of arrays a window."""
    results = []
    for window_boxes, window_logits in zip(boxes.cpu(), logits.cpu(), strict=True):
        kept, values = suppress(window_boxes, window_logits)
        results.append((kept.numpy(), values.numpy()))
    return results


def suppress(boxes: Tensor, logits: Tensor) -> tuple[Tensor, Tensor]:
    """The best cells' boxes, cut to the image, without those that say the same again.

    Args:
        boxes: (cells, 4) in parts of the image.
        logits: (cells,).

    Returns:
        boxes (N, 4) in [0, 1], logits (N,), descending.
    """
    logits, best = torch.topk(logits, min(CANDIDATES, len(logits)))
    boxes = boxes[best].clamp(0, 1)
    kept = nms(boxes, logits, NMS_IOU)
    logits, order = torch.sort(logits[kept], descending=True)
    return boxes[kept][order], logits
